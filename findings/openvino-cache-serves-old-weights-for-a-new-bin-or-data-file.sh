#!/usr/bin/env bash
# OpenVINO with CACHE_DIR: new weights beside an unchanged model file are not noticed, the old network answers.
#
# Seen with openvino 2026.4.1, onnx 1.23.2, numpy 2.4.6, Python 3.11, Linux, 2026-11-30:
#   compile_model(path) with a cache knows a model by the path, the size and the time in whole seconds of the file that
#   is named, not by what the network computes. Retrained weights of the same layers give the same .xml, byte by byte,
#   and the same .onnx where its weights lie in external data: after the .bin or the .data is replaced, seconds later,
#   LOADED_FROM_CACHE is true and the results are those of the old weights. An .onnx of the same size that is written
#   anew in the same second, or whose time is set to a fixed one (reproducible archives), is not noticed, either.
#   compile_model(read_model(path)) is right in all these cases: its key comes from the weights themselves.
# Expected before: other weights, another key.
# What follows: with CACHE_DIR read the model first, or empty the folder when a model is replaced.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check openvino==2026.4.1 onnx==1.23.2 numpy==2.4.6
cat > "$folder/check.py" <<'PY'
import os
import shutil
import time
from pathlib import Path

import numpy as np
import onnx
import openvino
from onnx import TensorProto, helper, numpy_helper

SIDE = [1, 16, 4, 4]


def write(weight: float, external: bool = False) -> None:
    """Writes net.onnx, and net.data beside it, of a network that gives `weight` for ones."""
    kernels = numpy_helper.from_array(np.full((16, 16, 1, 1), weight / 16, np.float32), "w")
    x, y = (helper.make_tensor_value_info(name, TensorProto.FLOAT, SIDE) for name in "xy")
    graph = helper.make_graph([helper.make_node("Conv", ["x", "w"], ["y"])], "net", [x], [y], [kernels])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model, full_check=True)
    Path("net.data").unlink(missing_ok=True)
    options = {"save_as_external_data": True, "location": "net.data", "size_threshold": 0} if external else {}
    onnx.save(model, "net.onnx", **options)


def write_ir(weight: float) -> None:
    write(weight)
    openvino.save_model(openvino.convert_model("net.onnx"), "new.xml", compress_to_fp16=False)
    if not Path("net.xml").exists():
        shutil.copy("new.xml", "net.xml")
    assert Path("new.xml").read_bytes() == Path("net.xml").read_bytes()  # which is left as it is
    shutil.copy("new.bin", "net.bin")


def write_data(weight: float) -> None:
    before = Path("net.onnx").read_bytes() if Path("net.data").exists() else None
    kept = os.stat("net.onnx") if before else None
    write(weight, external=True)
    if kept:
        assert Path("net.onnx").read_bytes() == before
        os.utime("net.onnx", ns=(kept.st_atime_ns, kept.st_mtime_ns))  # as if only net.data had been copied here


def write_same_second(weight: float) -> None:
    write(weight)
    moment = 1_000_000_000 + (0.5 if weight > 1 else 0)
    os.utime("net.onnx", (moment, moment))


def answers(writer: object, path: str, read_first: bool) -> list[tuple[float, bool]]:
    """Output and LOADED_FROM_CACHE for weight 1, then for weight 2 in its place."""
    shutil.rmtree("cache", ignore_errors=True)
    for name in ("net.xml", "net.bin", "net.onnx", "net.data"):
        Path(name).unlink(missing_ok=True)
    seen = []
    for weight in (1, 2):
        writer(weight)
        core = openvino.Core()
        core.set_property({"CACHE_DIR": "cache"})
        model = core.read_model(path) if read_first else path
        network = core.compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
        output = float(network(np.ones(SIDE, np.float32))[0].max())
        seen.append((round(output, 3), network.get_property("LOADED_FROM_CACHE")))
        time.sleep(1.1)
    return seen


print("openvino", openvino.__version__, "| (output, loaded from the cache) for weight 1, then 2")
same = True
for writer in (write_ir, write_data, write_same_second, write):
    path = "net.xml" if writer is write_ir else "net.onnx"
    named, read = (answers(writer, path, read_first) for read_first in (False, True))
    print(writer.__name__, "| path:", named, "| read_model:", read)
    noticed = writer is write  # a second later
    same &= named == [(1.0, False), (2.0, False) if noticed else (1.0, True)]
    same &= read == [(1.0, False), (2.0, False)]
raise SystemExit(0 if same else "the cache behaves otherwise now: the finding is out of date")
PY
cd "$folder"
venv/bin/python check.py
