"""Darknet's activations as torch modules."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from seyolo.darknet.constants import GELU_CUBIC, GELU_LINEAR, LEAKY_SLOPE, RELIE_SLOPE, SELU_ALPHA, SELU_SCALE
from seyolo.darknet.sections import Activation


class Elementwise(nn.Module):
    """A function of every single number, for activations torch has no module for."""

    def __init__(self, function: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.function = function

    def forward(self, x: Tensor) -> Tensor:
        return self.function(x)


def hard_mish(x: Tensor) -> Tensor:
    """Returns x above 0, x²/2 + x down to -2, 0 below."""
    return x * (x * 0.5 + 1).clamp(0, 1)


def selu(x: Tensor) -> Tensor:
    """Returns SELU with Darknet's rounded constants."""
    return torch.where(x >= 0, SELU_SCALE * x, SELU_SCALE * SELU_ALPHA * torch.expm1(x.clamp(max=0)))


def gelu(x: Tensor) -> Tensor:
    """Returns GELU by tanh, with Darknet's rounded constants."""
    return 0.5 * x * (1 + torch.tanh(GELU_LINEAR * x + GELU_CUBIC * x**3))


def loggy(x: Tensor) -> Tensor:
    """Returns the logistic function, stretched to (-1, 1)."""
    return 2 * torch.sigmoid(x) - 1


def ramp(x: Tensor) -> Tensor:
    """Returns 0.1·x, and x more above 0."""
    return torch.relu(x) + 0.1 * x


def plse(x: Tensor) -> Tensor:
    """Returns x/8 + 1/2 between -4 and 4, nearly flat outside."""
    inside = x.clamp(-4, 4)
    return 0.125 * inside + 0.5 + 0.01 * (x - inside)


def lhtan(x: Tensor) -> Tensor:
    """Returns x between 0 and 1, nearly flat outside."""
    inside = x.clamp(0, 1)
    return inside + 0.001 * (x - inside)


def make_activation(name: Activation) -> nn.Module:
    """Returns the activation of that name in a cfg; the slope of leaky is 0.1."""
    factories: dict[Activation, Callable[[], nn.Module]] = {
        "linear": nn.Identity,
        # In place: batch normalisation and convolution do not need their output for the gradient.
        "leaky": lambda: nn.LeakyReLU(LEAKY_SLOPE, inplace=True),
        "relu": lambda: nn.ReLU(inplace=True),
        "relu6": nn.ReLU6,
        "logistic": nn.Sigmoid,
        "swish": nn.SiLU,
        "mish": nn.Mish,
        "hard_mish": lambda: Elementwise(hard_mish),
        "hardtan": nn.Hardtanh,
        "tanh": nn.Tanh,
        "elu": nn.ELU,
        "selu": lambda: Elementwise(selu),
        "gelu": lambda: Elementwise(gelu),
        "loggy": lambda: Elementwise(loggy),
        "relie": lambda: nn.LeakyReLU(RELIE_SLOPE),
        "ramp": lambda: Elementwise(ramp),
        "plse": lambda: Elementwise(plse),
        "lhtan": lambda: Elementwise(lhtan),
    }
    return factories[name]()
