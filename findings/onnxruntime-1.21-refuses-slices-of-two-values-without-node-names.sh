#!/usr/bin/env bash
# ONNX Runtime up to 1.21 refuses a valid graph in which two values are cut in slices by nodes without names.
#
# Seen with ONNX Runtime 1.20.1 and 1.21.0, onnx 1.17.0, Python 3.11, 2026-11-30:
#   x and y (n, 3) are each cut in three columns by Slice nodes. With names for the nodes both versions load and
#   compute it. Without, an InferenceSession raises Fail: "two nodes with same node name
#   (/GatherSliceToSplitFusion/)". ONNX Runtime 1.22.1 loads both.
# Expected before: names of nodes are optional in ONNX, and the checker passes the graph: both load.
# What follows: who builds a graph names every node; a graph that loads today may fail on a board with an
#   older runtime. It is an optimization that fails, so it takes two such values: one alone loads.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
pip="$folder/venv/bin/pip install --quiet --disable-pip-version-check"
cat > "$folder/check.py" <<'PY'
import sys

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper


def columns(values, has_names):
    """A graph that gives each column of these (n, 3) values."""
    cut = [(value, k, f"{value}{k}") for value in values for k in range(3)]
    nodes = [
        helper.make_node("Slice", [value, f"at{k}", f"at{k + 1}", "at1"], [column], name=column if has_names else "")
        for value, k, column in cut
    ]
    tensor = helper.make_tensor_value_info
    numbers = [numpy_helper.from_array(np.array([k], np.int64), f"at{k}") for k in range(4)]
    inputs = [tensor(value, TensorProto.FLOAT, ["n", 3]) for value in values]
    outputs = [tensor(column, TensorProto.FLOAT, ["n", 1]) for _, _, column in cut]
    graph = helper.make_graph(nodes, "columns", inputs, outputs, numbers)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    onnx.checker.check_model(model, full_check=True)
    return model.SerializeToString()


def computed(values, has_names):
    """The columns of 0, 1, 2 and so on, or the error's text."""
    feeds = {value: np.arange(3, dtype=np.float32)[None] for value in values}
    try:
        session = onnxruntime.InferenceSession(columns(values, has_names), providers=["CPUExecutionProvider"])
    except onnxruntime.capi.onnxruntime_pybind11_state.Fail as error:
        return str(error).partition("Error: ")[2]
    return [float(column[0, 0]) for column in session.run(None, feeds)]


both = [0.0, 1.0, 2.0] * 2
refusal = "two nodes with same node name (/GatherSliceToSplitFusion/)."
expected = {"named": both, "nameless": refusal if sys.argv[1] == "old" else both, "one nameless": both[:3]}
found = {"named": computed("xy", True), "nameless": computed("xy", False), "one nameless": computed("x", False)}
print("ONNX Runtime", onnxruntime.__version__, found)
raise SystemExit(0 if found == expected else "it behaves otherwise now: the finding is out of date")
PY
$pip onnxruntime==1.21.0 onnx==1.17.0
"$folder/venv/bin/python" "$folder/check.py" old
$pip onnxruntime==1.22.1
"$folder/venv/bin/python" "$folder/check.py" new
