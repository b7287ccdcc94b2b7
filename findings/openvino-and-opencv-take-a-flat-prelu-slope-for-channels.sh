#!/usr/bin/env bash
# ONNX PRelu with a slope of one dimension: OpenVINO and OpenCV take it for one slope per channel, ONNX per column.
#
# Seen with openvino 2026.4.1, opencv-python-headless 4.14.0.94, onnxruntime 1.32.0, onnx 1.23.2, numpy 2.4.6, Python
#   3.11, 2026-12-01:
#   The slope is broadcast to x from its last axis on: (4,) over (1, 4, 4, 4) is one slope per column. ONNX Runtime and
#   onnx's reference compute so. OpenVINO and OpenCV (5.0.0, too) compute one slope per channel, without a word. A slope
#   of (4, 1, 1) is one per channel in all of them.
# Expected before: the broadcasting of the operator, since both have it for Mul and Add.
# What follows: write slopes as (channels, 1, 1). A file with flat ones is right or wrong by the runtime, and where the
#   width is another number than the channels it is an error in one and a result in the other.
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
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator


def model(node: onnx.NodeProto, shape: list[int], constants: dict[str, np.ndarray], opset: int = 16) -> bytes:
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, [f"side{n}" for n in range(4)])
    held = [numpy_helper.from_array(value, name) for name, value in constants.items()]
    graph = helper.make_graph([node], "one", [x], [y], held)
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=10)
    onnx.checker.check_model(made, full_check=True)
    return made.SerializeToString()


def with_onnxruntime(file: bytes, x: np.ndarray) -> np.ndarray:
    return onnxruntime.InferenceSession(file).run(None, {"x": x})[0]


def with_openvino(file: bytes, x: np.ndarray) -> np.ndarray:
    core = openvino.Core()
    return core.compile_model(core.read_model(file), "CPU", {"INFERENCE_PRECISION_HINT": "f32"})(x)[0]


def with_opencv(file: bytes, x: np.ndarray) -> np.ndarray:
    network = cv2.dnn.readNetFromONNX(np.frombuffer(file, np.uint8))
    network.setInput(x)
    return network.forward()


def meaning(y: np.ndarray) -> str:
    by_axis = {"channels": SLOPES[:, None, None], "columns": SLOPES}
    return next(name for name, slope in by_axis.items() if np.allclose(y, np.where(x < 0, slope * x, x), atol=1e-6))


SLOPES = np.array([0.1, 0.2, 0.3, 0.4], np.float32)
x = np.random.default_rng(0).normal(size=(1, 4, 4, 4)).astype(np.float32)
node = helper.make_node("PRelu", ["x", "slope"], ["y"])
print("onnxruntime", onnxruntime.__version__, "openvino", openvino.__version__, "OpenCV", cv2.__version__)
same = True
for shape in ((4,), (4, 1, 1)):
    file = model(node, [1, 4, 4, 4], {"slope": SLOPES.reshape(shape)})
    found = {run.__name__: meaning(run(file, x)) for run in (with_onnxruntime, with_openvino, with_opencv)}
    found["reference"] = meaning(ReferenceEvaluator(onnx.load_from_string(file)).run(None, {"x": x})[0])
    print("slope of", shape, found)
    right = "columns" if shape == (4,) else "channels"
    same &= list(found.values()) == [right, "channels", "channels", right]
raise SystemExit(0 if same else "other meanings now: the finding is out of date")
PY
cd "$folder"
venv/bin/python check.py
