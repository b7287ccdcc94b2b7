#!/usr/bin/env bash
# CalibMaxIntermediateOutputs of ONNX Runtime's quantize_static: full groups of images are thrown away, without a word.
#
# Seen with onnxruntime 1.32.0, onnx 1.23.2, numpy 2.4.6, Python 3.11, 2026-11-30:
#   The option's documentation says that it merges ranges group by group, with the same result and less memory. Its
#   MinMax calibration empties the list of outputs after each group and never takes their range: of six images, a limit
#   of 4 calibrates on the last two, a limit of 5 on the last one. A divisor of the number of images ends in
#   "ValueError: No data is collected"; a limit above that number changes nothing.
#   Beside it: with CalibMovingAverage the range is the plain mean over the images, whatever the option
#   CalibMovingAverageConstant says.
# Expected before: the same ranges, as documented, and a constant that has an effect.
# What follows: leave the option out, and use CalibStridedMinMax where memory is short; look at the scales in the file.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check onnxruntime==1.32.0 onnx==1.23.2 numpy==2.4.6
cat > "$folder/check.py" <<'PY'
import logging

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper
from onnxruntime.quantization import CalibrationDataReader, quantize_static

logging.disable(logging.WARNING)
LARGEST = (8, 1, 1, 1, 4, 2)  # largest value of each image; the smallest is its negative
shape = [1, 1, 4, 4]
node = helper.make_node("Conv", ["x", "w"], ["y"])
graph = helper.make_graph(
    [node],
    "conv",
    [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
    [helper.make_tensor_value_info("y", TensorProto.FLOAT, shape)],
    [numpy_helper.from_array(np.ones((1, 1, 1, 1), np.float32), "w")],
)
model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)
onnx.checker.check_model(model, full_check=True)
onnx.save(model, "conv.onnx")


class Images(CalibrationDataReader):
    def __init__(self) -> None:
        self.images = iter(v * np.linspace(-1, 1, 16, dtype=np.float32).reshape(shape) for v in LARGEST)

    def get_next(self) -> dict[str, np.ndarray] | None:
        image = next(self.images, None)
        return None if image is None else {"x": image}


def largest(**options: object) -> float | str:
    """The largest value that the quantised file can hold at its input."""
    try:
        quantize_static("conv.onnx", "int8.onnx", Images(), extra_options=options)
    except ValueError as error:
        return str(error)
    constants = {one.name: numpy_helper.to_array(one) for one in onnx.load("int8.onnx").graph.initializer}
    return round(float(constants["x_scale"]) * 255 / 2, 3)


limited = {limit: largest(CalibMaxIntermediateOutputs=limit) for limit in (2, 3, 4, 5, 6, 7)}
averaged = {c: largest(CalibMovingAverage=True, CalibMovingAverageConstant=c) for c in (0.01, 0.5)}
print("onnxruntime", onnxruntime.__version__, "| largest value without a limit:", largest())
print("with a limit:", limited)
print("moving average by constant:", averaged, "| plain mean:", round(np.mean(LARGEST), 3))
nothing = "No data is collected."
same = (
    largest() == 8
    and limited == {2: nothing, 3: nothing, 4: 4.0, 5: 2.0, 6: nothing, 7: 8.0}
    and averaged == {0.01: 2.833, 0.5: 2.833}
)
raise SystemExit(0 if same else "other ranges now: the finding is out of date")
PY
cd "$folder"
venv/bin/python check.py
