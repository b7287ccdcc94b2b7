#!/usr/bin/env bash
# A dilated convolution with auto_pad: ONNX Runtime loads the file and fails at each run, OpenCV pads as if undilated.
#
# Seen with onnxruntime 1.32.0, opencv-python-headless 4.14.0.94, openvino 2026.4.1, onnx 1.23.2, numpy 2.4.6, Python
#   3.11, 2026-12-01:
#   Conv with dilations 2 and auto_pad SAME_UPPER or SAME_LOWER. ONNX's rule for these counts the dilated kernel; onnx's
#   reference and OpenVINO compute so. ONNX Runtime makes a session of it and raises "Dilation not supported for
#   AutoPadType::SAME_UPPER" at run(). OpenCV (5.0.0, too) returns a map of the right size whose values are shifted and
#   padded for a kernel that is not dilated. With pads written out all four agree.
# Expected before: a refusal of ONNX Runtime at load, if any; a shape error in OpenCV.
# What follows: write pads out; that a file loads does not show that it runs.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check \
  onnxruntime==1.32.0 opencv-python-headless==4.14.0.94 openvino==2026.4.1 onnx==1.23.2 numpy==2.4.6
cat > "$folder/check.py" <<'PY'
import cv2
import numpy as np
import onnx
import onnxruntime
import openvino
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator


def model(node: onnx.NodeProto, shape: list[int], constants: dict[str, np.ndarray], opset: int = 18) -> bytes:
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


chance = np.random.default_rng(0)
x = chance.normal(size=(1, 2, 9, 10)).astype(np.float32)
kernel = chance.normal(size=(3, 2, 3, 3)).astype(np.float32)
print("onnxruntime", onnxruntime.__version__, "openvino", openvino.__version__, "OpenCV", cv2.__version__)


def file_with(**padding: object) -> bytes:
    node = helper.make_node("Conv", ["x", "w"], ["y"], kernel_shape=[3, 3], dilations=[2, 2], **padding)
    return model(node, [1, 2, 9, 10], {"w": kernel})


written = file_with(pads=[2, 2, 2, 2])
right = ReferenceEvaluator(onnx.load_from_string(written)).run(None, {"x": x})[0]
same = all(np.allclose(run(written, x), right, atol=1e-4) for run in (with_onnxruntime, with_openvino, with_opencv))
for auto_pad in ("SAME_UPPER", "SAME_LOWER"):
    file = file_with(auto_pad=auto_pad)
    session, refusal = onnxruntime.InferenceSession(file), ""
    try:
        session.run(None, {"x": x})
    except Exception as raised:
        refusal = str(raised)
    reference = ReferenceEvaluator(onnx.load_from_string(file)).run(None, {"x": x})[0]
    other = with_opencv(file, x)
    error = float(np.abs(other - right).max())
    print(auto_pad, "| onnxruntime at run:", refusal[-80:], "| OpenCV:", other.shape, "largest error", error)
    same &= np.allclose(reference, right, atol=1e-4) and np.allclose(with_openvino(file, x), right, atol=1e-4)
    same &= "Dilation not supported" in refusal
    same &= other.shape == right.shape and error > 1
raise SystemExit(0 if same else "other results now: the finding is out of date")
PY
cd "$folder"
venv/bin/python check.py
