"""Optimiser, learning-rate schedule, and the moving average of the weights."""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping, Sequence
from typing import Any, Generic, TypeVar

import torch
from torch import Tensor, nn

from seyolo.options.training import OptimizerName
from seyolo.training.muon import KernelMuon, kernels_for_muon

FINAL_FACTOR = 0.01  # learning rate at the end of the cosine, as a fraction of its peak

Model = TypeVar("Model", bound=nn.Module)


class JointOptimizer:
    """Optimisers of parts of a model's parameters, used as one."""

    def __init__(self, model: nn.Module, parts: Sequence[torch.optim.Optimizer]) -> None:
        self._model, self.parts = model, tuple(parts)

    @property
    def param_groups(self) -> list[dict[str, Any]]:
        """The groups of all parts, with their `name` and with `rate`, a factor of the learning rate."""
        return [group for part in self.parts for group in part.param_groups]

    def zero_grad(self) -> None:
        self._model.zero_grad()

    def step(self) -> None:
        for part in self.parts:
            part.step()


def make_optimizer(
    model: nn.Module, learning_rate: float, weight_decay: float, device: torch.device, name: OptimizerName
) -> JointOptimizer:
    """Returns AdamW with weight decay on convolution kernels only, not on biases or batch normalisation.

    With `muon`, that trains the kernels in front of batch normalisation (`kernels_for_muon`). The scales of
    batch normalisation form the group `name="scales"`, because sparsity training changes them.
    """
    by_muon = kernels_for_muon(model) if name == "muon" else []
    taken = set(map(id, by_muon))
    parameters: dict[str, list[nn.Parameter]] = {"kernels": [], "scales": [], "others": []}
    for module in model.modules():
        weight_group = "scales" if isinstance(module, nn.BatchNorm2d) else "kernels"
        for key, parameter in module.named_parameters(recurse=False):
            if id(parameter) not in taken:
                parameters[weight_group if key == "weight" else "others"].append(parameter)
    present = [
        {
            "name": key,
            "params": params,
            "weight_decay": weight_decay if key == "kernels" else 0.0,
            "rate": 1.0,
        }
        for key, params in parameters.items()
        if params
    ]
    fused = device.type in ("cpu", "cuda")
    adamw = torch.optim.AdamW(present, lr=learning_rate, betas=(0.9, 0.999), fused=fused)  # Loshchilov 2019
    muon = [KernelMuon(by_muon, learning_rate, weight_decay)] if by_muon else []
    return JointOptimizer(model, [adamw, *muon])


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


def optimizer_tensors(optimizer: JointOptimizer) -> dict[str, Tensor]:
    """Returns the optimiser's moments as `parameter number/moment`."""
    first, tensors = 0, dict[str, Tensor]()
    for part in optimizer.parts:
        for index, moments in part.state_dict()["state"].items():
            tensors |= {f"{first + index}/{name}": value for name, value in moments.items()}
        first += len(_parameters(part))
    return tensors


def restore_optimizer(optimizer: JointOptimizer, tensors: Mapping[str, Tensor]) -> None:
    """Loads the moments that `optimizer_tensors` returned for an optimiser of the same parameters."""
    first = 0
    for part in optimizer.parts:
        parameters = _parameters(part)
        state: dict[int, dict[str, Tensor]] = {}
        for name, value in tensors.items():
            number, _, moment = name.partition("/")
            if 0 <= (index := int(number) - first) < len(parameters):
                state.setdefault(index, {})[moment] = _in_memory_format_of(parameters[index], value)
        part.load_state_dict({"state": state, "param_groups": part.state_dict()["param_groups"]})
        first += len(parameters)


def _parameters(part: torch.optim.Optimizer) -> list[nn.Parameter]:
    return [parameter for group in part.param_groups for parameter in group["params"]]


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
