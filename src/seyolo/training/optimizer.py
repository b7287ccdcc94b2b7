"""Optimiser, learning-rate schedule, and the moving average of the weights."""

from __future__ import annotations

import copy
import math
from typing import Generic, TypeVar

import torch
from torch import Tensor, nn

FINAL_FACTOR = 0.01  # learning rate at the end of the cosine, as a fraction of its peak

Model = TypeVar("Model", bound=nn.Module)


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
    fused = device.type in ("cpu", "cuda")
    return torch.optim.AdamW(present, lr=learning_rate, betas=(0.9, 0.999), fused=fused)  # Loshchilov 2019


def learning_rate_factor(
    step: int, num_steps: int, warmup_steps: int, span: tuple[float, float] = (0.0, 1.0)
) -> float:
    """Returns the learning rate at `step` as a fraction of its peak: a linear warm-up, then half a cosine.

    `span` is the part of the half cosine that a stage of a longer run covers.
    """
    start, end = span
    covered = max(0, step - warmup_steps) / max(1, num_steps - warmup_steps)
    progress = start + (end - start) * min(1.0, covered)
    cosine = FINAL_FACTOR + (1 - FINAL_FACTOR) * 0.5 * (1 + math.cos(math.pi * progress))  # SGDR
    return cosine * min(1.0, (step + 1) / warmup_steps) if warmup_steps else cosine


def optimizer_tensors(optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """Returns the optimiser's moments as `parameter number/moment`."""
    state = optimizer.state_dict()["state"]
    return {f"{index}/{name}": value for index, moments in state.items() for name, value in moments.items()}


def restore_optimizer(optimizer: torch.optim.Optimizer, tensors: dict[str, Tensor]) -> None:
    """Loads the moments that `optimizer_tensors` returned for an optimiser of the same parameters."""
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    state: dict[int, dict[str, Tensor]] = {}
    for name, value in tensors.items():
        index, _, moment = name.partition("/")
        state.setdefault(int(index), {})[moment] = _in_memory_format_of(parameters[int(index)], value)
    optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})


def _in_memory_format_of(parameter: Tensor, value: Tensor) -> Tensor:
    """Copies a moment into the parameter's memory format: a fused step reads both as plain memory."""
    if value.shape != parameter.shape:
        return value
    return torch.empty_like(parameter, dtype=value.dtype, requires_grad=False).copy_(value)


class MovingAverage(Generic[Model]):
    """Exponential moving average (attribute `model`), which generalises better than the last weights.

    The fraction of the old average in an update grows from 0 to `decay` with the time constant
    `ramp_updates`, so that the first, random weights have little effect. The tensors of the model that it
    follows may change their values, not their memory.
    """

    def __init__(self, model: Model, decay: float, ramp_updates: float) -> None:
        self.model: Model = copy.deepcopy(model).eval().requires_grad_(False)
        self._average, self._followed = _floats(self.model), _floats(model)
        self.decay, self.ramp_updates = decay, ramp_updates
        self.updates = 0

    @torch.no_grad()
    def update(self) -> None:
        """Moves the average towards the current weights and running statistics of the model."""
        self.updates += 1
        weight = 1 - self.decay * (1 - math.exp(-self.updates / self.ramp_updates))  # 1 - decay of now
        torch._foreach_lerp_(self._average, self._followed, weight)


def _floats(model: nn.Module) -> list[Tensor]:  # without counters
    return [value for value in model.state_dict().values() if value.is_floating_point()]
