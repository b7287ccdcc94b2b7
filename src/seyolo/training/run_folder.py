"""Folder of a training run: settings, environment, commands, figures, models, and the state to resume it.

`best.safetensors` (highest AP on the validation splits) and `last.safetensors` hold averaged models,
`curves.json` precision and recall of the best one, `scales.csv` the percentiles of |γ| in sparsity training.
The state file names its tensors `group/name`; the record is JSON in its metadata. Nothing is pickled.
"""

from __future__ import annotations

import csv
import io
import json
import os
import platform
import re
import shlex
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from seyolo.checkpoint import write_checkpoint
from seyolo.errors import TrainingError
from seyolo.files import replacing, write_json, write_text
from seyolo.runtime.choice import installed_version
from seyolo.torchnet.build import to_checkpoint
from seyolo.training.config import TrainConfig
from seyolo.training.distillation import Distillation
from seyolo.training.distributed import current_team
from seyolo.training.step import TrainingStep

STATE_FILE, RESULTS_FILE = "state.safetensors", "results.csv"
CURVES_FILE, SCALES_FILE = "curves.json", "scales.csv"
BEST_FILE, LAST_FILE = "best.safetensors", "last.safetensors"
PACKAGES = ("seyolo", "torch", "numpy", "opencv-python-headless", "onnxruntime", "onnx", "faster-coco-eval")
FORMAT = "seyolo-run"

Row = dict[str, Any]


@dataclass
class RunRecord:
    """Figures of the finished epochs; stored as JSON in the state file of the run."""

    epochs: int  # planned length of the run
    epoch: int = 0  # number of finished epochs
    updates: int = 0  # of the averaged model
    best_ap: float = -1.0
    best_epoch: int = -1  # from 1; the epoch in `best.safetensors`
    history: list[Row] = field(default_factory=list)  # rows of `results.csv`
    scales: list[Row] = field(default_factory=list)  # rows of `scales.csv`, in sparsity training only

    def add(self, row: Row, *, replaces_best: bool) -> None:
        """Appends the row of an epoch; with `replaces_best` an evaluated epoch always becomes the best."""
        self.history.append(row)
        self.epoch = row["epoch"]
        if "ap" in row and (replaces_best or row["ap"] > self.best_ap):
            self.best_ap, self.best_epoch = row["ap"], row["epoch"]


@dataclass
class RunState:
    """State of a run after an epoch; tensors by group (model, average, optimizer, sparsity) and name."""

    tensors: dict[str, dict[str, Tensor]]
    record: RunRecord


def row_text(row: Row, epochs: int) -> str:
    """Returns an epoch's row as a progress line."""
    losses = [key for key in ("box", "objectness", "distillation") if key in row]
    scores = [key for key in row if key.endswith(("_ap", "_ap50"))]
    figures = ", ".join(f"{key} {row[key]:.3f}" for key in losses + scores)
    return f"epoch {row['epoch']}/{epochs}: {row['pictures_per_s']:.1f} images/s, {figures}"


def can_resume(folder: Path) -> bool:
    """Tells whether a run's folder holds a finished epoch; a TrainingError refuses one without state file."""
    if (folder / STATE_FILE).exists():
        return True
    if (folder / RESULTS_FILE).exists():
        raise TrainingError(f"{folder}: {STATE_FILE} is missing, so this run cannot resume; start a new one")
    return False


def snapshot(folder: Path, epoch: int) -> Path:
    """Returns the path of the averaged model of the `snapshot_epoch` (from 1)."""
    return folder / f"epoch-{epoch}.safetensors"


