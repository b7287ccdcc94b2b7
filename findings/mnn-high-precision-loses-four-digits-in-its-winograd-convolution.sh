#!/usr/bin/env bash
# MNN with precision "high" computes a 3x3 convolution with an error of 1e-3, until a hint keeps its Winograd tiles small.
#
# Seen with mnn 3.6.1, onnx 1.23.2, onnxruntime 1.32.0, numpy 2.4.6, Python 3.11, x86-64 with AVX-512, Linux, 2026-11-30:
#   A Conv of 64 to 64 channels, 3x3, on (1, 64, 40, 40), normal kernels, images in [0, 1]. Largest error relative to the
#   largest output in float64: ONNX Runtime 3e-7; MNN 9e-4, although it prints "MNN use high precision". With the hint
#   WINOGRAD_MEMORY_LEVEL (number 3 of set_hint) 0 it is 1e-6; the default is the largest level, 3.
# Expected before: that "high", the most exact setting, means float32's rounding error, as in other runtimes.
# What follows: set the hint wherever the output is compared or box coordinates are decoded inside the file.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check \
  numpy==2.4.6 onnx==1.23.2 onnxruntime==1.32.0 mnn==3.6.1
cat > "$folder/check.py" <<'PY'
import sys
from pathlib import Path

import _tools
import MNN.expr
import MNN.nn
import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

folder = Path(sys.argv[1])
WINOGRAD_MEMORY_LEVEL = 3
channels, side = 64, 40
random = np.random.default_rng(0)
image = random.random((1, channels, side, side), dtype=np.float32)
kernel = random.standard_normal((channels, channels, 3, 3), dtype=np.float32)
x, y = (helper.make_tensor_value_info(name, TensorProto.FLOAT, image.shape) for name in "xy")
node = helper.make_node("Conv", ["x", "w"], ["y"], pads=[1, 1, 1, 1])
graph = helper.make_graph([node], "conv", [x], [y], [numpy_helper.from_array(kernel, "w")])
model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
onnx.checker.check_model(model, full_check=True)
onnx.save(model, str(folder / "conv.onnx"))
files = ["--modelFile", str(folder / "conv.onnx"), "--MNNModel", str(folder / "conv.mnn")]
_tools.mnnconvert(["mnnconvert", "-f", "ONNX", *files, "--bizCode", "x"])

exact = np.zeros(image.shape[1:])
padded = np.pad(image[0].astype(float), ((0, 0), (1, 1), (1, 1)))
for i in range(3):
    for j in range(3):
        taken = padded[:, i : i + side, j : j + side]
        exact += np.einsum("oc,chw->ohw", kernel[:, :, i, j].astype(float), taken)


def error(output: np.ndarray) -> float:
    return float(np.abs(output[0] - exact).max() / np.abs(exact).max())


def mnn_error(level: int | None) -> float:
    settings = {"precision": "high", "backend": "CPU", "numThread": 1}
    manager = MNN.nn.create_runtime_manager((settings,))
    if level is not None:
        manager.set_hint(WINOGRAD_MEMORY_LEVEL, level)
    module = MNN.nn.load_module_from_file(str(folder / "conv.mnn"), ["x"], ["y"], runtime_manager=manager)
    given = MNN.expr.const(image, list(image.shape), MNN.expr.NCHW)
    return error(np.array(module.forward([given])[0].read()))


session = onnxruntime.InferenceSession(str(folder / "conv.onnx"))
reference, usual, small = error(session.run(None, {"x": image})[0]), mnn_error(None), mnn_error(0)
print(f"error: onnxruntime {reference:.0e}, MNN {usual:.0e}, MNN with small tiles {small:.0e}")
assert reference < 2e-6
assert usual > 1e-4
assert small < 5e-6
PY
"$folder/venv/bin/python" "$folder/check.py" "$folder"
