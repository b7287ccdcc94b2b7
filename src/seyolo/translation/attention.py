"""ONNX nodes of `[scale_channels]`, `[sam]` and `[cbam]`."""

from __future__ import annotations

import numpy as np

from seyolo.darknet.sections import Cbam, Sam, ScaleChannels
from seyolo.translation.activations import activate
from seyolo.translation.builder import ONES, GraphBuilder, Layer, WriterTable


def _multiply(graph: GraphBuilder, section: ScaleChannels | Sam, layer: Layer) -> str:
    factors, features = layer.inputs
    return activate(graph, graph.node("Mul", [features, factors]), section.activation)


def _cbam(graph: GraphBuilder, section: Cbam, layer: Layer) -> str:
    features = layer.inputs[0]
    gated = graph.node("Mul", [features, _channel_gate(graph, features, layer.index)])  # M_c(F) ⊗ F
    maps = [graph.node(reduce, [gated], axes=[1], keepdims=1) for reduce in ("ReduceMean", "ReduceMax")]
    if section.floor:
        maps[1] = graph.node("Relu", [maps[1]])
    joined = graph.node("Concat", maps, axis=1)
    pads = [section.size // 2] * 4
    logits = graph.convolution(joined, f"layers.{layer.index}.spatial", section.size, pads=pads)
    gate = _on_every_channel(graph, graph.node("Sigmoid", [logits]), layer.read[0].channels)
    gated = graph.node("Mul", [gated, gate])  # M_s(F') ⊗ F'
    return graph.node("Add", [features, gated]) if section.join == "add" else gated


def _on_every_channel(graph: GraphBuilder, gate: str, channels: int) -> str:
    """Repeats a map by a convolution of ones: OpenCV 5 cannot multiply all channels by one."""
    ones = graph.constant(np.ones((channels, 1, 1, 1)), name=f"layer{graph.layer}{ONES}")
    return graph.node("Conv", [gate, ones], kernel_shape=[1, 1])


def _channel_gate(graph: GraphBuilder, features: str, index: int) -> str:
    # The shared MLP runs once, on both pooled vectors as two rows.
    pools = [graph.node(pool, [features]) for pool in ("GlobalAveragePool", "GlobalMaxPool")]
    hidden = graph.convolution(graph.node("Concat", pools, axis=2), f"layers.{index}.squeeze", 1)
    answers = graph.convolution(graph.node("Relu", [hidden]), f"layers.{index}.excite", 1)
    total = graph.node("Add", [graph.slice(answers, row, row + 1, 2) for row in (0, 1)])
    return graph.node("Sigmoid", [total])


WRITERS: WriterTable = {ScaleChannels: _multiply, Sam: _multiply, Cbam: _cbam}
