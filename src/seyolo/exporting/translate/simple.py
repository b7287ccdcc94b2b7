"""ONNX nodes of `[dropout]` and `[implicit]`."""

from __future__ import annotations

from seyolo.darknet.sections import Dropout, Implicit
from seyolo.exporting.translate.builder import GraphBuilder, Layer, WriterTable


def _dropout(_: GraphBuilder, __: Dropout, layer: Layer) -> str:
    return layer.inputs[0]


def _implicit(graph: GraphBuilder, section: Implicit, layer: Layer) -> str:
    return graph.constant(graph.state[f"layers.{layer.index}.weights"].reshape(1, section.filters, 1, 1))


WRITERS: WriterTable = {Dropout: _dropout, Implicit: _implicit}
