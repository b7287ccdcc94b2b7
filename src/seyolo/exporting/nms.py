"""Non-maximum suppression inside an ONNX graph, and the same in numpy to check it."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import onnx
from jaxtyping import Float32
from onnx import TensorProto, helper, numpy_helper

from seyolo.boxes import cxcywh_to_xyxy, suppress
from seyolo.exporting.parity import Raw
from seyolo.runtime.inference import Thresholds


def append_nms(proto: onnx.ModelProto, thresholds: Thresholds) -> onnx.ModelProto:
    """Returns a copy of the graph with the output `detections` (M, 7) instead of `raw` (N, P, 5+C).

    Rows are index in the batch, x0, y0, x1, y1, score, class. `max_detections` counts per image and class.
    """
    result = copy.deepcopy(proto)
    num_images, num_boxes, columns = proto.graph.output[0].type.tensor_type.shape.dim
    nodes = _nodes(is_batch=num_images.dim_value != 1)
    for node in nodes:
        node.name = node.output[0]  # ONNX Runtime 1.21 fails where it splits two values by nameless nodes
    used = {name for node in nodes for name in node.input}
    constants = _constants(thresholds, num_boxes.dim_value, columns.dim_value - 5)
    result.graph.initializer.extend(tensor for tensor in constants if tensor.name in used)
    result.graph.node.extend(nodes)
    del result.graph.output[:]
    output = helper.make_tensor_value_info("detections", TensorProto.FLOAT, ["num_detections", 7])
    result.graph.output.append(output)
    return result


def _constants(thresholds: Thresholds, num_boxes: int, num_classes: int) -> list[TensorProto]:
    values: dict[str, np.ndarray[Any, Any]] = {
        "nms_half": np.array(0.5, np.float32),
        "nms_confidence": np.array([thresholds.confidence], np.float32),
        "nms_iou": np.array([thresholds.iou_threshold], np.float32),
        "nms_max": np.array([thresholds.max_detections], np.int64),
    }
    integers: dict[str, object] = {f"nms_{value}": [value] for value in range(6)}
    integers |= {"nms_flat": [-1], "nms_end": [np.iinfo(np.int64).max]}
    integers |= {"nms_box_rows": [-1, 4], "nms_score_rows": [-1, num_classes]}
    integers["nms_weights"] = [[num_boxes, 0, 1]]  # turn (image, class, box) into a row
    values |= {name: np.array(value, np.int64) for name, value in integers.items()}
    return [numpy_helper.from_array(value, name) for name, value in values.items()]


def _columns(source: str, start: str, end: str, output: str, axis: str = "nms_2") -> onnx.NodeProto:
    return helper.make_node("Slice", [source, f"nms_{start}", f"nms_{end}", axis], [output])


def _nodes(is_batch: bool) -> list[onnx.NodeProto]:
    """Suppresses, and gathers the rows of `detections` by the (image, class, box) triples.

    Gathers by row numbers: OpenCV 5.0 crashes in GatherND when there are no boxes.
    """
    node = helper.make_node
    # The operator reads (y, x) pairs; overlap is the same with the axes swapped, so (x, y) serve as well.
    inputs = ["nms_corners", "nms_scores", "nms_max", "nms_iou", "nms_confidence"]
    parts = ["nms_images", "nms_boxes", "nms_score_column", "nms_class_ids"]
    return [
        # Corners (N, P, 4): centre ± size / 2.
        _columns("raw", "0", "2", "nms_centres"),
        _columns("raw", "2", "4", "nms_sizes"),
        node("Mul", ["nms_sizes", "nms_half"], ["nms_reach"]),
        node("Sub", ["nms_centres", "nms_reach"], ["nms_first_corners"]),
        node("Add", ["nms_centres", "nms_reach"], ["nms_second_corners"]),
        node("Concat", ["nms_first_corners", "nms_second_corners"], ["nms_corners"], axis=2),
        # Scores (N, C, P): objectness times class probability.
        _columns("raw", "4", "5", "nms_objectness"),
        _columns("raw", "5", "end", "nms_classes"),
        node("Mul", ["nms_objectness", "nms_classes"], ["nms_products"]),
        node("Transpose", ["nms_products"], ["nms_scores"], perm=[0, 2, 1]),
        node("NonMaxSuppression", inputs, ["nms_chosen"]),
        *_row_numbers(is_batch),
        node("Reshape", ["nms_corners", "nms_box_rows"], ["nms_all_boxes"]),
        node("Gather", ["nms_all_boxes", "nms_rows"], ["nms_boxes"], axis=0),
        node("Reshape", ["nms_products", "nms_score_rows"], ["nms_all_scores"]),
        node("Gather", ["nms_all_scores", "nms_rows"], ["nms_class_scores"], axis=0),
        _columns("nms_chosen", "1", "2", "nms_class_column", axis="nms_1"),
        node("GatherElements", ["nms_class_scores", "nms_class_column"], ["nms_score_column"], axis=1),
        _columns("nms_chosen", "0", "1", "nms_image_column", axis="nms_1"),
        node("Cast", ["nms_image_column"], ["nms_images"], to=TensorProto.FLOAT),
        node("Cast", ["nms_class_column"], ["nms_class_ids"], to=TensorProto.FLOAT),
        node("Concat", parts, ["detections"], axis=1),
    ]


def _row_numbers(is_batch: bool) -> list[onnx.NodeProto]:
    """Numbers the rows of boxes that the triples name, among those of all images.

    Of one image it is the box of the triple, without arithmetic: OpenCV 5.0 computes a sum or product of as
    many rows as the first image had, and leaves further rows of later images as they lie in memory.
    """
    node = helper.make_node
    if is_batch:
        return [
            node("Mul", ["nms_chosen", "nms_weights"], ["nms_parts"]),
            node("ReduceSum", ["nms_parts", "nms_1"], ["nms_rows"], keepdims=0),
        ]
    column = _columns("nms_chosen", "2", "3", "nms_box_column", axis="nms_1")
    return [column, node("Reshape", ["nms_box_column", "nms_flat"], ["nms_rows"])]


def reference_detections(raw: Raw, thresholds: Thresholds) -> Float32[np.ndarray, "m 7"]:
    """Returns the expected output of the graph, computed with OpenCV's suppression."""
    iou_threshold, most = thresholds.iou_threshold, thresholds.max_detections
    rows = [np.zeros((0, 7), np.float32)]
    for image, predictions in enumerate(raw):
        boxes = cxcywh_to_xyxy(predictions[:, :4])
        scores = predictions[:, 4:5] * predictions[:, 5:]
        for class_id, column in enumerate(scores.T):
            likely = np.flatnonzero(column > thresholds.confidence)
            one_class = np.zeros(len(likely), np.int64)
            kept = likely[suppress(boxes[likely], column[likely], one_class, iou_threshold, most)]
            numbers = np.full((len(kept), 1), image), boxes[kept], column[kept, None]
            rows.append(np.hstack([*numbers, np.full((len(kept), 1), class_id)]).astype(np.float32))
    return np.concatenate(rows)
