"""Non-maximum suppression inside an ONNX graph, from ONNX's own operators; and in numpy, to check it."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
from jaxtyping import Float32
from onnx import TensorProto, helper, numpy_helper

from seyolo.boxes import cxcywh_to_xyxy, suppress


def append_nms(
    proto: onnx.ModelProto, confidence: float, iou_threshold: float, max_detections: int
) -> onnx.ModelProto:
    """A copy of the graph whose output is `detections` (M, 7) instead of `raw` (N, P, 5+C).

    Rows are picture number, x0, y0, x1, y1, score, class. `max_detections` counts per picture and class, as
    the operator does.
    """
    result = onnx.ModelProto()
    result.CopyFrom(proto)
    result.graph.initializer.extend(_constants(confidence, iou_threshold, max_detections))
    result.graph.node.extend(_nodes())
    del result.graph.output[:]
    output = helper.make_tensor_value_info("detections", TensorProto.FLOAT, ["num_detections", 7])
    result.graph.output.append(output)
    return result


def _constants(confidence: float, iou_threshold: float, max_detections: int) -> list[TensorProto]:
    values: dict[str, np.ndarray[Any, Any]] = {
        "nms_half": np.array(0.5, np.float32),
        "nms_confidence": np.array([confidence], np.float32),
        "nms_iou": np.array([iou_threshold], np.float32),
        "nms_max": np.array([max_detections], np.int64),
        "nms_box_index": np.array([0, 2], np.int64),
    }
    bounds = {f"nms_{value}": np.array([value], np.int64) for value in (0, 1, 2, 4, 5)}
    bounds["nms_end"] = np.array([np.iinfo(np.int64).max], np.int64)
    return [numpy_helper.from_array(value, name) for name, value in (values | bounds).items()]


def _nodes() -> list[onnx.NodeProto]:
    return [*_corner_nodes(), *_score_nodes(), *_selection_nodes()]


def _columns(source: str, start: str, end: str, output: str, axis: str = "nms_2") -> onnx.NodeProto:
    return helper.make_node("Slice", [source, f"nms_{start}", f"nms_{end}", axis], [output])


def _corner_nodes() -> list[onnx.NodeProto]:
    """`raw` to corners (N, P, 4)."""
    node = helper.make_node
    return [
        _columns("raw", "0", "2", "nms_centres"),
        _columns("raw", "2", "4", "nms_sizes"),
        node("Mul", ["nms_sizes", "nms_half"], ["nms_reach"]),
        node("Sub", ["nms_centres", "nms_reach"], ["nms_first_corners"]),
        node("Add", ["nms_centres", "nms_reach"], ["nms_second_corners"]),
        node("Concat", ["nms_first_corners", "nms_second_corners"], ["nms_corners"], axis=2),
    ]


def _score_nodes() -> list[onnx.NodeProto]:
    """`raw` to scores (N, C, P): objectness times class probability."""
    node = helper.make_node
    return [
        _columns("raw", "4", "5", "nms_objectness"),
        _columns("raw", "5", "end", "nms_classes"),
        node("Mul", ["nms_objectness", "nms_classes"], ["nms_products"]),
        node("Transpose", ["nms_products"], ["nms_scores"], perm=[0, 2, 1]),
    ]


def _selection_nodes() -> list[onnx.NodeProto]:
    """Suppression, and the rows of `detections` gathered by its (picture, class, box) triples."""
    node = helper.make_node
    # The operator reads (y, x) pairs; overlap is the same with the axes swapped, so (x, y) serve as well.
    inputs = ["nms_corners", "nms_scores", "nms_max", "nms_iou", "nms_confidence"]
    return [
        node("NonMaxSuppression", inputs, ["nms_chosen"]),
        node("Gather", ["nms_chosen", "nms_box_index"], ["nms_picture_box"], axis=1),
        node("GatherND", ["nms_corners", "nms_picture_box"], ["nms_boxes"]),
        node("GatherND", ["nms_scores", "nms_chosen"], ["nms_chosen_scores"]),
        node("Unsqueeze", ["nms_chosen_scores", "nms_1"], ["nms_score_column"]),
        node("Cast", ["nms_chosen"], ["nms_numbers"], to=TensorProto.FLOAT),
        _columns("nms_numbers", "0", "1", "nms_pictures", axis="nms_1"),
        _columns("nms_numbers", "1", "2", "nms_class_ids", axis="nms_1"),
        node(
            "Concat",
            ["nms_pictures", "nms_boxes", "nms_score_column", "nms_class_ids"],
            ["detections"],
            axis=1,
        ),
    ]


def reference_detections(
    raw: Float32[np.ndarray, "N P columns"], confidence: float, iou_threshold: float, max_detections: int
) -> Float32[np.ndarray, "m 7"]:
    """What the graph must give, computed with OpenCV's suppression."""
    rows = [np.zeros((0, 7), np.float32)]
    for picture, predictions in enumerate(raw):
        boxes = cxcywh_to_xyxy(predictions[:, :4])
        scores = predictions[:, 4:5] * predictions[:, 5:]
        for class_id, column in enumerate(scores.T):
            likely = np.flatnonzero(column > confidence)
            kept = likely[_suppress(boxes[likely], column[likely], iou_threshold, max_detections)]
            numbers = np.full((len(kept), 1), picture), boxes[kept], column[kept, None]
            rows.append(np.hstack([*numbers, np.full((len(kept), 1), class_id)]).astype(np.float32))
    return np.concatenate(rows)


def _suppress(
    boxes_xyxy: Float32[np.ndarray, "n 4"],
    scores: Float32[np.ndarray, " n"],
    iou_threshold: float,
    max_detections: int,
) -> np.ndarray[tuple[int], np.dtype[np.intp]]:
    return suppress(boxes_xyxy, scores, np.zeros(len(scores), np.int64), iou_threshold, max_detections)
