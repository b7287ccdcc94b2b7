#!/usr/bin/env bash
# ONNX Resize, nearest: OpenCV 4 ignores nearest_mode, and is wrong for the default at some factors.
#
# Seen with opencv-python-headless 4.14.0.94, onnxruntime 1.32.0, onnx 1.23.2, numpy 2.4.6, Python 3.11, 2026-12-01:
#   4 modes of rounding x 3 transformations x 4 sizes, each against ONNX Runtime. OpenCV 4 rounds down for asymmetric,
#   to the nearest and ties up for half_pixel and align_corners, whatever the file says. So asymmetric with floor
#   (PyTorch's export) and round_prefer_ceil with the others are always right, floor and ceil with half_pixel always
#   wrong, and the default (round_prefer_floor, half_pixel) is right from 4 to 8 or 12 and wrong from 4 to 10.
#   No error, no warning. OpenCV 5.0.0 is right in all 48.
# Expected before: the file's mode, or a refusal as for cubic.
# What follows: for OpenCV 4 write asymmetric and floor, which at whole factors is what the others mean, too.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check \
  opencv-python-headless==4.14.0.94 onnxruntime==1.32.0 onnx==1.23.2 numpy==2.4.6
cat > "$folder/check.py" <<'PY'
import cv2
import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper


def model(node: onnx.NodeProto, shape: list[int], constants: dict[str, np.ndarray], opset: int = 19) -> bytes:
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, [f"side{n}" for n in range(4)])
    held = [numpy_helper.from_array(value, name) for name, value in constants.items()]
    graph = helper.make_graph([node], "one", [x], [y], held)
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=10)
    onnx.checker.check_model(made, full_check=True)
    return made.SerializeToString()


def with_onnxruntime(file: bytes, x: np.ndarray) -> np.ndarray:
    return onnxruntime.InferenceSession(file).run(None, {"x": x})[0]


def with_opencv(file: bytes, x: np.ndarray) -> np.ndarray:
    network = cv2.dnn.readNetFromONNX(np.frombuffer(file, np.uint8))
    network.setInput(x)
    return network.forward()


ROUNDINGS = ("round_prefer_floor", "round_prefer_ceil", "floor", "ceil")
SIZES = ((8, 8), (12, 12), (7, 10), (10, 10))
x = np.random.default_rng(0).normal(size=(1, 4, 4, 4)).astype(np.float32)


def agree(size: tuple[int, int], rounding: str, transformation: str) -> bool:
    how = {"mode": "nearest", "nearest_mode": rounding, "coordinate_transformation_mode": transformation}
    node = helper.make_node("Resize", ["x", "", "", "size"], ["y"], **how)
    file = model(node, [1, 4, 4, 4], {"size": np.array([1, 4, *size], np.int64)})
    return np.array_equal(with_opencv(file, x), with_onnxruntime(file, x))


print("onnxruntime", onnxruntime.__version__, "OpenCV", cv2.__version__)
seen = {}
for transformation in ("half_pixel", "align_corners", "asymmetric"):
    for rounding in ROUNDINGS:
        seen[transformation, rounding] = [agree(size, rounding, transformation) for size in SIZES]
        right = [size for size, is_right in zip(SIZES, seen[transformation, rounding]) if is_right]
        print(transformation, rounding, "right at", right)
always, never = [True] * 4, [False] * 4
same = seen["half_pixel", "round_prefer_floor"] == [True, True, False, False]
same &= seen["asymmetric", "floor"] == seen["half_pixel", "round_prefer_ceil"] == always
same &= seen["align_corners", "round_prefer_ceil"] == always
for transformation in ("half_pixel", "align_corners"):
    same &= seen[transformation, "floor"] == seen[transformation, "ceil"] == never
same &= seen["asymmetric", "ceil"] == seen["asymmetric", "round_prefer_ceil"] == never
raise SystemExit(0 if same else "other results now: the finding is out of date")
PY
cd "$folder"
venv/bin/python check.py
