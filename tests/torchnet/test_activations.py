"""Activations against Darknet's formulas, written here number by number."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from seyolo.torchnet.activations import make_activation

ACTIVATIONS = {
    "linear": lambda x: x,
    "leaky": lambda x: x if x > 0 else 0.1 * x,
    "relu": lambda x: max(x, 0.0),
    "relu6": lambda x: min(max(x, 0.0), 6.0),
    "logistic": lambda x: 1 / (1 + math.exp(-x)),
    "swish": lambda x: x / (1 + math.exp(-x)),
    "mish": lambda x: x * math.tanh(math.log1p(math.exp(x))),
    "hard_mish": lambda x: x if x > 0 else x * x / 2 + x if x > -2 else 0.0,
    "hardtan": lambda x: min(max(x, -1.0), 1.0),
    "tanh": lambda x: 2 / (1 + math.exp(-2 * x)) - 1,
    "elu": lambda x: x if x >= 0 else math.exp(x) - 1,
    "selu": lambda x: 1.0507 * x if x >= 0 else 1.0507 * 1.6732 * (math.exp(x) - 1),
    "gelu": lambda x: 0.5 * x * (1 + math.tanh(0.797885 * x + 0.035677 * x**3)),
    "loggy": lambda x: 2 / (1 + math.exp(-x)) - 1,
    "relie": lambda x: x if x > 0 else 0.01 * x,
    "ramp": lambda x: x * (x > 0) + 0.1 * x,
    "plse": lambda x: 0.01 * (x + 4) if x < -4 else 0.01 * (x - 4) + 1 if x > 4 else 0.125 * x + 0.5,
    "lhtan": lambda x: 0.001 * x if x < 0 else 0.001 * (x - 1) + 1 if x > 1 else x,
}


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_activations_are_darknets(name: str) -> None:
    points = [-7.0, -2.5, -2.0, -1.0, -0.3, 0.0, 0.4, 1.0, 3.0, 6.5]
    actual = make_activation(name)(torch.tensor(points, dtype=torch.float64))  # type: ignore[arg-type]
    np.testing.assert_allclose(actual, [ACTIVATIONS[name](x) for x in points], atol=1e-12)
