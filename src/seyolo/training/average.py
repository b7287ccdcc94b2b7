"""An exponential moving average of a model's weights, which generalises better than the last step."""

from __future__ import annotations

import copy
import math
from typing import Generic, TypeVar

import torch
from torch import Tensor, nn

Model = TypeVar("Model", bound=nn.Module)


class MovingAverage(Generic[Model]):
    """Keeps an averaged copy of a model.

    The decay grows from 0 to `decay` as `decay · (1 - exp(-updates / ramp_updates))`, so that the first,
    random weights are forgotten quickly.

    Args:
        model: the model to follow; copied. Its tensors may change their values and not their places.
        decay: the share of the old average kept in one update once ramped up.
        ramp_updates: how slowly the decay grows.
        updates: updates already made, when a run is resumed.
    """

    def __init__(self, model: Model, decay: float, ramp_updates: float, updates: int = 0) -> None:
        self.model: Model = copy.deepcopy(model).eval().requires_grad_(False)
        self._mine, self._theirs = _averaged(self.model), _averaged(model)
        self.decay = decay
        self.ramp_updates = ramp_updates
        self.updates = updates

    @torch.no_grad()
    def update(self) -> None:
        """Moves the average towards the weights and running statistics that the model has now."""
        self.updates += 1
        weight = 1 - self.decay * (1 - math.exp(-self.updates / self.ramp_updates))
        torch._foreach_lerp_(self._mine, self._theirs, weight)


def _averaged(model: nn.Module) -> list[Tensor]:
    """The tensors of a model that are averaged; counters are not."""
    return [value for value in model.state_dict().values() if value.is_floating_point()]
