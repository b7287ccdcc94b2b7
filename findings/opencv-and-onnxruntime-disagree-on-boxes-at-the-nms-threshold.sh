#!/usr/bin/env bash
# OpenCV suppresses a box whose IoU is exactly the threshold at 0.05, 0.1 and 0.35, and keeps it at the others.
#
# Seen with OpenCV 4.14.0 (headless 4.14.0.94), ONNX Runtime 1.32.0, Python 3.11, 2026-11-29:
#   two boxes on whole pixels whose IoU is exactly k/20, the threshold the same number, k = 1 .. 19. ONNX
#   Runtime's NonMaxSuppression keeps both boxes at all 19, since it suppresses above the threshold only.
#   cv2.dnn.NMSBoxes and NMSBoxesBatched keep both at 16, and one at 0.05, 0.1 and 0.35.
# Expected before: ONNX says "above the threshold"; one rule for all thresholds, and the same in both.
# What follows: small objects on whole pixels meet exact IoUs often; a parity test of two runtimes needs boxes
#   whose IoUs stay away from the threshold, and one box more or less is no bug of a model.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check \
  opencv-python-headless==4.14.0.94 onnxruntime==1.32.0 onnx==1.23.2
cat > "$folder/check.py" <<'PY'
import cv2
import numpy as np
import onnxruntime
from onnx import TensorProto, helper

kinds = {"boxes": [1, 2, 4], "scores": [1, 1, 2], "iou": [1]}
inputs = [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in kinds.items()]
inputs.insert(2, helper.make_tensor_value_info("most", TensorProto.INT64, [1]))
output = helper.make_tensor_value_info("kept", TensorProto.INT64, [None, 3])
node = helper.make_node("NonMaxSuppression", ["boxes", "scores", "most", "iou"], ["kept"])
model = helper.make_model(
    helper.make_graph([node], "nms", inputs, [output]), opset_imports=[helper.make_opsetid("", 11)], ir_version=8
)
session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
scores = [0.9, 0.8]
one = {"NMSBoxes": [], "NMSBoxesBatched": [], "onnxruntime": []}
for k in range(1, 20):
    width, common = 20 + k, 2 * k  # IoU = 2k / (2 (20 + k) - 2k) = k / 20
    boxes = [[0, 0, width, 1], [width - common, 0, width, 1]]
    corners = np.array([[[x, y, x + w, y + h] for x, y, w, h in boxes]], np.float32)
    feeds = {"boxes": corners, "scores": np.array([[scores]], np.float32)}
    feeds |= {"most": np.array([9]), "iou": np.array([k / 20], np.float32)}
    kept = {
        "NMSBoxes": cv2.dnn.NMSBoxes(boxes, scores, 0.0, k / 20),
        "NMSBoxesBatched": cv2.dnn.NMSBoxesBatched(boxes, scores, [0, 0], 0.0, k / 20),
        "onnxruntime": session.run(None, feeds)[0],
    }
    for name, rows in kept.items():
        if len(rows) == 1:
            one[name].append(k / 20)
print("OpenCV", cv2.__version__, "ONNX Runtime", onnxruntime.__version__, "| thresholds that suppress their tie:")
print(one)
same = one == {"NMSBoxes": [0.05, 0.1, 0.35], "NMSBoxesBatched": [0.05, 0.1, 0.35], "onnxruntime": []}
raise SystemExit(0 if same else "the ties are others now: the finding is out of date")
PY
"$folder/venv/bin/python" "$folder/check.py"
