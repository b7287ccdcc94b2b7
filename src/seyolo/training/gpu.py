"""Training on a GPU: CUDA graphs of the forward and backward pass, and the message for full memory.

A training step of a YOLOv3 launches about three thousand kernels, and a GPU runs them several times faster
than a CPU launches them. A recorded graph launches all at once. The loss is not recorded, since the number
of objects differs from batch to batch.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import cast

import torch
from jaxtyping import Float
from torch import Tensor, nn

from seyolo.errors import TrainingError, counted
from seyolo.sizes import input_text
from seyolo.torchnet.build import DarknetModel
from seyolo.training.config import TrainConfig
from seyolo.training.distributed import Team

Heads = Callable[[Tensor], tuple[Tensor, ...]]


class RecordedHeads:
    """`DarknetModel.forward_heads` of a model in training mode on a GPU, recorded once per batch shape.

    The values of the model's parameters may change, their memory may not.
    """

    def __init__(self, model: DarknetModel) -> None:
        self._model = model
        self._pool = torch.cuda.graph_pool_handle()
        self._recorded: dict[torch.Size, Heads] = {}

    def __call__(self, images: Float[Tensor, "N 3 H W"]) -> list[Float[Tensor, "N H W A 5+C"]]:
        """Returns the input of each detection layer; tensors and gradients are valid until the next call."""
        if images.shape not in self._recorded:
            self._recorded[images.shape] = self._record(images)
        return list(self._recorded[images.shape](images))

    def _record(self, images: Tensor) -> Heads:
        """Records the network, which runs it a few times, and restores the buffers after."""
        # Newer PyTorch versions warn that gradients come from the recorded stream.
        set_warning = getattr(torch.autograd.graph, "set_warn_on_accumulate_grad_stream_mismatch", None)
        if set_warning is not None:
            set_warning(False)
        before = [buffer.clone() for buffer in self._model.buffers()]
        kind = images.device.type
        dtype, enabled = torch.get_autocast_dtype(kind), torch.is_autocast_enabled(kind)
        # A cache would round weights before the recording, and the graph would never read updated ones.
        with torch.autocast(kind, dtype, enabled, cache_enabled=False):
            recorded = torch.cuda.make_graphed_callables(
                _Heads(self._model), (images.detach().clone(),), allow_unused_input=True, pool=self._pool
            )
        with torch.no_grad():
            torch._foreach_copy_(list(self._model.buffers()), before)
        return cast(Heads, recorded)


class _Heads(nn.Module):
    """`forward_heads` as a module, which PyTorch requires."""

    def __init__(self, model: DarknetModel) -> None:
        super().__init__()
        self.model = model

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        return tuple(self.model.forward_heads(images))


@contextmanager
def explained_memory_errors(config: TrainConfig, team: Team) -> Iterator[None]:
    """Raises a TrainingError with advice when a GPU's memory is full."""
    try:
        yield
    except RuntimeError as error:
        if not _is_memory_error(error):
            raise
        smaller = config.batch // 2 // team.size * team.size
        advice = f"use --batch {smaller} or a smaller --size" if smaller else "use a smaller --size"
        raise TrainingError(
            f"the GPU's memory does not hold a step of {counted(config.batch // team.size, 'image')} of "
            f"{input_text(config.size)} px; {advice}. Finished epochs are kept"
        ) from None


def _is_memory_error(error: BaseException | None) -> bool:
    """Recognises PyTorch's memory error, the text of NVIDIA's libraries, and both as context."""
    if error is None:
        return False
    is_full = isinstance(error, torch.cuda.OutOfMemoryError) or "STATUS_ALLOC_FAILED" in str(error)
    return is_full or _is_memory_error(error.__context__)
