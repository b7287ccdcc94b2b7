#!/usr/bin/env bash
# quantize_static of ONNX Runtime takes ranges from calibration_cache_path even if model, images and options are others.
#
# Seen with onnxruntime 1.32.0, onnx 1.23.2, numpy 2.4.6, Python 3.11, 2026-11-30:
#   A file at calibration_cache_path is read instead of the images. Its calibration method is compared, nothing else:
#   the same layers with weights ten times as large get the ranges of the first model, and nine tenths of the largest
#   output are cut off. So do other images and other options (CalibTensorRangeSymmetric). The data reader is not asked
#   for one image, and nothing is printed. Names of tensors are equal before and after pruning or more training.
# Expected before: a cache that belongs to its model and data, or an error where they are others.
# What follows: one cache file per model file, images and options; delete it after each training.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check onnxruntime==1.32.0 onnx==1.23.2 numpy==2.4.6
cat > "$folder/check.py" <<'PY'
import logging
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper
from onnxruntime.quantization import CalibrationDataReader, quantize_static

logging.disable(logging.WARNING)
shape = [1, 1, 4, 4]
image = np.linspace(-1, 1, 16, dtype=np.float32).reshape(shape)
cache = Path("ranges.json")


class Images(CalibrationDataReader):
    def __init__(self) -> None:
        self.left, self.asked = [{"x": image}], 0

    def get_next(self) -> dict[str, np.ndarray] | None:
        self.asked += 1
        return self.left.pop() if self.left else None


def quantized(weight: float, **arguments: object) -> tuple[float, float, int]:
    """Largest output of the network of one weight, of its int8 file, and how often images were asked for."""
    graph = helper.make_graph(
        [helper.make_node("Conv", ["x", "w"], ["y"])],
        "conv",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, shape)],
        [numpy_helper.from_array(np.full((1, 1, 1, 1), weight, np.float32), "w")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)
    onnx.checker.check_model(model, full_check=True)
    onnx.save(model, "conv.onnx")
    images = Images()
    quantize_static("conv.onnx", "int8.onnx", images, **arguments)
    largest = [
        round(float(onnxruntime.InferenceSession(file).run(None, {"x": image})[0].max()), 2)
        for file in ("conv.onnx", "int8.onnx")
    ]
    return *largest, images.asked


first = quantized(1, calibration_cache_path=cache)
before = cache.read_bytes()
second = quantized(10, calibration_cache_path=cache)
symmetric = quantized(10, calibration_cache_path=cache, extra_options={"CalibTensorRangeSymmetric": True})
fresh = quantized(10)
print("onnxruntime", onnxruntime.__version__, "| largest output, that of int8, times images were asked for")
print("weight 1:", first, "| weight 10, the same cache:", second, "| and symmetric:", symmetric, "| no cache:", fresh)
same = (
    first == (1.0, 1.0, 2)
    and second == symmetric == (10.0, 1.0, 0)
    and cache.read_bytes() == before
    and fresh == (10.0, 9.96, 2)
)
raise SystemExit(0 if same else "the cache is treated otherwise now: the finding is out of date")
PY
cd "$folder"
venv/bin/python check.py
