#!/usr/bin/env bash
# A MaxPool of ONNX that is padded at its start only: pnnx writes a Padding layer, and the same padding in the pool again.
#
# Seen with pnnx 20261020, ncnn 1.0.20261020, onnx 1.23.2, onnxruntime 1.32.0, numpy 2.4.6, Python 3.11, Linux, 2026-11-29:
#   MaxPool 2x2, stride 1, pads [1, 1, 0, 0] (top, left) on (1, 2, 6, 6): ONNX Runtime gives 6x6, ncnn on the converted
#   file 8x8, without error or warning. The .param holds Padding 0=1 2=1 and then Pooling with pad 1 on every side.
#   Pads [0, 0, 1, 1] (bottom, right), as Darknet has them, and equal pads are right.
# Expected before: that a Padding layer takes the place of the pool's own padding.
# What follows: compare shape and values of a converted pool with those of ONNX; pad in an own layer before converting.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check \
  numpy==2.4.6 onnx==1.23.2 onnxruntime==1.32.0 ncnn==1.0.20261020
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check --no-deps pnnx==20261020 # torch is not needed for ONNX
cat > "$folder/check.py" <<'PY'
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import ncnn
import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper

folder = Path(sys.argv[1])
program = Path(find_spec("pnnx").submodule_search_locations[0]) / "pnnx"
image = np.random.default_rng(0).standard_normal((1, 2, 6, 6), dtype=np.float32) - 5


def outputs(pads: list[int]) -> tuple[np.ndarray, np.ndarray]:
    """Returns what ONNX Runtime and ncnn make of a 2x2 pool with these pads."""
    node = helper.make_node("MaxPool", ["x"], ["y"], kernel_shape=[2, 2], strides=[1, 1], pads=pads)
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, image.shape)
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, None)
    graph = helper.make_graph([node], "pool", [x], [y])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    model = onnx.shape_inference.infer_shapes(model)
    onnx.checker.check_model(model, full_check=True)
    onnx.save(model, str(folder / "m.onnx"))
    command = [str(program), "m.onnx", "inputshape=[1,2,6,6]", "fp16=0"]
    subprocess.run(command, cwd=folder, capture_output=True, check=False)
    (expected,) = onnxruntime.InferenceSession(str(folder / "m.onnx")).run(None, {"x": image})
    net = ncnn.Net()
    assert net.load_param(str(folder / "m.ncnn.param")) == 0
    assert net.load_model(str(folder / "m.ncnn.bin")) == 0
    extractor = net.create_extractor()
    extractor.input("in0", ncnn.Mat(image[0]))
    return expected[0], np.array(extractor.extract("out0")[1])


expected, found = outputs([0, 0, 1, 1])
print("padded at the end:", expected.shape, found.shape)
assert np.array_equal(expected, found)
expected, found = outputs([1, 1, 0, 0])
print("padded at the start:", expected.shape, found.shape)
assert expected.shape == (2, 6, 6)
assert found.shape == (2, 8, 8)
PY
"$folder/venv/bin/python" "$folder/check.py" "$folder"
