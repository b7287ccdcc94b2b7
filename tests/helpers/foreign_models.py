"""ONNX detectors of other exporters' layouts, written by hand: each finds the same boxes in any image."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

SIZE_PX = 64
NUM_CELLS = 84  # (8² + 4² + 2²) cells of strides 8, 16 and 32
NAMES = ("hand", "face", "cup")
BOXES_XYXY = [[8.0, 8.0, 24.0, 24.0], [30.0, 10.0, 60.0, 50.0], [9.0, 9.0, 25.0, 25.0]]
SCORES, CLASS_IDS = [0.9, 0.8, 0.6], [0, 2, 0]  # the third overlaps the first with an IoU of 0.78


def ultralytics_metadata(*, nms: bool = False, end2end: bool = False, task: str = "detect") -> dict[str, str]:
    """What Ultralytics 8.4 writes into an ONNX file: all texts, as Python prints them."""
    return {
        "author": "Ultralytics",
        "version": "8.4.137",
        "description": "Ultralytics YOLOv8n model trained on hands.yaml",
        "stride": "32",
        "task": task,
        "batch": "1",
        "imgsz": f"[{SIZE_PX}, {SIZE_PX}]",
        "names": str(dict(enumerate(NAMES))),
        "channels": "3",
        "end2end": str(end2end),
        "args": str({"batch": 1, "half": False, "dynamic": False, "simplify": True, "nms": nms}),
    }


def columns_output(num_classes: int = len(NAMES), num_cells: int = NUM_CELLS) -> np.ndarray:
    """(1, 4 + C, N): cx, cy, w, h, class probabilities; the boxes stand at every tenth cell."""
    output = np.zeros((1, 4 + num_classes, num_cells), np.float32)
    output[0, :4] = [[32.0], [32.0], [4.0], [4.0]]
    output[0, 4:] = 0.01
    for number, (box, score, class_id) in enumerate(zip(BOXES_XYXY, SCORES, CLASS_IDS, strict=True)):
        x0, y0, x1, y1 = box
        output[0, :4, 10 * number] = [(x0 + x1) / 2, (y0 + y1) / 2, x1 - x0, y1 - y0]
        output[0, 4 + min(class_id, num_classes - 1), 10 * number] = score
    return output


def rows_output(num_classes: int = len(NAMES), num_cells: int = NUM_CELLS) -> np.ndarray:
    """(1, N, 5 + C) of YOLOv5: the same with an objectness, which is 0.99 of every class probability."""
    columns = columns_output(num_classes, num_cells)[0].T
    scores = columns[:, 4:] / np.float32(0.99)
    objectness = np.full((len(columns), 1), 0.99, np.float32)
    return np.concatenate([columns[:, :4], objectness, scores], axis=1)[None]


def suppressed_output(most: int = 300) -> np.ndarray:
    """(1, 300, 6): x0, y0, x1, y1, score, class; zeros behind the last box; suppressed at an IoU of 0.8."""
    output = np.zeros((1, most, 6), np.float32)
    for row, box, score, class_id in zip(output[0], BOXES_XYXY, SCORES, CLASS_IDS, strict=False):
        row[:] = [*box, score, class_id]
    return output


def write_constant(
    path: Path,
    output: np.ndarray,
    metadata: dict[str, str] | None = None,
    *,
    is_open: bool = False,
    num_outputs: int = 1,
) -> Path:
    """Writes a graph that answers every image with this output; `is_open` leaves the sizes open."""
    image: list[int | str] = ["batch", 3, "height", "width"] if is_open else [1, 3, SIZE_PX, SIZE_PX]
    shape = ["batch", "a", "b"] if is_open else list(output.shape)
    nodes = [
        helper.make_node("ReduceMean", ["images", "axes"], ["mean"], keepdims=1),
        helper.make_node("Reshape", ["mean", "flat"], ["means"]),
        helper.make_node("Mul", ["means", "nothing"], ["zero"]),
        helper.make_node("Add", ["zero", "answer"], ["output0"]),
        *(helper.make_node("Identity", ["output0"], [f"output{i}"]) for i in range(1, num_outputs)),
    ]
    constants = {
        "axes": np.array([1, 2, 3]),
        "flat": np.array([-1, 1, 1]),
        "nothing": np.zeros(1, np.float32),
        "answer": output,
    }
    graph = helper.make_graph(
        nodes,
        "constant",
        [helper.make_tensor_value_info("images", TensorProto.FLOAT, image)],
        [helper.make_tensor_value_info(f"output{i}", TensorProto.FLOAT, shape) for i in range(num_outputs)],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    helper.set_model_props(model, metadata or {})
    onnx.checker.check_model(model)
    onnx.save(model, path)
    return path