@dataclass(frozen=True)
class RunFolder:
    """Writes and reads the folder of a run; `title` names the run in `curves.json`."""

    path: Path
    config: TrainConfig
    title: str

    def begin(self, distillation: Distillation | None) -> None:
        """Makes the folder of a new run and writes its settings and environment."""
        self.path.mkdir(parents=True, exist_ok=True)
        values = asdict(self.config)
        if distillation is not None:
            values["distillation"] = {"teacher": distillation.source, "weight": distillation.weight}
        write_json(self.path / "config.json", values)
        write_json(self.path / "environment.json", describe_environment())

    def keep(self, step: TrainingStep, record: RunRecord, curves: dict[str, Any]) -> None:
        """Writes models, tables and state after an epoch; the state last, since a resumed run trusts it."""
        averaged = to_checkpoint(step.average.model)
        write_checkpoint(self.path / LAST_FILE, averaged)
        if record.epoch == self.config.snapshot_epoch:
            write_checkpoint(snapshot(self.path, record.epoch), averaged)
        if record.epoch == record.best_epoch:
            write_checkpoint(self.path / BEST_FILE, averaged)
            write_json(self.path / CURVES_FILE, {self.title: curves})
        write_rows(self.path / RESULTS_FILE, record.history)
        if record.scales:
            write_rows(self.path / SCALES_FILE, record.scales)
        record.updates = step.average.updates
        write_run_state(self.path / STATE_FILE, RunState(step.tensors(), record))

    def saved_state(self) -> RunState:
        """Reads the state of the run; refuses a missing one, or one planned for another number of epochs."""
        state = read_run_state(self.path / STATE_FILE)
        if state.record.epochs != self.config.epochs:
            raise TrainingError(
                f"{self.path}: the run was planned for {state.record.epochs} epochs, "
                f"not {self.config.epochs}; resume it with the same settings or start a new one"
            )
        return state


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
        "packages": {name: installed_version(name) for name in PACKAGES},
    }


def command_line() -> str:
    """Returns the command line of this process, quoted for a shell."""
    name, num_processes = Path(sys.argv[0]).name, current_team().size
    if num_processes > 1:
        program = ["-m", "seyolo"] if name in ("__main__.py", "seyolo") else [name]
        program = ["torchrun", "--nproc-per-node", str(num_processes), *program]
    else:
        program = ["python", "-m", "seyolo"] if name == "__main__.py" else [name]
    return shlex.join(program + sys.argv[1:])


def keep_command(folder: Path, *, is_new: bool) -> None:
    """Appends the command line to a run's commands.txt; runs of older versions have no such file."""
    path = folder / "commands.txt"
    unknown = "" if is_new else "# started by a version that did not keep its command line\n"
    earlier = path.read_text(encoding="utf-8") if path.exists() else unknown
    write_text(path, f"{earlier}{command_line()}\n")


def _processor() -> str:
    """Returns the name of the processor on Linux, else its architecture."""
    path = Path("/proc/cpuinfo")
    text = path.read_text(encoding="utf-8") if path.exists() else ""
    name = re.search(r"^model name\s*:\s*(.+)$", text, flags=re.MULTILINE)
    return name[1].strip() if name else platform.processor() or platform.machine()


def write_rows(path: Path, rows: Sequence[Row]) -> None:
    """Writes rows as CSV; the columns are the keys of all rows in order of first appearance."""
    columns = list(dict.fromkeys(key for row in rows for key in row))
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write_text(path, text.getvalue())


def write_run_state(path: Path, state: RunState) -> None:
    """Writes the state in one step: an interrupted write leaves the old file."""
    flat = {
        f"{group}/{name}": tensor.detach().to("cpu").contiguous().clone()
        for group, tensors in state.tensors.items()
        for name, tensor in tensors.items()
    }
    with replacing(path) as temporary:
        save_file(flat, temporary, metadata={"format": FORMAT, "values": json.dumps(asdict(state.record))})


def read_run_state(path: Path) -> RunState:
    """Reads a file of `write_run_state`; refuses one that is missing, truncated or of another kind."""
    try:
        with safe_open(str(path), framework="pt") as file:
            texts = file.metadata() or {}
            flat = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a dict)
        if texts.get("format") != FORMAT:
            raise TrainingError(f"{path}: not the state of a training run; name the run's folder")
        record = msgspec.convert(json.loads(texts["values"]), RunRecord)
    except FileNotFoundError:
        raise TrainingError(f"{path}: there is no run to resume here") from None
    except (SafetensorError, OSError, msgspec.ValidationError, ValueError, KeyError) as error:
        raise TrainingError(f"{path}: not a readable run state ({error}); start a new run") from None
    tensors: dict[str, dict[str, Tensor]] = {}
    for name, tensor in flat.items():
        group, _, rest = name.partition("/")
        tensors.setdefault(group, {})[rest] = tensor
    return RunState(tensors, record)
