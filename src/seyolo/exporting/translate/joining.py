"""ONNX nodes of `[route]` and `[shortcut]`."""

from __future__ import annotations

import numpy as np
import torch

from seyolo.darknet.sections import Route, Shortcut
from seyolo.exporting.translate.activations import activate
from seyolo.exporting.translate.builder import GraphBuilder, Layer, WriterTable
from seyolo.torchnet.layers import shortcut_shares


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
        total = _add_shared(graph, total, width, other, shape.channels)
    return activate(graph, total, section.activation)


def _weighted(graph: GraphBuilder, section: Shortcut, layer: Layer) -> list[str]:
    """Adds the inputs of a shortcut times their weights, each with only the channels that are added."""
    weights = torch.from_numpy(graph.state[f"layers.{layer.index}.weights"])
    shares = shortcut_shares(weights, section.weights_normalization).numpy()
    weighted = []
    for value, share, shape in zip(layer.inputs, shares, layer.read, strict=True):
        shared = min(shape.channels, layer.read[0].channels)
        part = value if shared == shape.channels else graph.slice(value, 0, shared, 1)
        factors = graph.constant(np.reshape(share, (1, -1, 1, 1))[:, :shared])
        weighted.append(graph.node("Mul", [part, factors]))
    return weighted


def _add_shared(graph: GraphBuilder, front: str, width: int, other: str, other_width: int) -> str:
    """Adds the sum of the first min(c) channels, with the rest of those in front behind it."""
    if other_width >= width:
        other = other if other_width == width else graph.slice(other, 0, width, 1)
        return graph.node("Add", [front, other])
    shared = graph.node("Add", [graph.slice(front, 0, other_width, 1), other])
    return graph.node("Concat", [shared, graph.slice(front, other_width, width, 1)], axis=1)


WRITERS: WriterTable = {Route: _route, Shortcut: _shortcut}
