"""Folder of a training run: settings, environment, commands, figures, models, and the state to resume it.

`best.safetensors` (highest AP on the validation splits) and `last.safetensors` hold averaged models,
`curves.json` precision and recall of the best one, `scales.csv` the percentiles of |γ| in sparsity training,
`epoch-0.csv` AP of the weights that the run began with while no epoch is better.

The state is written first, and all of these files can be made from it again, so that a run may stop anywhere.
It names its tensors `group/name`; record and network are JSON in its metadata. Nothing is pickled. The state
before the last one is kept as `state-before.safetensors`.
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
import warnings
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Self

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from seyolo.checkpoint import Checkpoint, damage, read_checkpoint, write_checkpoint, write_tensors
from seyolo.darknet.cfg import parse_stored_cfg, stored_cfg
from seyolo.errors import ModelError, TrainingError, counted
from seyolo.files import replacing, write_json, write_text
from seyolo.json_files import LEFT_OUT_EMPTY, from_json, parse_json, read_json, to_json
from seyolo.results import EPOCH_0_FILE
from seyolo.runs import BEST_FILE, STATE_FILE
from seyolo.runtime.choice import installed_version
from seyolo.torchnet.build import DarknetModel, from_checkpoint, to_checkpoint
from seyolo.training.config import TrainConfig
from seyolo.training.distillation import Distillation
from seyolo.training.distributed import current_team
from seyolo.training.step import TrainingStep

STATE_BEFORE, RESULTS_FILE = "state-before.safetensors", "results.csv"
ENVIRONMENT_FILE = "environment.json"
CURVES_FILE, SCALES_FILE = "curves.json", "scales.csv"
LAST_FILE = "last.safetensors"
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
    best_epoch: int = -1  # the epoch in `best.safetensors`, from 1; 0 for the start
    history: list[Row] = field(default_factory=list)  # rows of `results.csv`
    scales: list[Row] = field(default_factory=list)  # rows of `scales.csv`, in sparsity training only
    curves: dict[str, Any] = field(default_factory=dict)  # of the best epoch, by split
    step: int = 0  # number of finished steps of the epoch that is not finished
    seconds: float = 0.0  # that these steps took
    stopped: bool = False  # before the planned epochs, see `TrainingOptions.patience`
    start: Row = field(default_factory=dict, metadata=LEFT_OUT_EMPTY)  # AP of the weights it began with

    @property
    def place(self) -> str:
        """Returns how far the run is, in words."""
        step = f", step {self.step}" if self.step else ""
        return f"epoch {self.epoch + bool(self.step)} of {self.epochs}{step}"

    def begin(self, scores: Row) -> None:
        """Makes the weights that the run begins with the best so far, unless they find nothing."""
        self.start = {"epoch": 0, **scores}
        if scores["ap"] > 0:
            self.best_ap, self.best_epoch = scores["ap"], 0

    def add(self, row: Row, *, replaces_best: bool) -> None:
        """Appends the row of an epoch; with `replaces_best` an evaluated epoch always becomes the best."""
        self.history.append(row)
        self.epoch, self.step, self.seconds = row["epoch"], 0, 0.0
        if "ap" in row and (replaces_best or row["ap"] > self.best_ap):
            self.best_ap, self.best_epoch = row["ap"], row["epoch"]


@dataclass(frozen=True)
class Description:
    """The network of a run."""

    cfg: str
    names: tuple[str, ...]
    provenance: dict[str, Any]

    @classmethod
    def of(cls, model: DarknetModel) -> Self:
        """Returns the description of a model."""
        return cls(stored_cfg(model.network), tuple(model.names), dict(model.provenance))


@dataclass
class RunState:
    """State of a run after a step; tensors by group (model, average, optimizer, sparsity, epoch) and name."""

    tensors: dict[str, dict[str, Tensor]]
    record: RunRecord
    network: Description | None = None  # None in states of version 0.1.0

    def model(self, folder: Path) -> DarknetModel:
        """Returns the network that is trained; of version 0.1.0 that of `last.safetensors` in the folder."""
        if self.network is None:
            return from_checkpoint(read_checkpoint(folder / LAST_FILE))
        network = parse_stored_cfg(self.network.cfg, f"{folder / STATE_FILE} (its cfg)")
        model = DarknetModel(network, self.network.names, self.network.provenance)
        model.load_state_dict(self.tensors["model"])
        return model


def scores_text(row: Row) -> list[str]:
    """Returns AP and AP@0.5 on each split of a row."""
    return [
        f"{title} {key.removesuffix(ending)} {row[key]:.3f}"
        for key in row
        for ending, title in (("_ap", "AP"), ("_ap50", "AP@0.5"))
        if key.endswith(ending)
    ]


def row_text(row: Row, epochs: int) -> str:
    """Returns an epoch's row as a progress line."""
    losses = [f"{key} {row[key]:.3f}" for key in ("box", "objectness", "distillation") if key in row]
    figures = ", ".join(losses + scores_text(row))
    return f"epoch {row['epoch']}/{epochs}: {row['pictures_per_s']:.1f} images/s, {figures}"


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
        del values["start_counts"]  # follows from the weights
        if distillation is not None:
            values["distillation"] = {"teacher": distillation.source, "weight": distillation.weight}
        write_json(self.path / "config.json", values)
        write_json(self.path / ENVIRONMENT_FILE, describe_environment())

    def keep(self, step: TrainingStep, record: RunRecord, unfinished: dict[str, Tensor]) -> None:
        """Writes the state after a step; `unfinished` is the group `epoch` of its tensors."""
        record.updates = step.average.updates
        path = self.path / STATE_FILE
        tensors = step.tensors() | {"epoch": unfinished}
        write_run_state(path, RunState(tensors, record, Description.of(step.model)), self.path / STATE_BEFORE)

    def publish(self, average: DarknetModel, record: RunRecord) -> None:
        """Writes the models and tables that follow from the state after an epoch, `results.csv` last."""
        averaged = to_checkpoint(average)
        write_checkpoint(self.path / LAST_FILE, averaged)
        if record.epoch == self.config.snapshot_epoch:
            write_checkpoint(snapshot(self.path, record.epoch), averaged)
        if record.epoch == record.best_epoch:
            self._publish_best(averaged, record)
            (self.path / EPOCH_0_FILE).unlink(missing_ok=True)
        if record.scales:
            write_rows(self.path / SCALES_FILE, record.scales)
        write_rows(self.path / RESULTS_FILE, record.history)

    def publish_start(self, model: DarknetModel, record: RunRecord) -> None:
        """Writes the weights that the run begins with as the best so far, and their AP."""
        self._publish_best(to_checkpoint(model), record)
        write_rows(self.path / EPOCH_0_FILE, [record.start])

    def _publish_best(self, model: Checkpoint, record: RunRecord) -> None:
        write_checkpoint(self.path / BEST_FILE, model)
        if record.curves:
            write_json(self.path / CURVES_FILE, {self.title: record.curves})

    def is_published(self, record: RunRecord) -> bool:
        """Tells whether `publish` was finished for this state, and its models are whole."""
        try:
            read_checkpoint(self.path / LAST_FILE)
            if record.epoch == record.best_epoch:
                read_checkpoint(self.path / BEST_FILE)
        except ModelError:
            return False
        return num_rows(self.path / RESULTS_FILE) == record.epoch

    def check_best(self, record: RunRecord) -> None:
        """Gives up a damaged best model, with a warning: the next that is evaluated takes its place."""
        if record.best_epoch == -1 or (record.best_epoch == record.epoch and not record.step):
            return  # there is none, or it is written from the state
        try:
            read_checkpoint(self.path / BEST_FILE)
        except ModelError as error:
            is_evaluated = record.step == 0 and "ap" in record.history[-1]
            record.best_ap = record.history[-1]["ap"] if is_evaluated else -1.0
            record.best_epoch = record.epoch if is_evaluated else -1
            record.curves = {}
            for name in (CURVES_FILE, EPOCH_0_FILE):
                (self.path / name).unlink(missing_ok=True)
            heir = f"the model of epoch {record.epoch}" if is_evaluated else "the best model from here on"
            warnings.warn(f"{error}. It is lost: {heir} takes its place", stacklevel=4)


