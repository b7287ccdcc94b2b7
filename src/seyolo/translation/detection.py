"""ONNX nodes of `[yolo]` and `[region]`: decoding, as in `torchnet.head`.

Shape letters: N images, A anchors, H and W cells, C classes, P = H·W·A predictions of one layer.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from seyolo.darknet.constants import MAX_LOG_SIZE
from seyolo.darknet.graph import Shape
from seyolo.darknet.sections import Detection, Region, Yolo
from seyolo.translation.builder import GraphBuilder, Layer, WriterTable


def num_predictions(section: Detection, shape: Shape) -> int:  # P
    return shape.height * shape.width * len(section.masked_anchors)


def _detection(graph: GraphBuilder, section: Detection, layer: Layer) -> str:
    shape = layer.shape
    stride_xy = np.array([graph.image_size[1] / shape.width, graph.image_size[0] / shape.height])
    anchors = np.asarray(section.masked_anchors, np.float64)
    if isinstance(section, Region):
        anchors = anchors * stride_xy
    last = graph.node("Transpose", layer.inputs, perm=[0, 2, 3, 1])
    rows_shape = [-1, num_predictions(section, shape), 5 + section.classes]
    rows = graph.node("Reshape", [last, graph.constant(rows_shape, np.int64)])
    offsets, sizes = graph.slice(rows, 0, 2, 2), graph.slice(rows, 2, 4, 2)
    scores = graph.slice(rows, 4, 5 + section.classes, 2)
    if isinstance(section, Yolo) and section.new_coords:
        factors = graph.node("Mul", [sizes, sizes])  # (2 t_w)²·p_w of Scaled-YOLOv4
        anchors = 4 * anchors
    else:
        offsets, scores = graph.node("Sigmoid", [offsets]), _probabilities(graph, section, scores)
        factors = graph.node("Exp", [graph.clip(sizes, None, MAX_LOG_SIZE)])  # e^t_w·p_w of YOLOv2
    scale_x_y = section.scale_x_y if isinstance(section, Yolo) else 1.0
    stretched = graph.node("Mul", [offsets, graph.constant(stride_xy * scale_x_y)])  # s·σ(t_x)·stride
    origins = _origins(shape, stride_xy, scale_x_y, len(anchors))
    centres = graph.node("Add", [stretched, graph.constant(origins)])
    scale_wh = np.tile(anchors, (shape.height * shape.width, 1))
    boxes = graph.node("Mul", [factors, graph.constant(scale_wh)])
    return graph.node("Concat", [centres, boxes, scores], axis=2)


def _probabilities(graph: GraphBuilder, section: Detection, scores: str) -> str:
    """Adds probabilities of objectness and class logits (N, P, 1+C)."""
    if isinstance(section, Yolo):
        return graph.node("Sigmoid", [scores])
    objectness = graph.node("Sigmoid", [graph.slice(scores, 0, 1, 2)])
    classes = graph.node("Softmax", [graph.slice(scores, 1, 1 + section.classes, 2)], axis=2)
    return graph.node("Concat", [objectness, classes], axis=2)


def _origins(shape: Shape, stride_xy: NDArray[Any], scale_x_y: float, num_anchors: int) -> NDArray[Any]:
    """Returns, per prediction, the centre in input pixels that an offset of 0 gives, (P, 2)."""
    rows, columns = np.mgrid[: shape.height, : shape.width]
    corners = np.stack([columns.ravel(), rows.ravel()], axis=1) - (scale_x_y - 1) / 2  # c_x - (s - 1) / 2
    return np.repeat(corners * stride_xy, num_anchors, axis=0)


WRITERS: WriterTable = {Yolo: _detection, Region: _detection}
