#!/usr/bin/env bash
# ONNX NonMaxSuppression in OpenVINO suppresses at IoU = threshold, and at threshold 0 all boxes but one of a class.
#
# Seen with openvino 2026.4.1, onnxruntime 1.32.0, onnx 1.23.2, numpy 2.4.6, Python 3.11, 2026-12-01:
#   Four boxes of one class with IoU 0.5, 0 and 0.25 to the first. ONNX Runtime suppresses above the threshold only: at
#   0.5 it keeps all four, at 0.25 and at 0 (the default of an input that is left out) the one that lies apart and what
#   equals the threshold. OpenVINO suppresses what equals it: three at 0.5, two at 0.25; and at 0 boxes that do not even
#   touch suppress one another, so that a single box per class is left.
# Expected before: "above", as the operator's description has it, and boxes apart kept at any threshold.
# What follows: leave iou_threshold in the file and above 0 ("any overlap" is 1e-6); exact IoUs are frequent between
#   boxes on whole pixels.
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

BOXES = np.array([[[0, 0, 1, 1], [0, 0, 1, 0.5], [2, 2, 3, 3], [0, 0, 0.25, 1]]], np.float32)
SCORES = np.array([[[0.9, 0.8, 0.7, 0.6]]], np.float32)


def model(threshold: float | None) -> bytes:
    shapes = {"boxes": BOXES.shape, "scores": SCORES.shape}
    inputs = [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in shapes.items()]
    held = {"most": np.array(10, np.int64)}
    if threshold is not None:
        held["iou"] = np.array(threshold, np.float32)
    node = helper.make_node("NonMaxSuppression", ["boxes", "scores", *held], ["rows"])
    rows = helper.make_tensor_value_info("rows", TensorProto.INT64, ["kept", 3])
    constants = [numpy_helper.from_array(value, name) for name, value in held.items()]
    graph = helper.make_graph([node], "suppression", inputs, [rows], constants)
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    onnx.checker.check_model(made, full_check=True)
    return made.SerializeToString()


EXPECTED = {
    0.6: ([0, 1, 2, 3], [0, 1, 2, 3]),
    0.5: ([0, 1, 2, 3], [0, 2, 3]),
    0.25: ([0, 2, 3], [0, 2]),
    0.0: ([0, 2], [0]),
    None: ([0, 2], [0]),
}
print("onnxruntime", onnxruntime.__version__, "openvino", openvino.__version__)
same, feeds = True, {"boxes": BOXES, "scores": SCORES}
for threshold, expected in EXPECTED.items():
    file, core = model(threshold), openvino.Core()
    usual = onnxruntime.InferenceSession(file).run(None, feeds)[0][:, 2].tolist()
    other = core.compile_model(core.read_model(file), "CPU")(feeds)[0][:, 2].tolist()
    print("threshold", threshold, "kept by onnxruntime", usual, "by openvino", other)
    same &= (usual, other) == expected
raise SystemExit(0 if same else "other boxes now: the finding is out of date")
PY
cd "$folder"
venv/bin/python check.py
