#!/usr/bin/env bash
# A sum or product behind NonMaxSuppression: OpenCV 5 computes as many rows as the first image of a net had.
#
# Seen with opencv-python-headless 5.0.0.93, onnx 1.23.2, onnxruntime 1.32.0, numpy 2.4.6, Python 3.11, Linux, 2026-11-30:
#   y = NonMaxSuppression(boxes, scores) as float, times or plus a constant row (1, 3); valid ONNX, default engine, one net for
#   images of 2, 5 and 3 objects. The shapes are right, (2, 3), (5, 3) and (3, 3), and so is the first image. Of the others the
#   first two rows are right and the rest holds what lay in memory, without error or warning.
#   One-input operators (Abs, Cast), Slice, Gather, GatherElements and ReduceSum of the same rows are right for every image.
#   With 5, 2 and 3 objects in turn all are right: only rows beyond those of the first image are left out.
# Expected before: the same as ONNX Runtime.
# What follows: row numbers that Mul and ReduceSum make of the (image, class, box) triples, the usual way to gather detections
#   inside a graph, are garbage from the second image on. For one image per batch, Slice gives the box without arithmetic.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check \
  numpy==2.4.6 onnx==1.23.2 onnxruntime==1.32.0 opencv-python-headless==5.0.0.93
cat > "$folder/check.py" <<'PY'
import sys

import cv2
import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

BOXES = 40
path = f"{sys.argv[1]}/rows.onnx"


def write(operator: str) -> None:
    """Writes NonMaxSuppression, a Cast to float and one operator on its rows."""
    constants = {
        "most": np.array([20]),
        "iou": np.array([0.5], np.float32),
        "least": np.array([0.5], np.float32),
        "row": np.array([[BOXES, 0, 1]], np.float32),
    }
    inputs = ["numbers", "row"] if operator in ("Mul", "Add") else ["numbers"]
    nodes = [
        helper.make_node("NonMaxSuppression", ["boxes", "scores", "most", "iou", "least"], ["chosen"]),
        helper.make_node("Cast", ["chosen"], ["numbers"], to=TensorProto.FLOAT),
        helper.make_node(operator, inputs, ["y"]),
    ]
    used = {name for node in nodes for name in node.input} & constants.keys()
    tensors = [numpy_helper.from_array(constants[name], name) for name in sorted(used)]
    shapes = {"boxes": [1, BOXES, 4], "scores": [1, 1, BOXES]}
    given = [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in shapes.items()]
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, ["rows", 3])
    model = helper.make_model(
        helper.make_graph(nodes, "rows", given, [y], tensors), opset_imports=[helper.make_opsetid("", 17)], ir_version=8
    )
    onnx.checker.check_model(model, full_check=True)
    onnx.save(model, path)


def image(objects: int) -> dict[str, np.ndarray]:
    """Boxes side by side, of which so many have a score above the least."""
    left = np.arange(BOXES, dtype=np.float32) * 10
    boxes = np.stack([left, left * 0, left + 8, left * 0 + 8], axis=1)[None]
    scores = np.zeros((1, 1, BOXES), np.float32)
    scores[0, 0, :objects] = np.linspace(0.9, 0.6, objects)
    return {"boxes": boxes, "scores": scores}


def right_rows(operator: str, counts: tuple[int, ...]) -> list[int]:
    """Returns how many first rows of each image, in one net, are those of ONNX Runtime."""
    write(operator)
    session, net = onnxruntime.InferenceSession(path), cv2.dnn.readNetFromONNX(path)
    result = []
    for count in counts:
        feed = image(count)
        expected = session.run(None, feed)[0]
        for name, array in feed.items():
            net.setInput(array, name)
        found = net.forward()
        assert found.shape == expected.shape == (count, 3)
        same = np.isclose(found, expected).all(axis=1)
        result.append(count if same.all() else int(np.argmin(same)))
    return result


print(f"OpenCV {cv2.__version__}, ONNX Runtime {onnxruntime.__version__}")
growing, shrinking = (2, 5, 3), (5, 2, 3)
for operator, expected in (("Abs", [2, 5, 3]), ("Mul", [2, 2, 2]), ("Add", [2, 2, 2])):
    rows = right_rows(operator, growing)
    print(f"{operator}: images of {growing} objects, right first rows {rows}")
    assert rows == expected, "this has changed"
assert right_rows("Mul", shrinking) == list(shrinking), "this has changed"
print(f"Mul: images of {shrinking} objects, all rows right")
PY
"$folder/venv/bin/python" "$folder/check.py" "$folder"
