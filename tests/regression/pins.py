"""Pins: what commands gave before, in one readable file each under `pins/`.

`SEYOLO_PIN=1 pytest tests/regression` writes them anew, and the help texts under `help/`; look at the diff.

Each file has the machine it was recorded on and three parts. What is `exact` holds everywhere. `digests` and
`numbers` hold bit by bit where processor and libraries are those of the recording; elsewhere the digests say
nothing, and the numbers hold within a tolerance.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Iterable, Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.numpy import load_file

FOLDER = Path(__file__).parent
REWRITE = os.environ.get("SEYOLO_PIN") == "1"
LIBRARIES = ("torch", "numpy", "opencv-python-headless", "onnx", "onnxscript", "onnxruntime", "openvino")
REL_TOL, ABS_TOL = 0.05, 0.05
ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
HELP_WIDTH = {"COLUMNS": "110", "LINES": "50", "NO_COLOR": "1", "TERM": "dumb", "PYTHONUTF8": "1"}


def seyolo_line(arguments: Iterable[object], folder: Path) -> str:
    """Runs `seyolo ARGUMENTS` in a process of its own with one thread, and gives what it printed."""
    line = [sys.executable, "-m", "seyolo", *(str(argument) for argument in arguments)]
    environment = os.environ | ONE_THREAD | HELP_WIDTH
    done = subprocess.run(
        line, cwd=folder, env=environment, capture_output=True, text=True, encoding="utf-8", check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def machine() -> dict[str, str]:
    """Whatever decides about the last bits of a float."""
    return {
        "processor": _processor(),
        "vectors": torch.backends.cpu.get_cpu_capability(),
        **{name: version(name) for name in LIBRARIES},
    }


def digest(content: bytes | str) -> str:
    """Sixteen hexadecimal digits of SHA-256."""
    content = content.encode() if isinstance(content, str) else content
    return hashlib.sha256(content).hexdigest()[:16]


def state_digest(state: Mapping[str, np.ndarray]) -> str:
    """Of named tensors, in whatever order they come."""
    whole = hashlib.sha256()
    for name in sorted(state):
        array = state[name]
        whole.update(f"{name} {array.dtype} {array.shape}\n".encode())
        whole.update(np.ascontiguousarray(array).tobytes())
    return whole.hexdigest()[:16]


def state_norm(state: Mapping[str, np.ndarray]) -> float:
    """The Euclidean norm of all tensors of floats together."""
    floats = [array.astype(np.float64) for array in state.values() if array.dtype.kind == "f"]
    return float(np.sqrt(sum(np.square(array).sum() for array in floats)))


class Recording:
    """What one test found, held against its pin at the end."""

    def __init__(self, name: str) -> None:
        self.path = FOLDER / "pins" / f"{name}.json"
        self.exact: dict[str, Any] = {}
        self.digests: dict[str, str] = {}
        self.numbers: dict[str, Any] = {}

    def add_state(self, name: str, state: Mapping[str, np.ndarray]) -> None:
        """Pins names and shapes, every bit, and the norm."""
        shapes = "\n".join(f"{key} {state[key].shape}" for key in sorted(state))
        self.exact[f"{name} shapes"] = digest(shapes)
        self.digests[name] = state_digest(state)
        self.numbers[f"{name} norm"] = state_norm(state)

    def add_checkpoint(self, path: Path, name: str) -> None:
        """Pins the tensors of a checkpoint."""
        self.add_state(name, load_file(path))

    def hold(self) -> None:
        """Compares with the pin, or writes it."""
        parts = {"exact": self.exact, "digests": self.digests, "numbers": self.numbers}
        if REWRITE:
            self.path.parent.mkdir(exist_ok=True)
            self.path.write_text(_readable({"machine": machine(), **parts}), encoding="utf-8")
            return
        pinned = json.loads(self.path.read_text(encoding="utf-8"))
        for part, found in parts.items():
            assert found.keys() == pinned[part].keys(), part
        _hold_equal(self.exact, pinned["exact"])
        if machine() == pinned["machine"]:
            _hold_equal(self.numbers, pinned["numbers"])
            _hold_equal(self.digests, pinned["digests"])
        else:
            for name, number in self.numbers.items():
                np.testing.assert_allclose(
                    _flat(number), _flat(pinned["numbers"][name]), rtol=REL_TOL, atol=ABS_TOL, err_msg=name
                )


def _hold_equal(found: Mapping[str, Any], pinned: Mapping[str, Any]) -> None:
    """Names what differs; pytest explains no assertion outside of a test file."""
    different = {name: (value, pinned[name]) for name, value in found.items() if value != pinned[name]}
    assert not different, f"found and pinned: {different}"


def _flat(number: Any) -> list[float]:
    """All numbers of a pin, however it holds them."""
    if isinstance(number, Mapping):
        number = list(number.values())
    return [value for part in number for value in _flat(part)] if isinstance(number, list) else [number]


def _readable(pins: Mapping[str, Mapping[str, Any]]) -> str:
    """JSON with one line per pin."""
    parts = []
    for part, values in pins.items():
        lines = ",\n".join(f"    {json.dumps(name)}: {json.dumps(value)}" for name, value in values.items())
        parts.append(f"  {json.dumps(part)}: {{\n{lines}\n  }}")
    return "{\n" + ",\n".join(parts) + "\n}\n"


def _processor() -> str:
    """Its name and a digest of what it can do; PyTorch's `AVX512` stands for several kinds."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.is_file() else []
    values = dict(line.split(":", 1) for line in lines if ":" in line)
    values = {key.strip(): value.strip() for key, value in values.items()}
    return f"{values.get('model name', '?')} {digest(values.get('flags', ''))}"
