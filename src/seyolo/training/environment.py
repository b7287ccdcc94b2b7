"""Environment of a run: versions, processor, threads, processes and command line."""

from __future__ import annotations

import os
import platform
import re
import shlex
import sys
from importlib import metadata
from pathlib import Path

import torch

from seyolo.files import write_text
from seyolo.training.distributed import current_team

COMMANDS_FILE = "commands.txt"
PACKAGES = ("seyolo", "torch", "numpy", "opencv-python-headless", "onnxruntime", "onnx", "faster-coco-eval")


def describe_environment() -> dict[str, object]:
    """Returns package versions, processor, threads and processes as JSON values."""
    return {
        "python": platform.python_version(),
        "platform": platform.platform(),
        "processor": _processor(),
        "cores": os.cpu_count(),
        "torch_threads": torch.get_num_threads(),
        "processes": current_team().size,
        "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
        "packages": {name: _version(name) for name in PACKAGES},
    }


def command_line() -> str:
    """Returns the command line of this process, quoted for a shell."""
    program, *arguments = sys.argv
    name, num_processes = Path(program).name, current_team().size
    if num_processes > 1:
        start = ["-m", "seyolo"] if name in ("__main__.py", "seyolo") else [name]
        return shlex.join(["torchrun", "--nproc-per-node", str(num_processes), *start, *arguments])
    start = ["python", "-m", "seyolo"] if name == "__main__.py" else [name]
    return shlex.join([*start, *arguments])


def keep_command(folder: Path, *, is_new: bool) -> None:
    """Appends the command line to a run's commands.txt; runs of older versions have no such file."""
    path = folder / COMMANDS_FILE
    earlier = "" if is_new else "# started by a version that did not keep its command line\n"
    if path.exists():
        earlier = path.read_text(encoding="utf-8")
    write_text(path, f"{earlier}{command_line()}\n")


def _processor() -> str:
    """Returns the name of the processor on Linux, else its architecture."""
    path = Path("/proc/cpuinfo")
    text = path.read_text(encoding="utf-8") if path.exists() else ""
    name = re.search(r"^model name\s*:\s*(.+)$", text, flags=re.MULTILINE)
    return name[1].strip() if name else platform.processor() or platform.machine()


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None
