#!/usr/bin/env bash
# pnnx with fp16=1 (its default) writes 0 for a kernel below 6.1e-5, though 16 bits can hold it.
#
# Seen with pnnx 20261020, ncnn 1.0.20261020, onnx 1.23.2, numpy 2.4.6, Python 3.11, Linux, 2026-11-30:
#   A 1x1 Conv with the kernels 1, 2^-14, 6.0e-5, 3.0e-5 and 1.0e-6: the .bin holds 1, 2^-14, 0, 0, 0, where rounding to
#   16 bits gives 6.002e-5, 2.998e-5 and 1.013e-6 (subnormal numbers of IEEE half precision). No warning.
#   In trained detectors with batch normalisation folded this moves the output by 1.4e-4 to 4.8e-3 of its largest value.
# Expected before: rounding to the nearest 16-bit number, as numpy's astype(float16) rounds.
# What follows: compare a file in 16 bits with a model whose kernels below 2^-14 are zero, not with rounded ones.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check numpy==2.4.6 onnx==1.23.2 ncnn==1.0.20261020
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check --no-deps pnnx==20261020 # torch is not needed for ONNX
cat > "$folder/check.py" <<'PY'
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import ncnn
import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

folder = Path(sys.argv[1])
program = Path(find_spec("pnnx").submodule_search_locations[0]) / "pnnx"
kernel = np.array([1.0, 2.0**-14, 6.0e-5, 3.0e-5, 1.0e-6], np.float32).astype(np.float16)
assert (kernel > 0).all()  # all have a form in 16 bits
weights = kernel.astype(np.float32).reshape(1, 5, 1, 1)
graph = helper.make_graph(
    [helper.make_node("Conv", ["x", "w"], ["y"])], "c",
    [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 5, 1, 1])],
    [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 1, 1, 1])],
    [numpy_helper.from_array(weights, "w")],
)
model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
onnx.checker.check_model(model, full_check=True)
onnx.save(model, str(folder / "m.onnx"))
command = [str(program), "m.onnx", "inputshape=[1,5,1,1]", "fp16=1"]
subprocess.run(command, cwd=folder, capture_output=True, check=False)
data = (folder / "m.ncnn.bin").read_bytes()
assert int.from_bytes(data[:4], "little") == 0x01306B47  # 16-bit weights follow
stored = np.frombuffer(data[4:14], np.float16)
found = []
for channel in range(5):
    net = ncnn.Net()
    for name in ("use_fp16_packed", "use_fp16_storage", "use_fp16_arithmetic", "use_bf16_storage"):
        setattr(net.opt, name, False)
    assert net.load_param(str(folder / "m.ncnn.param")) == 0
    assert net.load_model(str(folder / "m.ncnn.bin")) == 0
    image = np.zeros((5, 1, 1), np.float32)
    image[channel] = 1
    extractor = net.create_extractor()
    extractor.input("in0", ncnn.Mat(image))
    found.append(float(np.array(extractor.extract("out0")[1]).ravel()[0]))
print("given:   ", *kernel)
print("stored:  ", *stored)
print("computed:", *found)
assert np.array_equal(stored, [*kernel[:2], 0, 0, 0])
assert np.array_equal(found, stored.astype(np.float32))
PY
"$folder/venv/bin/python" "$folder/check.py" "$folder"
