"""ONNX nodes of `[maxpool]`, `[local_avgpool]` and `[avgpool]`."""

from __future__ import annotations

from typing import Any

from seyolo.darknet.sections import AvgPool, LocalAvgPool, MaxPool
from seyolo.translation.builder import GraphBuilder, Layer, WriterTable


def _max_pool(graph: GraphBuilder, section: MaxPool, layer: Layer) -> str:
    if not section.maxpool_depth:
        return graph.node("MaxPool", layer.inputs, **_window(section))
    width, step = layer.read[0].channels, section.out_channels
    parts = [graph.slice(layer.inputs[0], start, start + step, 1) for start in range(0, width, step)]
    return parts[0] if len(parts) == 1 else graph.node("Max", parts)


def _local_avg_pool(graph: GraphBuilder, section: LocalAvgPool, layer: Layer) -> str:
    return graph.node("AveragePool", layer.inputs, count_include_pad=0, **_window(section))


def _avg_pool(graph: GraphBuilder, _: AvgPool, layer: Layer) -> str:
    return graph.node("GlobalAveragePool", layer.inputs)


def _window(section: MaxPool | LocalAvgPool) -> dict[str, Any]:
    """Returns the attributes of a pooling node."""
    before = section.padding_px // 2
    pads = [before] * 2 + [section.padding_px - before] * 2
    return {"kernel_shape": [section.kernel_px] * 2, "strides": section.strides, "pads": pads}


WRITERS: WriterTable = {MaxPool: _max_pool, LocalAvgPool: _local_avg_pool, AvgPool: _avg_pool}
