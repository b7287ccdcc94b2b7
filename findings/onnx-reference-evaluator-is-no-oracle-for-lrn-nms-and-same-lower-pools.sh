#!/usr/bin/env bash
# onnx's own ReferenceEvaluator is wrong for LRN and SAME_LOWER pools, and cannot run NonMaxSuppression with scalars.
#
# Seen with onnx 1.23.2, onnxruntime 1.32.0, openvino 2026.4.1, numpy 2.4.6, Python 3.11, 2026-12-01:
#   - LRN of 4 channels, size 3: other values than the formula in the operator's description, worked out here in numpy;
#     ONNX Runtime and OpenVINO have the formula's.
#   - MaxPool, 9 places, kernel and stride 2, SAME_LOWER: 4 x 4, where the rule says ceil(9 / 2) = 5, as the others do.
#   - NonMaxSuppression whose limits are scalars (shape ()): IndexError "too many indices for array"; with (1,) it runs.
#   onnx.checker takes all three files.
# Expected before: the reference decides where runtimes differ.
# What follows: an oracle needs an oracle; take two runtimes and a formula, and the reference as a third voice.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check \
  onnx==1.23.2 onnxruntime==1.32.0 openvino==2026.4.1 numpy==2.4.6
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


def with_reference(file: bytes, x: np.ndarray) -> np.ndarray:
    return ReferenceEvaluator(onnx.load_from_string(file)).run(None, {"x": x})[0]


def suppression(shape: tuple[int, ...]) -> str:
    """What the reference says to four boxes of a class, of which two overlap much."""
    boxes = np.array([[[0, 0, 1, 1], [0, 0, 1, 0.9], [2, 2, 3, 3], [4, 4, 5, 5]]], np.float32)
    feeds = {"boxes": boxes, "scores": np.array([[[0.9, 0.8, 0.7, 0.6]]], np.float32)}
    inputs = [helper.make_tensor_value_info(name, TensorProto.FLOAT, one.shape) for name, one in feeds.items()]
    limits = {"most": np.full(shape, 10, np.int64), "iou": np.full(shape, 0.5, np.float32)}
    node = helper.make_node("NonMaxSuppression", ["boxes", "scores", *limits], ["rows"])
    rows = helper.make_tensor_value_info("rows", TensorProto.INT64, ["kept", 3])
    held = [numpy_helper.from_array(value, name) for name, value in limits.items()]
    graph = helper.make_graph([node], "suppression", inputs, [rows], held)
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    onnx.checker.check_model(made, full_check=True)
    usual = onnxruntime.InferenceSession(made.SerializeToString()).run(None, feeds)[0][:, 2].tolist()
    assert usual == [0, 2, 3], usual
    try:
        return str(ReferenceEvaluator(made).run(None, feeds)[0][:, 2].tolist())
    except IndexError as error:
        return f"IndexError: {error}"


print("onnx", onnx.__version__, "onnxruntime", onnxruntime.__version__, "openvino", openvino.__version__)
chance = np.random.default_rng(0)
x = chance.normal(size=(1, 4, 2, 2)).astype(np.float32)
squares = np.stack([(x[:, max(0, c - 1) : c + 2] ** 2).sum(axis=1) for c in range(4)], axis=1)
formula = x / (2 + 0.5 / 3 * squares) ** 0.75
file = model(helper.make_node("LRN", ["x"], ["y"], size=3, alpha=0.5, beta=0.75, bias=2.0), [1, 4, 2, 2], {})
errors = [float(np.abs(run(file, x) - formula).max()) for run in (with_reference, with_onnxruntime, with_openvino)]
print("LRN, largest error of reference, onnxruntime, openvino:", errors)
same = errors[0] > 0.1 and max(errors[1:]) < 1e-6

x = chance.normal(size=(1, 4, 9, 9)).astype(np.float32)
node = helper.make_node("MaxPool", ["x"], ["y"], kernel_shape=[2, 2], strides=[2, 2], auto_pad="SAME_LOWER")
file = model(node, [1, 4, 9, 9], {})
shapes = [run(file, x).shape for run in (with_reference, with_onnxruntime, with_openvino)]
print("MaxPool SAME_LOWER:", shapes)
same &= shapes == [(1, 4, 4, 4), (1, 4, 5, 5), (1, 4, 5, 5)]
found = {shape: suppression(shape) for shape in ((), (1,))}
print("NonMaxSuppression by the shape of its limits:", found)
same &= found[()].startswith("IndexError: too many indices") and found[1,] == "[0, 2, 3]"
raise SystemExit(0 if same else "other results now: the finding is out of date")
PY
cd "$folder"
venv/bin/python check.py
