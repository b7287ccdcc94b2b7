#!/usr/bin/env bash
# ONNX Runtime makes a thread per physical core of the machine and pins each to a core, whatever cores the process was given.
#
# Seen with onnxruntime 1.32.0 and openvino 2026.4.1, Python 3.11, Linux, two cores, 2026-11-30:
#   A process kept to one core (sched_setaffinity, as taskset, Slurm and `docker --cpuset-cpus` do) opens a session with the
#   default options. The session starts a second thread, and that one is pinned to core 1: for a process on core 0 it works
#   outside of what was allowed, for a process on core 1 both threads share the core, and a run took 38 instead of 20 ms.
#   OpenVINO in the same process says one thread.
# Expected before: as many threads as the affinity allows, which they inherit, as with OpenVINO, PyTorch and OpenCV.
# What follows: set intra_op_num_threads to len(os.sched_getaffinity(0)) where that is less than the machine has.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
if [ "$(python3 -c 'import os; print(len(os.sched_getaffinity(0)))')" -lt 2 ]; then
    echo "needs two cores: nothing to show here"
    exit 0
fi
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --disable-pip-version-check onnxruntime==1.32.0 openvino==2026.4.1 onnx==1.23.2 numpy==2.4.6
cat >"$folder/show.py" <<'PYTHON'
import os
import sys

import numpy as np
import onnx
import onnxruntime
import openvino
from onnx import TensorProto, helper, numpy_helper

first, last = min(os.sched_getaffinity(0)), max(os.sched_getaffinity(0))
os.sched_setaffinity(0, {first})
kernel = numpy_helper.from_array(np.ones((16, 3, 3, 3), np.float32), "kernel")
image = helper.make_tensor_value_info("image", TensorProto.FLOAT, [1, 3, 64, 64])
found = helper.make_tensor_value_info("found", TensorProto.FLOAT, [1, 16, 62, 62])
graph = helper.make_graph([helper.make_node("Conv", ["image", "kernel"], ["found"])], "net", [image], [found], [kernel])
model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
onnx.checker.check_model(model)
onnx.save(model, "net.onnx")

before = set(os.listdir("/proc/self/task"))
session = onnxruntime.InferenceSession("net.onnx", providers=["CPUExecutionProvider"])
added = [os.sched_getaffinity(int(task)) for task in set(os.listdir("/proc/self/task")) - before]
compiled = openvino.Core().compile_model("net.onnx", "CPU")
theirs = compiled.get_property("INFERENCE_NUM_THREADS")
print(f"onnxruntime {onnxruntime.__version__}: kept to core {first}, its threads may use {added}")
print(f"openvino {openvino.__version__}: {theirs} thread")
outside = [cores for cores in added if not cores <= {first}]
sys.exit(not (outside and theirs == 1))
PYTHON
(cd "$folder" && venv/bin/python show.py)
