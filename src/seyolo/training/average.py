"""Exponential moving average of a model's weights, which generalises better than the last step."""

from __future__ import annotations

import copy
import math
from typing import Generic, TypeVar

import torch
from torch import Tensor, nn

Model = TypeVar("Model", bound=nn.Module)


class MovingAverage(Generic[Model]):
    """Averaged copy of a model.

    The decay grows from 0 to `decay` as `decay · (1 - exp(-updates / ramp_updates))`, so that the first,
    random weights have little effect.

    Args:
        model: the values of its tensors may change, their memory may not.
        decay: final fraction of the old average in an update.
        ramp_updates: time constant of the growth.

    Attributes:
        model: the average.
        updates: number of updates so far.
    """

    def __init__(self, model: Model, decay: float, ramp_updates: float) -> None:
        self.model: Model = copy.deepcopy(model).eval().requires_grad_(False)
        self._average, self._followed = _floats(self.model), _floats(model)
        self.decay = decay
        self.ramp_updates = ramp_updates
        self.updates = 0

    @torch.no_grad()
    def update(self) -> None:
        """Moves the average towards the current weights and running statistics of the model."""
        self.updates += 1
        weight = 1 - self.decay * (1 - math.exp(-self.updates / self.ramp_updates))
        torch._foreach_lerp_(self._average, self._followed, weight)


def _floats(model: nn.Module) -> list[Tensor]:
    """Returns the averaged tensors of a model, without counters."""
    return [value for value in model.state_dict().values() if value.is_floating_point()]