def saved_state(folder: Path, epochs: int) -> RunState | None:
    """Reads the state of a training run; None where it stopped before it had one, to start it anew.

    A damaged state is replaced by the one before it, with a warning.

    Raises:
        TrainingError: no state is whole, they are gone, or the run was planned for another number of epochs.
    """
    paths = [path for path in (folder / STATE_FILE, folder / STATE_BEFORE) if path.exists()]
    if not paths:
        if num_rows(folder / RESULTS_FILE) > (epochs > 1):  # one may be from a stop of version 0.1.0
            raise TrainingError(f"{folder}: {STATE_FILE} is gone, so this run cannot resume; start a new one")
        return None
    state = _first_whole(paths)
    if state.record.epochs != epochs:
        raise TrainingError(
            f"{folder}: the run was planned for {counted(state.record.epochs, 'epoch')}, not {epochs}; "
            "resume it with the same settings or start a new one"
        )
    return state


def num_rows(path: Path) -> int:
    """Returns the number of finished epochs in a results.csv; -1 in an empty one, 0 without one."""
    return len(path.read_text(encoding="utf-8", errors="replace").splitlines()) - 1 if path.exists() else 0


def _first_whole(paths: Sequence[Path]) -> RunState:
    try:
        return read_run_state(paths[0])
    except TrainingError as error:
        if len(paths) == 1:
            raise
        state = read_run_state(paths[1])
        lost = f"the steps after {state.record.place} are lost and are trained again"
        warnings.warn(f"{error}. Going on from {paths[1].name}: {lost}", stacklevel=4)
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


