"""Muon for convolution kernels: each step of a kernel, as a matrix, is made orthogonal (Jordan 2024)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import torch
from jaxtyping import Float
from torch import Tensor, nn

from seyolo.torchnet.layers.convolution import ConvolutionLayer

RATE = 8.0  # learning rate of a matrix by that of AdamW (decision 0023)


class KernelMuon(torch.optim.Muon):
    """Muon of convolution kernels in channels-last memory, of which it sees the matrices."""

    def __init__(self, kernels: Sequence[nn.Parameter], learning_rate: float, weight_decay: float) -> None:
        self._kernels = tuple(kernels)
        matrices = [nn.Parameter(as_matrix(kernel.detach())) for kernel in kernels]
        group = {"name": "matrices", "params": matrices, "rate": RATE}
        super().__init__([group], lr=learning_rate, weight_decay=weight_decay, adjust_lr_fn="match_rms_adamw")

    @torch.no_grad()
    def step(self, closure: Any = None) -> Any:
        """Takes a step with the gradients of the kernels."""
        matrices: list[nn.Parameter] = self.param_groups[0]["params"]
        for kernel, matrix in zip(self._kernels, matrices, strict=True):
            assert matrix.data_ptr() == kernel.data_ptr(), "the kernel has moved in memory"
            matrix.grad = None if kernel.grad is None else as_matrix(kernel.grad)
        return super().step(closure)  # type: ignore[no-untyped-call]  # torch gives it no types


def as_matrix(kernel: Float[Tensor, "o i h w"]) -> Float[Tensor, "o h*w*i"]:
    """Returns a kernel as a matrix, in channels-last memory a view of it."""
    return kernel.permute(0, 2, 3, 1).flatten(1)


def kernels_for_muon(model: nn.Module) -> list[nn.Parameter]:
    """Returns the kernels of convolutions with batch normalisation, without grouped ones.

    The outputs of others depend on how large their kernels are, and grouped kernels are several matrices.
    """
    layers = (module for module in model.modules() if isinstance(module, ConvolutionLayer))
    normalised = (layer.conv for layer in layers if isinstance(layer.bn, nn.BatchNorm2d))
    return [cast("nn.Parameter", layer.weight) for layer in normalised if layer.groups == 1]
