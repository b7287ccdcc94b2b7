#!/usr/bin/env bash
# Softmax of ONNX opset 11 and 12: OpenVINO and OpenCV normalise over one axis, ONNX Runtime over all from that axis
# on.
#
# Seen with openvino 2026.4.1, opencv-python-headless 4.14.0.94, onnxruntime 1.32.0, onnx 1.23.2, Python 3.11,
#   2026-11-30:
#   Before opset 13 the operator flattens its input to two dimensions at `axis` (1 where it is not given) and
#   normalises rows: for (n, c, h, w) and axis 1, the sum over c, h and w is one. ONNX Runtime, and onnx's converter to
#   opset 13 (Flatten, Softmax, Reshape), do so. OpenVINO does so for opset 8 and sums over the one axis for 11 and 12.
#   OpenCV and onnx's own ReferenceEvaluator sum over the one axis for all of them. No tool warns. From opset 13 on,
#   and where `axis` is the last one, all agree.
# Expected before: the meaning of a file's opset, or an error; at least one meaning for opset 8 to 12.
# What follows: a class or DFL softmax over axis 1 of a map gives other scores in each runtime; export with opset 13 or
#   later, or convert the file first (onnx.version_converter).
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check \
  openvino==2026.4.1 opencv-python-headless==4.14.0.94 onnxruntime==1.32.0 onnx==1.23.2 numpy==2.4.6
cat > "$folder/check.py" <<'PY'
import cv2
import numpy as np
import onnx
import onnxruntime
import openvino
from onnx import TensorProto, helper, version_converter
from onnx.reference import ReferenceEvaluator

SHAPE = [1, 4, 2, 3]
image = np.random.default_rng(0).normal(size=SHAPE).astype(np.float32)
raised = np.exp(image)
MEANINGS = {
    name: raised / raised.sum(axes, keepdims=True)
    for name, axes in {"channels": 1, "width": 3, "all": (1, 2, 3)}.items()
}


def model(opset: int, axis: int) -> onnx.ModelProto:
    x, y = (helper.make_tensor_value_info(name, TensorProto.FLOAT, SHAPE) for name in "xy")
    graph = helper.make_graph([helper.make_node("Softmax", ["x"], ["y"], axis=axis)], "softmax", [x], [y])
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=7)
    onnx.checker.check_model(made, full_check=True)
    return made


def opencv(made: onnx.ModelProto) -> np.ndarray:
    network = cv2.dnn.readNetFromONNX(np.frombuffer(made.SerializeToString(), np.uint8))
    network.setInput(image)
    return network.forward()


def with_openvino(made: onnx.ModelProto) -> np.ndarray:
    core = openvino.Core()
    hint = {"INFERENCE_PRECISION_HINT": "f32"}
    return core.compile_model(core.read_model(made.SerializeToString()), "CPU", hint)(image)[0]


def with_onnxruntime(made: onnx.ModelProto) -> np.ndarray:
    return onnxruntime.InferenceSession(made.SerializeToString()).run(None, {"x": image})[0]


RUNTIMES = {
    "onnxruntime": with_onnxruntime,
    "converted": lambda made: with_onnxruntime(version_converter.convert_version(made, 13)),
    "openvino": with_openvino,
    "opencv": opencv,
    "reference": lambda made: ReferenceEvaluator(made).run(None, {"x": image})[0],
}


def sums(opset: int, axis: int) -> dict[str, str]:
    made = model(opset, axis)
    found = {}
    for name, run in RUNTIMES.items():
        result = run(made)
        found[name] = next(m for m, right in MEANINGS.items() if np.allclose(result, right, atol=1e-5))
    return found


seen = {(opset, axis): sums(opset, axis) for opset in (8, 11, 12, 13) for axis in (1, 3)}
print("onnxruntime", onnxruntime.__version__, "openvino", openvino.__version__, "OpenCV", cv2.__version__)
for (opset, axis), found in seen.items():
    print("opset", opset, "axis", axis, "| sums to one over:", found)
same = True
for (opset, axis), found in seen.items():
    expected = dict.fromkeys(RUNTIMES, "channels" if axis == 1 else "width")
    if axis == 1 and opset < 13:
        expected |= {"onnxruntime": "all", "converted": "all"} | ({"openvino": "all"} if opset == 8 else {})
    same &= found == expected
raise SystemExit(0 if same else "other sums now: the finding is out of date")
PY
cd "$folder"
venv/bin/python check.py
