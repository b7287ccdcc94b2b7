#!/usr/bin/env bash
# ONNX MaxPool with ceil_mode: OpenVINO keeps a last window that lies in the padding alone, and returns -3.4e38 there.
#
# Seen with openvino 2026.4.1, onnxruntime 1.32.0, onnx 1.23.2, numpy 2.4.6, Python 3.11, 2026-12-01:
#   5 places, windows of 3 with a stride of 3, padded by 1 on both sides, ceil_mode = 1: the third window starts at
#   place 5, behind the map. ONNX drops such a window, as PyTorch does: 2 x 2 from ONNX Runtime and onnx's reference.
#   OpenVINO returns 3 x 3, whose last row and column are the lowest float32. So with 7 places, windows of 2 and a
#   stride of 3.
#   AveragePool drops the window in OpenVINO, too, but with count_include_pad = 1 it divides by 9 where a window reaches
#   beyond the padding; ONNX Runtime and PyTorch divide by the places that the padded map has.
# Expected before: one size of the output, as the shape is a rule of the format.
# What follows: a pool of another framework's ceil mode needs a parity test in OpenVINO; pads written out are safe.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check \
  openvino==2026.4.1 onnxruntime==1.32.0 onnx==1.23.2 numpy==2.4.6
cat > "$folder/check.py" <<'PY'
import numpy as np
import onnx
import onnxruntime
import openvino
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator


def model(node: onnx.NodeProto, shape: list[int], constants: dict[str, np.ndarray], opset: int = 22) -> bytes:
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


def pool(kind: str, size: int, window: int, stride: int, **others: int) -> bytes:
    sides = {"kernel_shape": [window] * 2, "strides": [stride] * 2, "pads": [1] * 4}
    return model(helper.make_node(kind, ["x"], ["y"], ceil_mode=1, **sides, **others), [1, 1, size, size], {})


print("onnxruntime", onnxruntime.__version__, "openvino", openvino.__version__)
same = True
for size, window, stride in ((5, 3, 3), (7, 2, 3)):
    file, x = pool("MaxPool", size, window, stride), np.random.default_rng(0).normal(size=(1, 1, size, size))
    x = x.astype(np.float32)
    usual, other = with_onnxruntime(file, x), with_openvino(file, x)
    reference = ReferenceEvaluator(onnx.load_from_string(file)).run(None, {"x": x})[0]
    behind = {float(other[0, 0, -1].max()), float(other[0, 0, :, -1].max())}
    print("MaxPool", size, window, stride, "onnxruntime", usual.shape, "openvino", other.shape, "its last line", behind)
    rows = usual.shape[2]
    same &= reference.shape == usual.shape and other.shape == (1, 1, rows + 1, rows + 1)
    same &= np.array_equal(other[..., :rows, :rows], usual) and behind == {float(np.finfo(np.float32).min)}
ones = np.ones((1, 1, 6, 6), np.float32)
file = pool("AveragePool", 6, 3, 2, count_include_pad=1)
corners = [round(float(run(file, ones)[0, 0, -1, -1]), 3) for run in (with_onnxruntime, with_openvino)]
print("AveragePool of ones, last corner: onnxruntime and openvino", corners)
same &= corners == [0.25, 0.111]
raise SystemExit(0 if same else "other results now: the finding is out of date")
PY
cd "$folder"
venv/bin/python check.py
