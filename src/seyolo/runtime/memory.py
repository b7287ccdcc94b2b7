"""Peak memory of a function, measured in a process of its own.

Inside one process the memory of several models cannot be separated: allocators keep freed memory, runtimes
share pools, and the first model pays for the libraries. The result is the largest physical memory of a fresh
process, with interpreter and libraries: what a program that only detects needs. GPU memory does not count.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from seyolo.errors import BackendError

STATUS = Path("/proc/self/status")
_ALONE = """
import importlib, json, sys
module, function, keywords = json.load(sys.stdin)
getattr(importlib.import_module(module), function)(**keywords)
from seyolo.runtime.memory import peak_memory_mb
print(json.dumps(peak_memory_mb()))
"""


def peak_memory_mb() -> float | None:
    """Returns the largest physical memory of this process so far in megabytes; None on systems but Linux.

    `getrusage` would include the process that started this one.
    """
    lines = STATUS.read_text(encoding="ascii").splitlines() if STATUS.is_file() else []
    return next((int(line.split()[1]) * 1024 / 1e6 for line in lines if line.startswith("VmHWM:")), None)


def measure_alone(module: str, function: str, keywords: Mapping[str, object]) -> float | None:
    """Returns the peak memory in megabytes of a fresh process that calls a function; None if unknown.

    The `keywords` hold JSON values only; the result of the function is ignored.

    Raises:
        BackendError: the call failed; the message has the last line of its output.
    """
    path = os.pathsep.join(folder for folder in sys.path if folder)
    done = subprocess.run(
        [sys.executable, "-c", _ALONE],
        input=json.dumps([module, function, dict(keywords)]),
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": path},
        check=False,
    )
    if done.returncode:
        said = done.stderr.strip().splitlines() or [f"exit code {done.returncode}"]
        raise BackendError(f"measuring memory failed: {said[-1]}")
    peak: float | None = json.loads(done.stdout.splitlines()[-1])
    return peak
