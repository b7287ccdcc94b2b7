"""ONNX nodes of `[route]` and `[shortcut]`."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from seyolo.darknet.constants import SHORTCUT_EPSILON
from seyolo.darknet.graph import Shape
from seyolo.darknet.sections import Route, Shortcut, WeightsNormalization, overlap
from seyolo.translation.activations import activate
from seyolo.translation.builder import GraphBuilder, Layer, WriterTable
from seyolo.translation.resampling import enlarged


def _route(graph: GraphBuilder, section: Route, layer: Layer) -> str:
    parts = layer.inputs
    if section.groups > 1:
        widths = [shape.channels // section.groups for shape in layer.read]
        parts = [
            graph.slice(value, width * section.group_id, width * (section.group_id + 1), 1)
            for value, width in zip(layer.inputs, widths, strict=True)
        ]
    return parts[0] if len(parts) == 1 else graph.node("Concat", parts, axis=1)


def _shortcut(graph: GraphBuilder, section: Shortcut, layer: Layer) -> str:
    inputs = layer.inputs if section.weights_type == "none" else _weighted(graph, section, layer)
    total, width = inputs[0], layer.read[0].channels
    for other, shape in zip(inputs[1:], layer.read[1:], strict=True):
        fitted = _fitted(graph, other, shape, layer.shape)
        total = _add_shared(graph, total, width, fitted, shape.channels)
    return activate(graph, total, section.activation)


def _fitted(graph: GraphBuilder, value: str, shape: Shape, front: Shape) -> str:
    """Returns a value at the size of the layer in front, 0 where nothing is added, see `overlap`."""
    if shape.size == front.size:
        return value
    step, spread, size = overlap(front.size, shape.size)
    ends = [(side - 1) * step + 1 for side in size]
    bounds = [graph.constant(numbers, np.int64) for numbers in ([0, 0], ends, [2, 3], [step, step])]
    value = graph.node("Slice", [value, *bounds])
    reached = tuple(side * spread for side in size)
    if spread > 1:
        value = enlarged(graph, value, spread)
        mask = np.zeros((1, 1, *reached), np.float32)
        mask[..., ::spread, ::spread] = 1
        value = graph.node("Mul", [value, graph.constant(mask)])
    rest = [front.height - reached[0], front.width - reached[1]]
    return graph.node("Pad", [value, graph.constant([0] * 6 + rest, np.int64)]) if any(rest) else value


def _weighted(graph: GraphBuilder, section: Shortcut, layer: Layer) -> list[str]:
    """Adds the inputs of a shortcut times their weights, each with only the channels that are added."""
    weights = graph.state[f"layers.{layer.index}.weights"]
    shares = shortcut_shares(weights, section.weights_normalization)
    weighted = []
    for value, share, shape in zip(layer.inputs, shares, layer.read, strict=True):
        shared = min(shape.channels, layer.read[0].channels)
        part = value if shared == shape.channels else graph.slice(value, 0, shared, 1)
        factors = graph.constant(np.reshape(share, (1, -1, 1, 1))[:, :shared])
        weighted.append(graph.node("Mul", [part, factors]))
    return weighted


def shortcut_shares(weights: NDArray[Any], normalization: WeightsNormalization) -> NDArray[np.float64]:
    """Returns the factor of each input of a weighted shortcut: (inputs,) or (inputs, channels)."""
    weights = weights.astype(np.float64)
    if normalization == "none":
        return weights
    if normalization == "softmax":
        positive = np.exp(weights - weights.max(axis=0, keepdims=True))
    else:
        positive = np.maximum(weights, 0)  # fast normalised fusion (Tan 2020)
    shares: NDArray[np.float64] = positive / (positive.sum(0, keepdims=True) + SHORTCUT_EPSILON)
    return shares


def _add_shared(graph: GraphBuilder, front: str, width: int, other: str, other_width: int) -> str:
    """Adds the sum of the first min(c) channels, with the rest of those in front behind it."""
    if other_width >= width:
        other = other if other_width == width else graph.slice(other, 0, width, 1)
        return graph.node("Add", [front, other])
    shared = graph.node("Add", [graph.slice(front, 0, other_width, 1), other])
    return graph.node("Concat", [shared, graph.slice(front, other_width, width, 1)], axis=1)


WRITERS: WriterTable = {Route: _route, Shortcut: _shortcut}