def check_environment(folder: Path) -> None:
    """Warns where a run is resumed with other threads, processes or another processor than it began with.

    Sums are then rounded in another order, so that the last digits of its results may differ.
    """
    path = folder / ENVIRONMENT_FILE
    before, now = read_json(path, dict) if path.exists() else {}, describe_environment()
    for key, word in (("torch_threads", " threads"), ("processes", " processes"), ("processor", "")):
        if key in before and before[key] != now[key]:
            change = f"began with {before[key]}{word} and goes on with {now[key]}"
            effect = "the last digits of its results may differ from those of an undisturbed run"
            warnings.warn(f"{folder}: this run {change}; {effect}", stacklevel=4)


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


def write_run_state(path: Path, state: RunState, before: Path | None = None) -> None:
    """Writes the state in one step; the file of before becomes `before`."""
    flat = {
        f"{group}/{name}": tensor.detach().to("cpu").contiguous().numpy()
        for group, tensors in state.tensors.items()
        for name, tensor in tensors.items()
    }
    metadata = {"format": FORMAT, "values": json.dumps(to_json(state.record))}
    if state.network is not None:
        metadata["network"] = json.dumps(to_json(state.network))
    with replacing(path) as temporary:
        write_tensors(temporary, flat, metadata)
        if before is not None and path.exists():
            os.replace(path, before)


def read_run_state(path: Path) -> RunState:
    """Reads a file of `write_run_state`; refuses one that is missing, damaged or of another kind."""
    try:
        with safe_open(str(path), framework="pt") as file:
            texts = file.metadata() or {}
            flat = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a dict)
        if texts.get("format") != FORMAT:
            raise TrainingError(f"{path}: not the state of a training run; name the run's folder")
        if (problem := damage(texts, {name: value.numpy() for name, value in flat.items()})) is not None:
            raise TrainingError(f"{path}: {problem}")
        values, network = (parse_json(texts.get(key, "null")) for key in ("values", "network"))
    except FileNotFoundError:
        raise TrainingError(f"{path}: there is no run to resume here") from None
    except (SafetensorError, OSError, ValueError) as error:
        raise TrainingError(f"{path}: not a readable run state ({error})") from None
    try:
        record = from_json(values, RunRecord)
        described = None if network is None else from_json(network, Description)
    except TrainingError as error:
        raise TrainingError(f"{path}: not a readable run state ({error})") from None
    tensors: dict[str, dict[str, Tensor]] = {}
    for name, tensor in flat.items():
        group, _, rest = name.partition("/")
        tensors.setdefault(group, {})[rest] = tensor
    return RunState(tensors, record, described)
