"""ONNX nodes of `[convolutional]`."""

from __future__ import annotations

from seyolo.darknet.sections import Convolutional
from seyolo.exporting.translate.activations import activate
from seyolo.exporting.translate.builder import GraphBuilder, Layer, WriterTable


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


WRITERS: WriterTable = {Convolutional: _convolution}
