"""ONNX nodes of `[convolutional]`, `[implicit]` and `[dropout]`."""

from __future__ import annotations

from seyolo.darknet.sections import Convolutional, Dropout, Implicit
from seyolo.translation.activations import activate
from seyolo.translation.builder import GraphBuilder, Layer, WriterTable


def _convolution(graph: GraphBuilder, section: Convolutional, layer: Layer) -> str:
    value = graph.convolution(
        layer.inputs[0],
        f"layers.{layer.index}.conv",
        section.size,
        strides=section.strides,
        pads=[section.padding_px] * 4,
        dilations=[section.kernel_dilation] * 2,
        group=section.groups,
    )
    return activate(graph, value, section.activation)


def _implicit(graph: GraphBuilder, section: Implicit, layer: Layer) -> str:
    return graph.constant(graph.state[f"layers.{layer.index}.weights"].reshape(1, section.filters, 1, 1))


def _dropout(_: GraphBuilder, __: Dropout, layer: Layer) -> str:
    return layer.inputs[0]


WRITERS: WriterTable = {Convolutional: _convolution, Implicit: _implicit, Dropout: _dropout}
