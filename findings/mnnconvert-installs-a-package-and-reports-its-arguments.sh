#!/usr/bin/env bash
# mnnconvert of MNN's Python package runs `pip install` of a logging package, whose client then reports every conversion.
#
# Seen with mnn 3.6.1, onnx 1.23.2, numpy 2.4.6, Python 3.11, Linux, 2026-11-29:
#   The console script mnnconvert imports MNN.tools.utils.log. That module runs `pip install -U aliyun-log-python-sdk` where
#   the package is missing, at import, unasked and unpinned, in whatever environment `pip` is first on PATH. By its source
#   the client then gets credentials from a server whose address is written in base64, and puts a log of each conversion
#   there: the model's id, its sizes and the command's arguments; the record has a field for the machine's id.
#   Here a `pip` of our own stands first on PATH and only writes down how it was called: nothing is installed, the import
#   fails, the converter goes on without its logger, and no server is asked. The converted file is as good without it.
# Expected before: that a converter converts a file.
# What follows: call _tools.mnnconvert (what the script calls first) or the C++ program, or run it without a network.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check numpy==2.4.6 onnx==1.23.2 mnn==3.6.1
mkdir "$folder/stub"
printf '#!/bin/sh\necho "pip $*" >> "%s/called.txt"\nexit 1\n' "$folder" > "$folder/stub/pip"
chmod +x "$folder/stub/pip"
cat > "$folder/check.py" <<'PY'
import base64
import os
import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import onnx
from onnx import TensorProto, helper

folder = Path(sys.argv[1])
package = Path(find_spec("MNN").submodule_search_locations[0])
x, y = (helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 3, 8, 8]) for name in "xy")
graph = helper.make_graph([helper.make_node("Relu", ["x"], ["y"])], "relu", [x], [y])
model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
onnx.checker.check_model(model, full_check=True)
onnx.save(model, str(folder / "relu.onnx"))

source = (package / "tools" / "utils" / "log.py").read_text()
addresses = [base64.urlsafe_b64decode(text).decode() for text in re.findall(r"b64decode\(b'([^']+)'", source)]
hosts = [re.sub(r"^https://([^/]*).*", r"\1", address) for address in addresses if address.startswith("https://")]
print("servers named in log.py in base64:", len(hosts), "in", {".".join(host.split(".")[-2:]) for host in hosts})
assert len(hosts) == 2
assert "machine_id" in source

stub = str(folder / "stub")
environment = {**os.environ, "PATH": f"{stub}:{os.environ['PATH']}"}
command = "-f ONNX --modelFile relu.onnx --MNNModel relu.mnn --bizCode x".split()
program = Path(sys.executable).with_name("mnnconvert")
done = subprocess.run([program, *command], cwd=folder, env=environment, capture_output=True, text=True, check=False)
called = (folder / "called.txt").read_text().split("\n")[0]
print("mnnconvert ran:", called, "| exit code", done.returncode, "| written:", (folder / "relu.mnn").is_file())
assert called == "pip install -U aliyun-log-python-sdk"
assert done.returncode == 0
assert (folder / "relu.mnn").is_file()
PY
"$folder/venv/bin/python" "$folder/check.py" "$folder"
