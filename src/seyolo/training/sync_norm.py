"""Batch normalisation with statistics of the whole batch over all processes, on CPUs and GPUs.

PyTorch's SyncBatchNorm runs on GPUs only and is no BatchNorm2d, which sparsity training and the optimiser
need. Every process has an equal share of the batch, so common statistics are plain means over the processes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
import torch.distributed as dist
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional


@contextmanager
def synchronised(model: nn.Module) -> Iterator[None]:
    """Synchronises every batch normalisation of a model over the processes inside the context."""
    norms = [module for module in model.modules() if type(module) is nn.BatchNorm2d]
    for norm in norms:
        norm.__class__ = SynchronisedNorm
    try:
        yield
    finally:
        for norm in norms:
            norm.__class__ = nn.BatchNorm2d


class SynchronisedNorm(nn.BatchNorm2d):
    """`nn.BatchNorm2d` with the statistics of all processes' images in training mode."""

    def forward(self, input: Float[Tensor, "N C H W"]) -> Float[Tensor, "N C H W"]:
        if not self.training:
            return super().forward(input)
        mean, variance = _statistics(input.detach())
        count = input.numel() // input.shape[1] * dist.get_world_size()
        assert self.running_mean is not None
        assert self.running_var is not None
        assert self.momentum is not None
        self.running_mean.lerp_(mean, self.momentum)
        self.running_var.lerp_(variance * (count / max(1, count - 1)), self.momentum)  # unbiased
        apply: Callable[..., Tensor] = _Normalise.apply
        return apply(input, self.weight, self.bias, mean, variance, self.eps)


def _statistics(x: Float[Tensor, "N C H W"]) -> tuple[Float[Tensor, " C"], Float[Tensor, " C"]]:
    """Returns mean and biased variance of each channel over the images of all processes."""
    variance, mean = torch.var_mean(x.float(), dim=(0, 2, 3), correction=0)
    here = torch.stack([mean, variance])
    parts = [torch.empty_like(here) for _ in range(dist.get_world_size())]
    dist.all_gather(parts, here)
    means, variances = torch.stack(parts, dim=1)
    return means.mean(0), variances.mean(0) + means.var(0, correction=0)  # law of total variance


class _Normalise(torch.autograd.Function):
    """weight · (x - mean) / √(variance + ε) + bias, with gradients through mean and variance."""

    @staticmethod
    def forward(  # noqa: PLR0917 (autograd passes by position)
        ctx: Any, x: Tensor, weight: Tensor, bias: Tensor, mean: Tensor, variance: Tensor, epsilon: float
    ) -> Tensor:
        ctx.save_for_backward(x, weight, mean, variance)
        ctx.epsilon = epsilon
        return functional.batch_norm(x, mean, variance, weight, bias, eps=epsilon)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        x, weight, mean, variance = ctx.saved_tensors
        inverse = torch.rsqrt(variance + ctx.epsilon)
        # With constant statistics, as in evaluation; CPUs use the first pair of arguments, GPUs the second.
        direct, to_weight, to_bias = torch.ops.aten.native_batch_norm_backward(
            gradients[0], x, weight, mean, variance, mean, inverse, False, ctx.epsilon, [True, True, True]
        )
        sums = torch.stack([to_bias, to_weight]).float()
        dist.all_reduce(sums)
        of_mean, of_scale = sums / (x.numel() // x.shape[1] * dist.get_world_size())
        # The gradient through the statistics is linear in x: slope · x + offset, per channel.
        slope = weight * inverse.square() * of_scale
        offset = weight * inverse * of_mean - slope * mean
        indirect = x * slope[:, None, None] + offset[:, None, None]
        return (direct - indirect).to(x.dtype), to_weight, to_bias, None, None, None
