"""The optimiser and the learning-rate schedule."""

from __future__ import annotations

import math

import torch
from torch import nn


def make_optimizer(
    model: nn.Module, learning_rate: float, weight_decay: float, device: torch.device
) -> torch.optim.Optimizer:
    """AdamW with weight decay on convolution kernels only, never on biases or batch normalisation.

    The scales of batch normalisation form a group of their own, `name="scales"`, because sparsity training
    acts on them.
    """
    kernels, scales, others = [], [], []
    for module in model.modules():
        for name, parameter in module.named_parameters(recurse=False):
            if isinstance(module, nn.BatchNorm2d) and name == "weight":
                scales.append(parameter)
            elif name == "weight":
                kernels.append(parameter)
            else:
                others.append(parameter)
    groups = [
        {"name": "kernels", "params": kernels, "weight_decay": weight_decay},
        {"name": "scales", "params": scales, "weight_decay": 0.0},
        {"name": "others", "params": others, "weight_decay": 0.0},
    ]
    present = [group for group in groups if group["params"]]
    return torch.optim.AdamW(
        present, lr=learning_rate, betas=(0.9, 0.999), fused=device.type in ("cpu", "cuda")
    )


def learning_rate_factor(
    step: int,
    num_steps: int,
    warmup_steps: int,
    span: tuple[float, float] = (0.0, 1.0),
    final_factor: float = 0.01,
) -> float:
    """The learning rate at `step` as a share of its peak: a linear warm-up, then half a cosine.

    Args:
        step: from 0 to `num_steps`.
        num_steps: of the run.
        warmup_steps: of them, at the start.
        span: the part of the half cosine that the run walks along; a stage of a longer run walks a part.
        final_factor: what is left at the cosine's end.
    """
    start, end = span
    walked = max(0, step - warmup_steps) / max(1, num_steps - warmup_steps)
    progress = start + (end - start) * min(1.0, walked)
    cosine = final_factor + (1 - final_factor) * 0.5 * (1 + math.cos(math.pi * progress))
    return cosine * min(1.0, (step + 1) / warmup_steps) if warmup_steps else cosine
