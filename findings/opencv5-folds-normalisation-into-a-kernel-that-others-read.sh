#!/usr/bin/env bash
# OpenCV 5 multiplies a BatchNormalization into the convolution behind it, also into a kernel or bias that another one
# reads.
#
# Seen with opencv-python-headless 5.0.0.93, onnxruntime 1.32.0, onnx 1.23.2, numpy 2.4.6, Python 3.11, 2026-11-30:
#   A network has a convolution behind a BatchNormalization, and another convolution, of another map, with the same
#   kernel (one tensor of the file, as where a head is shared by all scales). Without padding OpenCV 5 folds the
#   normalisation into the kernel in place: the other convolution computes with the changed kernel, without an error.
#   The same for convolutions with kernels of their own that share a bias, as after a tool has merged equal tensors.
#   Where both convolutions have the normalisation in front, both are wrong. All is right with padding (no folding
#   then), with a kernel and a bias for each, and with OpenCV 4.14.
# Expected before: the results of ONNX Runtime, since sharing a tensor is no more than a matter of space.
# What follows: give each convolution its own kernel and bias before a file goes to OpenCV 5.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check \
  opencv-python-headless==5.0.0.93 onnxruntime==1.32.0 onnx==1.23.2 numpy==2.4.6
cat > "$folder/check.py" <<'PY'
import cv2
import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

SIDE, CHANNELS = 9, 4
chance = np.random.default_rng(0)
image = chance.normal(size=(1, CHANNELS, SIDE, SIDE)).astype(np.float32)
TENSORS = {name: chance.normal(size=(CHANNELS, CHANNELS, 3, 3)).astype(np.float32) for name in ("w1", "w2")}
TENSORS |= {name: chance.normal(size=CHANNELS).astype(np.float32) for name in ("b1", "b2", "scale", "shift", "mean")}
TENSORS["var"] = chance.uniform(0.5, 2, CHANNELS).astype(np.float32)


def node(kind: str, inputs: list[str], output: str, **attributes: object) -> onnx.NodeProto:
    return helper.make_node(kind, inputs, [output], **attributes)


def model(second: list[str], pad: int, twice: bool = False) -> bytes:
    """A normalised convolution with w1 and b1, another of the pooled image with `second`, their means side by side."""
    normal = ["scale", "shift", "mean", "var"]
    nodes = [
        node("BatchNormalization", ["x", *normal], "normal"),
        node("Conv", ["normal", "w1", "b1"], "first", pads=[pad] * 4),
        node("MaxPool", ["x"], "pooled", kernel_shape=[2, 2], strides=[2, 2]),
        *([node("BatchNormalization", ["pooled", *normal], "other")] if twice else []),
        node("Conv", ["other" if twice else "pooled", *second], "second", pads=[pad] * 4),
        node("GlobalAveragePool", ["first"], "one"),
        node("GlobalAveragePool", ["second"], "two"),
        node("Concat", ["one", "two"], "y", axis=1),
    ]
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, image.shape)
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 2 * CHANNELS, 1, 1])
    read = {name for one in nodes for name in one.input}
    constants = [numpy_helper.from_array(value, name) for name, value in TENSORS.items() if name in read]
    graph = helper.make_graph(nodes, "net", [x], [y], constants)
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(made, full_check=True)
    return made.SerializeToString()


def error(data: bytes) -> tuple[float, float]:
    """Largest error of OpenCV in the outputs of the first and of the second convolution."""
    right = onnxruntime.InferenceSession(data).run(None, {"x": image})[0].reshape(2, CHANNELS)
    network = cv2.dnn.readNetFromONNX(np.frombuffer(data, np.uint8))
    network.setInput(image)
    found = network.forward().reshape(2, CHANNELS)
    first, second = np.abs(found - right).max(1).tolist()
    return first, second


seen = {
    "kernels of their own": error(model(["w2", "b2"], 0)),
    "one kernel": error(model(["w1", "b2"], 0)),
    "one bias": error(model(["w2", "b1"], 0)),
    "one kernel, padded": error(model(["w1", "b2"], 1)),
    "one kernel, both normalised": error(model(["w1", "b2"], 0, twice=True)),
}
print("OpenCV", cv2.__version__, "| largest error of the first and of the second convolution:")
for name, found in seen.items():
    print(f"{name}:", [round(e, 4) for e in found])
shared = [seen.pop("one kernel"), seen.pop("one bias")]
same = min(seen.pop("one kernel, both normalised")) > 0.05
same &= all(first < 1e-4 < 0.05 < second for first, second in shared)
same &= all(max(pair) < 1e-4 for pair in seen.values())
raise SystemExit(0 if same else "other errors now: the finding is out of date")
PY
cd "$folder"
venv/bin/python check.py
