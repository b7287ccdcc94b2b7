#!/usr/bin/env bash
# ONNX Resize with antialias = 1 or a keep_aspect_ratio_policy: OpenVINO reads the file and ignores both attributes.
#
# Seen with openvino 2026.4.1, onnxruntime 1.32.0, onnx 1.23.2, numpy 2.4.6, Python 3.11, 2026-11-30:
#   antialias: OpenVINO's results are those of the same node without it, linear and cubic; where a fine pattern is made
#   smaller, single samples come out instead of its mean. ONNX Runtime and onnx's reference give the mean.
#   keep_aspect_ratio_policy: a map of 8 x 16 that shall fit into 12 x 12 comes out as 12 x 12, stretched. The others
#   give 6 x 12 for not_larger and 12 x 24 for not_smaller. No error and no warning.
#   A coordinate transformation that OpenVINO does not have (half_pixel_symmetric) is refused when the file is read.
# Expected before: the result that the file asks for, or a refusal.
# What follows: a network that letterboxes or shrinks its images inside needs a parity test for each runtime.
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
from onnx.reference import ReferenceEvaluator

ROWS, COLUMNS = 8, 16
image = np.tile(np.array([0, 0, 0, 1], np.float32), ROWS * COLUMNS // 4).reshape(1, 1, ROWS, COLUMNS)


def model(size: tuple[int, int], **attributes: object) -> bytes:
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, image.shape)
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 1, None, None])
    node = helper.make_node("Resize", ["x", "", "", "size"], ["y"], axes=[2, 3], **attributes)
    graph = helper.make_graph([node], "resize", [x], [y], [numpy_helper.from_array(np.array(size), "size")])
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)
    onnx.checker.check_model(made, full_check=True)
    return made.SerializeToString()


def with_openvino(data: bytes) -> np.ndarray:
    core = openvino.Core()
    return core.compile_model(core.read_model(data), "CPU", {"INFERENCE_PRECISION_HINT": "f32"})(image)[0]


RUNTIMES = {
    "onnxruntime": lambda data: onnxruntime.InferenceSession(data).run(None, {"x": image})[0],
    "reference": lambda data: ReferenceEvaluator(onnx.load_from_string(data)).run(None, {"x": image})[0],
    "openvino": with_openvino,
}


def run(size: tuple[int, int], **attributes: object) -> dict[str, np.ndarray]:
    return {name: runtime(model(size, **attributes)) for name, runtime in RUNTIMES.items()}


def ignored(mode: str) -> dict[str, bool]:
    plain = run((ROWS // 4, COLUMNS // 4), mode=mode)
    smooth = run((ROWS // 4, COLUMNS // 4), mode=mode, antialias=1)
    print(mode, "| middle of the row, antialiased:", {n: r[0, 0, 1, 1:3].round(3).tolist() for n, r in smooth.items()})
    assert np.allclose(smooth["onnxruntime"], smooth["reference"], atol=1e-5)
    assert np.allclose(plain["onnxruntime"], plain["openvino"], atol=1e-5)
    return {name: bool(np.allclose(plain[name], smooth[name], atol=1e-5)) for name in RUNTIMES}


print("openvino", openvino.__version__, "onnxruntime", onnxruntime.__version__)
unheard = {mode: ignored(mode) for mode in ("linear", "cubic")}
print("antialias changes nothing:", unheard)
sizes = {
    policy: {n: r.shape[2:] for n, r in run((12, 12), mode="linear", keep_aspect_ratio_policy=policy).items()}
    for policy in ("stretch", "not_larger", "not_smaller")
}
print("8 x 16 to 12 x 12:", sizes)
right = {"stretch": (12, 12), "not_larger": (6, 12), "not_smaller": (12, 24)}
only_openvino = {name: name == "openvino" for name in RUNTIMES}
same = unheard == {"linear": only_openvino, "cubic": only_openvino} and sizes == {
    policy: {name: (12, 12) if name == "openvino" else size for name in RUNTIMES} for policy, size in right.items()
}
raise SystemExit(0 if same else "OpenVINO resizes otherwise now: the finding is out of date")
PY
cd "$folder"
venv/bin/python check.py
