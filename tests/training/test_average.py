"""The moving average, worked by hand."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from seyolo.training.optimizer import MovingAverage


def one_number(value: float) -> nn.BatchNorm2d:
    """A module with one scale and one running mean, both `value`."""
    model = nn.BatchNorm2d(1)
    nn.init.constant_(model.weight, value)
    model.running_mean.fill_(value)
    return model


def test_two_updates_by_hand() -> None:
    model = one_number(1.0)
    average = MovingAverage(model, decay=0.9, ramp_updates=2.0)
    for name in ("weight", "running_mean"):
        getattr(model, name).data.fill_(3.0)
    average.update()
    # decay 0.9 (1 - e^-1/2) = 0.354: 0.354 * 1 + 0.646 * 3
    first = 0.9 * (1 - math.exp(-0.5))
    expected = first * 1 + (1 - first) * 3
    assert expected == pytest.approx(2.292, abs=1e-3)
    assert average.model.weight.item() == pytest.approx(expected)
    assert average.model.running_mean.item() == pytest.approx(expected)
    model.weight.data.fill_(5.0)
    average.update()
    # decay 0.9 (1 - e^-1) = 0.569
    second = 0.9 * (1 - math.exp(-1))
    assert average.model.weight.item() == pytest.approx(second * expected + (1 - second) * 5)
    assert model.weight.item() == 5.0


def test_a_resumed_average_goes_on_with_the_same_decay() -> None:
    models = one_number(1.0), one_number(1.0)
    whole, resumed = (MovingAverage(model, 0.9, 2.0) for model in models)
    whole.updates = resumed.updates = 7
    for model, average in zip(models, (whole, resumed), strict=True):
        nn.init.constant_(model.weight, 2.0)
        average.update()
    assert resumed.updates == 8
    assert resumed.model.weight.item() == whole.model.weight.item()


def test_counters_stay_and_the_average_only_infers() -> None:
    model = one_number(1.0)
    average = MovingAverage(model, decay=0.9, ramp_updates=2.0)
    model(torch.rand(2, 1, 2, 2))
    average.update()
    assert average.model.num_batches_tracked == 0
    assert not average.model.training
    assert not any(parameter.requires_grad for parameter in average.model.parameters())
