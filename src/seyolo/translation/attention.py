"""ONNX nodes of `[scale_channels]`, `[sam]`, `[cbam]`, `[eca]`, `[coordatt]` and `[simam]`."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from seyolo.darknet.constants import SIMAM_LAMBDA
from seyolo.darknet.sections import Cbam, CoordAtt, Eca, OwnGate, Sam, ScaleChannels, SimAm
from seyolo.translation.activations import activate
from seyolo.translation.builder import BAND, ONES, GraphBuilder, Layer, WriterTable


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


def _gated(graph: GraphBuilder, section: OwnGate, layer: Layer, gate: str) -> str:
    added = section.gain if section.join == "add" else 0.0
    factors = graph.affine(gate, section.gain, added) if added or section.gain != 1 else gate
    return graph.node("Mul", [layer.inputs[0], factors])


def _eca(graph: GraphBuilder, section: Eca, layer: Layer) -> str:
    means = graph.node("GlobalAveragePool", layer.inputs)
    name, num_channels = f"layers.{layer.index}.conv.weight", layer.read[0].channels
    if section.positions:
        band = graph.constant(_band(section, graph.state[name]), name=f"layer{graph.layer}{BAND}")
        logits = graph.node("Conv", [means, band], kernel_shape=[1, 1])
    else:
        line, column = (
            graph.constant(shape, np.int64) for shape in ([-1, 1, num_channels, 1], [-1, num_channels, 1, 1])
        )
        pads = [section.size // 2, 0] * 2
        inputs = [graph.node("Reshape", [means, line]), graph.tensor(name)]
        logits = graph.node("Conv", inputs, kernel_shape=[section.size, 1], pads=pads)
        logits = graph.node("Reshape", [logits, column])
    return _gated(graph, section, layer, graph.node("Sigmoid", [logits]))


def _band(section: Eca, kernel: NDArray[Any]) -> NDArray[np.float32]:
    """Returns the (C, C, 1, 1) kernel that answers as ECA's does among pruned neighbours."""
    places = np.array(section.positions)
    taps = places - places[:, None] + section.size // 2
    inside = (taps >= 0) & (taps < section.size)
    band = np.where(inside, kernel.ravel()[np.clip(taps, 0, section.size - 1)], 0)
    return band[:, :, None, None].astype(np.float32)


def _coordatt(graph: GraphBuilder, section: CoordAtt, layer: Layer) -> str:
    gates = []
    for axis, name in ((3, "rows"), (2, "columns")):
        means = graph.node("ReduceMean", layer.inputs, axes=[axis], keepdims=1)
        hidden = graph.convolution(means, f"layers.{layer.index}.conv", 1)
        half_open = graph.clip(graph.affine(hidden, 1 / 6, 0.5), 0.0, 1.0)
        hidden = graph.node("Mul", [hidden, half_open])  # hard swish
        logits = graph.convolution(hidden, f"layers.{layer.index}.{name}", 1)
        gates.append(graph.node("Sigmoid", [logits]))
    return _gated(graph, section, layer, graph.node("Mul", gates))


def _simam(graph: GraphBuilder, section: SimAm, layer: Layer) -> str:
    (features,), num_pixels = layer.inputs, layer.read[0].height * layer.read[0].width
    centred = graph.node("Sub", [features, graph.node("GlobalAveragePool", [features])])
    squares = graph.node("Mul", [centred, centred])
    mean = graph.node("GlobalAveragePool", [squares])
    spread = graph.affine(mean, 4 * num_pixels / max(1, num_pixels - 1), 4 * SIMAM_LAMBDA)  # 4 (v + λ)
    energy = graph.node("Add", [graph.node("Div", [squares, spread]), graph.constant(0.5)])
    return _gated(graph, section, layer, graph.node("Sigmoid", [energy]))


WRITERS: WriterTable = {
    ScaleChannels: _multiply,
    Sam: _multiply,
    Cbam: _cbam,
    Eca: _eca,
    CoordAtt: _coordatt,
    SimAm: _simam,
}
