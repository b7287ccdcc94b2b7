#!/usr/bin/env bash
# A map of one channel times all channels, as spatial attention does it: OpenCV 5 returns an array of five dimensions.
#
# Seen with opencv-python-headless 5.0.0.93, onnx 1.23.2, onnxruntime 1.32.0, numpy 2.4.6, Python 3.11, Linux, 2026-11-29:
#   x0 = Conv(x), y = x0 * Sigmoid(Conv(x0)) with 4 and 1 output channels, valid ONNX, run in the default engine. ONNX Runtime
#   gives (1, 4, 8, 8). OpenCV gives (1, 1, 8, 8, 8), without error or warning: the layout that its convolutions compute in,
#   blocks of eight channels, of which the product is not converted back. With another convolution behind the product
#   forward() fails: (-215) !wshape.empty() && wshape.dims == nspatialdims + 2 in convInferShape.
#   A 1x1 convolution of ones that repeats the map on four channels makes both right to 1e-6, relative to the largest value. So does a product with the
#   input of the network, which no convolution computed.
# Expected before: the same as ONNX Runtime, or an error that names the operator.
# What follows: networks with CBAM need that convolution of ones, and the shape of an output is worth an assertion.
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

CHANNELS = 4
generator = np.random.default_rng(0)
path = f"{sys.argv[1]}/gate.onnx"
image = generator.random((1, CHANNELS, 8, 8), dtype=np.float32)


def write(gated: str, repeat: bool, convolution_behind: bool) -> None:
    """Writes Conv, a gate on `gated` (the first convolution's output or the input), and perhaps a Conv behind."""
    kernels = {
        "first": generator.normal(size=(CHANNELS, CHANNELS, 3, 3)),
        "gate": generator.normal(size=(1, CHANNELS, 3, 3)),
        "ones": np.ones((CHANNELS, 1, 1, 1)),
        "last": generator.normal(size=(CHANNELS, CHANNELS, 3, 3)),
    }

    def conv(source: str, kernel: str, result: str) -> onnx.NodeProto:
        side = kernels[kernel].shape[2]
        return helper.make_node("Conv", [source, kernel], [result], kernel_shape=[side] * 2, pads=[side // 2] * 4)

    product = "product" if convolution_behind else "y"
    nodes = [conv("x", "first", "x0"), conv("x0", "gate", "logits"), helper.make_node("Sigmoid", ["logits"], ["map"])]
    nodes += [conv("map", "ones", "maps")] if repeat else []
    nodes += [helper.make_node("Mul", [gated, "maps" if repeat else "map"], [product])]
    nodes += [conv("product", "last", "y")] if convolution_behind else []
    used = {name for node in nodes for name in node.input} & kernels.keys()
    tensors = [numpy_helper.from_array(kernels[name].astype(np.float32), name) for name in sorted(used)]
    x, y = (helper.make_tensor_value_info(name, TensorProto.FLOAT, image.shape) for name in "xy")
    graph = helper.make_graph(nodes, "gate", [x], [y], tensors)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model, full_check=True)
    onnx.save(model, path)


def outcome() -> str:
    expected = onnxruntime.InferenceSession(path).run(None, {"x": image})[0]
    net = cv2.dnn.readNetFromONNX(path)
    net.setInput(image)
    try:
        result = net.forward()
    except cv2.error as error:
        return "convInferShape fails" if "convInferShape" in str(error) else str(error)
    if result.shape != expected.shape:
        return f"shape {result.shape}"
    error = np.abs(result - expected).max() / np.abs(expected).max()
    return "right" if error < 1e-5 else "wrong numbers"


cases = {
    ("x0", False, False): "shape (1, 1, 8, 8, 8)",
    ("x0", False, True): "convInferShape fails",
    ("x0", True, False): "right",
    ("x0", True, True): "right",
    ("x", False, False): "right",
    ("x", False, True): "right",
}
for case, expected in cases.items():
    write(*case)
    seen = outcome()
    gated, repeat, behind = case
    print(f"OpenCV {cv2.__version__}, gate on {gated}, map repeated: {repeat}, Conv behind: {behind}: {seen}")
    assert seen == expected, "this is another: the finding is out of date"
PY
"$folder/venv/bin/python" "$folder/check.py" "$folder"
