"""Peak memory of a piece of work, measured in a process of its own.

Inside one process it cannot be told apart which model holds what: allocators keep what was freed, runtimes
share pools, and whoever comes first pays for the libraries. So a fresh process does nothing but that work,
and the number is the most physical memory it ever held: interpreter, libraries, the file, its weights as the
runtime packs them, images. It is what a program that only detects needs, and an upper bound where several
run: pages of libraries that they share count in each. A GPU's own memory is not in it.
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
    """The most physical memory in megabytes that this process held so far; None where no system tells.

    Linux alone: what `getrusage` says there includes the process that started this one.
    """
    lines = STATUS.read_text(encoding="ascii").splitlines() if STATUS.is_file() else []
    return next((int(line.split()[1]) * 1024 / 1e6 for line in lines if line.startswith("VmHWM:")), None)


def measure_alone(module: str, function: str, keywords: Mapping[str, object]) -> float | None:
    """Peak memory in megabytes of a fresh process that calls a function; None where no system tells.

    Args:
        module: where the function is.
        function: its name; what it returns is not looked at.
        keywords: its arguments, JSON values only.

    Raises:
        BackendError: the call failed; with the last line of what it said.
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
