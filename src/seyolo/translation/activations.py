"""ONNX nodes of Darknet's activations."""

from __future__ import annotations

from collections.abc import Callable

from seyolo.darknet.constants import GELU_CUBIC, GELU_LINEAR, LEAKY_SLOPE, RELIE_SLOPE, SELU_ALPHA, SELU_SCALE
from seyolo.darknet.sections import Activation
from seyolo.translation.builder import GraphBuilder


def activate(graph: GraphBuilder, value: str, activation: Activation) -> str:
    """Adds an activation."""

    def times(factor: str) -> str:
        return graph.node("Mul", [value, factor])

    def ramp() -> str:
        half = times(graph.constant(0.5))
        return graph.clip(graph.node("Add", [half, graph.constant(1.0)]), 0.0, 1.0)

    writers: dict[Activation, Callable[[], str]] = {
        "linear": lambda: value,
        "leaky": lambda: graph.node("LeakyRelu", [value], alpha=LEAKY_SLOPE),
        "relu": lambda: graph.node("Relu", [value]),
        "relu6": lambda: graph.clip(value, 0.0, 6.0),
        "logistic": lambda: graph.node("Sigmoid", [value]),
        "swish": lambda: times(graph.node("Sigmoid", [value])),
        "mish": lambda: times(graph.node("Tanh", [graph.node("Softplus", [value])])),  # Misra 2019
        "hard_mish": lambda: times(ramp()),
        "hardtan": lambda: graph.clip(value, -1.0, 1.0),
        "tanh": lambda: graph.node("Tanh", [value]),
        "elu": lambda: graph.node("Elu", [value]),
        "selu": lambda: graph.node("Selu", [value], alpha=SELU_ALPHA, gamma=SELU_SCALE),
        "gelu": lambda: _gelu(graph, value),
        "loggy": lambda: graph.affine(graph.node("Sigmoid", [value]), 2.0, -1.0),
        "relie": lambda: graph.node("LeakyRelu", [value], alpha=RELIE_SLOPE),
        "ramp": lambda: graph.node("Add", [graph.node("Relu", [value]), times(graph.constant(0.1))]),
        "plse": lambda: _flattened(graph, value, (-4.0, 4.0), 0.01, (0.125, 0.5)),
        "lhtan": lambda: _flattened(graph, value, (0.0, 1.0), 0.001, (1.0, 0.0)),
    }
    return writers[activation]()


def _gelu(graph: GraphBuilder, value: str) -> str:
    square = graph.node("Mul", [value, value])  # x/2·(1 + tanh(√(2/π)·(x + 0.0447 x³)))
    inner = graph.node("Mul", [value, graph.affine(square, GELU_CUBIC, GELU_LINEAR)])
    return graph.node("Mul", [value, graph.affine(graph.node("Tanh", [inner]), 0.5, 0.5)])


def _flattened(
    graph: GraphBuilder, value: str, bounds: tuple[float, float], slope: float, line: tuple[float, float]
) -> str:
    """Adds factor · x + added, the numbers of `line`, inside the bounds, and `slope` outside."""
    inside = graph.clip(value, *bounds)
    outside = graph.node("Mul", [graph.node("Sub", [value, inside]), graph.constant(slope)])
    return graph.node("Add", [graph.affine(inside, *line), outside])
