"""Optimiser and learning-rate schedule."""

from __future__ import annotations

import math

import torch
from torch import nn


def make_optimizer(
    model: nn.Module, learning_rate: float, weight_decay: float, device: torch.device
) -> torch.optim.Optimizer:
    """Returns AdamW with weight decay on convolution kernels only, not on biases or batch normalisation.

    The scales of batch normalisation form the group `name="scales"`, because sparsity training changes them.
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
    """Returns the learning rate at `step` as a fraction of its peak: a linear warm-up, then half a cosine.

    Args:
        step: from 0 to `num_steps`.
        num_steps, warmup_steps: of the run and of its warm-up.
        span: part of the half cosine; a stage of a longer run covers a part.
        final_factor: value at the end of the cosine.
    """
    start, end = span
    covered = max(0, step - warmup_steps) / max(1, num_steps - warmup_steps)
    progress = start + (end - start) * min(1.0, covered)
    cosine = final_factor + (1 - final_factor) * 0.5 * (1 + math.cos(math.pi * progress))
    return cosine * min(1.0, (step + 1) / warmup_steps) if warmup_steps else cosine
