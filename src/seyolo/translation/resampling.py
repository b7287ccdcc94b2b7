"""ONNX nodes of `[upsample]`, `[reorg]` and `[reorg3d]`."""

from __future__ import annotations

import numpy as np

from seyolo.darknet.sections import Reorg, Reorg3d, Upsample
from seyolo.translation.builder import GraphBuilder, Layer, WriterTable


def enlarged(graph: GraphBuilder, value: str, factor: int) -> str:
    """Adds a resize by the nearest neighbour."""
    scales = graph.constant([1, 1, factor, factor])
    sampling = {"nearest_mode": "floor", "coordinate_transformation_mode": "asymmetric"}
    return graph.node("Resize", [value, "", scales], mode="nearest", **sampling)


def _upsample(graph: GraphBuilder, section: Upsample, layer: Layer) -> str:
    value = enlarged(graph, layer.inputs[0], section.stride)
    return value if section.scale == 1.0 else graph.node("Mul", [value, graph.constant(section.scale)])


def _reorg(graph: GraphBuilder, section: Reorg, layer: Layer) -> str:
    front, step = layer.read[0], section.stride
    spread = [-1, front.channels // step**2, front.height * step, front.width * step]
    value = graph.node("Reshape", [layer.inputs[0], graph.constant(spread, np.int64)])
    mixed = graph.node("SpaceToDepth", [value], blocksize=step)
    return graph.node("Reshape", [mixed, graph.constant([-1, *layer.shape], np.int64)])


def _reorg3d(graph: GraphBuilder, section: Reorg3d, layer: Layer) -> str:
    return graph.node("SpaceToDepth", layer.inputs, blocksize=section.stride)


WRITERS: WriterTable = {Upsample: _upsample, Reorg: _reorg, Reorg3d: _reorg3d}
