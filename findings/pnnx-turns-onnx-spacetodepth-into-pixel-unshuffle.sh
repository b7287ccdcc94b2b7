#!/usr/bin/env bash
# ONNX's SpaceToDepth converted for ncnn by pnnx: the output channels come in another order, without a word.
#
# Seen with pnnx 20261020, ncnn 1.0.20261020, onnx 1.23.2, onnxruntime 1.32.0, numpy 2.4.6, Python 3.11, Linux x86-64, 2026-11-29:
#   ONNX orders the channels of SpaceToDepth by place in the block, then by input channel. pnnx writes ncnn's Reorg with mode 0
#   (`0=2 1=0`), which orders by input channel, then by place, as PyTorch's pixel_unshuffle does. Shapes are the same, nothing is
#   printed. With mode 1 (`1=1`) in the .param ncnn gives ONNX's order to the bit. With one input channel both orders are the same.
# Expected before: mode 1, or a refusal; a converter that reads ONNX keeps the order that ONNX states.
# What follows: YOLOv2's reorg, and focus layers written as SpaceToDepth, are wrong in ncnn; set mode 1 after conversion, or compare.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check numpy==2.4.6 onnx==1.23.2 onnxruntime==1.32.0
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check --no-deps ncnn==1.0.20261020 pnnx==20261020
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

BLOCK = 2
folder = Path(sys.argv[1])
pnnx = Path(find_spec("pnnx").submodule_search_locations[0]) / "pnnx"  # importing it would need PyTorch


def convert(channels: int) -> np.ndarray:
    """Writes a SpaceToDepth and its ncnn files; returns the input."""
    image = np.random.default_rng(0).random((1, channels, 4, 4), dtype=np.float32)
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, image.shape)
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, channels * BLOCK**2, 4 // BLOCK, 4 // BLOCK])
    graph = helper.make_graph([helper.make_node("SpaceToDepth", ["x"], ["y"], blocksize=BLOCK)], "g", [x], [y])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model, full_check=True)
    onnx.save(model, folder / "a.onnx")
    command = [pnnx, "a.onnx", f"inputshape=[1,{channels},4,4]", "fp16=0"]
    subprocess.run(command, cwd=folder, check=True, capture_output=True)
    return image


def run(image: np.ndarray) -> np.ndarray:
    net = ncnn.Net()
    net.opt.use_fp16_packed = net.opt.use_fp16_storage = net.opt.use_fp16_arithmetic = False
    assert net.load_param(str(folder / "a.ncnn.param")) == net.load_model(str(folder / "a.ncnn.bin")) == 0
    extractor = net.create_extractor()
    extractor.input("in0", ncnn.Mat(image[0]))
    return np.array(extractor.extract("out0")[1])


for channels, is_right in ((1, True), (3, False), (8, False)):
    image = convert(channels)
    expected = onnxruntime.InferenceSession(folder / "a.onnx").run(None, {"x": image})[0][0]
    blocks = image[0].reshape(channels, 2, BLOCK, 2, BLOCK)
    unshuffled = blocks.transpose(0, 2, 4, 1, 3).reshape(expected.shape)  # input channel, then place in the block
    param = folder / "a.ncnn.param"
    text = param.read_text()
    found = run(image)
    param.write_text(text.replace("0=2 1=0", "0=2 1=1"))
    mended = run(image)
    seen = [bool(np.array_equal(found, other)) for other in (expected, unshuffled)]
    print(f"pnnx 20261020, {channels} channels: as ONNX {seen[0]}, as pixel_unshuffle {seen[1]};", end=" ")
    print(f"mode 1 as ONNX {np.array_equal(mended, expected)}")
    assert "Reorg" in text and "0=2 1=0" in text, "this is another: the finding is out of date"
    assert seen == [is_right, True] and np.array_equal(mended, expected), "this is another: the finding is out of date"
PY
"$folder/venv/bin/python" "$folder/check.py" "$folder"
