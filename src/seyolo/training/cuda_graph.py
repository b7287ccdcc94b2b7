"""A network's passes on a GPU, forwards and backwards, as CUDA graphs.

A training step of a YOLOv3 starts some three thousand kernels one by one, and a GPU runs them several times
faster than a CPU starts them. Recorded, all of them start at once. The loss stays as it is, since the number
of objects changes from batch to batch.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

import torch
from jaxtyping import Float
from torch import Tensor, nn

from seyolo.torchnet.build import DarknetModel

Heads = Callable[[Tensor], tuple[Tensor, ...]]


class RecordedHeads:
    """`DarknetModel.forward_heads` of a model in training, recorded once for every shape of a batch.

    Args:
        model: on a GPU; its parameters may change their values and not their places.
    """

    def __init__(self, model: DarknetModel) -> None:
        self._model = model
        self._pool = torch.cuda.graph_pool_handle()
        self._recorded: dict[torch.Size, Heads] = {}

    def __call__(self, images: Float[Tensor, "N 3 H W"]) -> list[Float[Tensor, "N H W A 5+C"]]:
        """What each detection layer is given; it and its gradients hold until the next call."""
        if images.shape not in self._recorded:
            self._recorded[images.shape] = self._record(images)
        return list(self._recorded[images.shape](images))

    def _record(self, images: Tensor) -> Heads:
        """Recording runs the network a few times; what batch normalisation learns from that is taken back."""
        _expect_another_stream()
        before = [buffer.clone() for buffer in self._model.buffers()]
        kind = images.device.type
        # A graph that reads weights rounded before it was recorded would never see them change.
        with torch.autocast(
            kind, torch.get_autocast_dtype(kind), torch.is_autocast_enabled(kind), cache_enabled=False
        ):
            recorded = torch.cuda.make_graphed_callables(
                _Heads(self._model), (images.detach().clone(),), allow_unused_input=True, pool=self._pool
            )
        with torch.no_grad():
            torch._foreach_copy_(list(self._model.buffers()), before)
        return cast(Heads, recorded)


def _expect_another_stream() -> None:
    """Gradients come from the stream that was recorded; newer versions of PyTorch would warn of that."""
    be_quiet = getattr(torch.autograd.graph, "set_warn_on_accumulate_grad_stream_mismatch", None)
    if be_quiet is not None:
        be_quiet(False)


class _Heads(nn.Module):
    """`forward_heads` as a module, as PyTorch wants it."""

    def __init__(self, model: DarknetModel) -> None:
        super().__init__()
        self.model = model

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        return tuple(self.model.forward_heads(images))
