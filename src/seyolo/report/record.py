"""A finished run of `slim` or `train` as it lies in its folder: what a page about it is made from.

Runs of earlier versions lack some of the files and keys; what is missing is empty here.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from seyolo.errors import TrainingError, UsageError
from seyolo.evaluation.curves import Curves

TRAIN_STAGES = ("dense", "sparse", "finetuned")
ARTEFACT_PATTERNS = (
    "slim.*",
    "dense.onnx",
    "pruned.safetensors",
    "dense/best.safetensors",
    "best.safetensors",
)


@dataclass(frozen=True, eq=False)
class RunRecord:
    """What a run's folder holds.

    Attributes:
        folder: of the run.
        verb: that it is a run of.
        config, environment, results: the JSON files of these names; `results` is empty for `train`.
        commands: the command lines the run was started and resumed with.
        stages: the rows of results.csv by training stage; `train` has one, called train.
        curves: by stage and split.
        images: the index of images, see `report.evidence`.
        spread: the rows of scales.csv of sparsity training.
    """

    folder: Path
    verb: Literal["slim", "train"]
    config: dict[str, Any]
    environment: dict[str, Any]
    results: dict[str, Any]
    commands: list[str]
    stages: dict[str, list[dict[str, str]]]
    curves: dict[str, dict[str, Curves]]
    images: dict[str, Any]
    spread: list[dict[str, str]]

    @property
    def name(self) -> str:
        """What the run is called."""
        return self.folder.resolve().name

    def settings(self) -> dict[str, Any]:
        """What was asked for, flat: `cut.scope` and so on."""
        return _flat(self.config)

    def artefacts(self) -> list[tuple[str, int]]:
        """The networks in the folder with their sizes in bytes."""
        files = {path for pattern in ARTEFACT_PATTERNS for path in self.folder.glob(pattern)}
        return [(path.relative_to(self.folder).as_posix(), path.stat().st_size) for path in sorted(files)]


def read_run(folder: Path) -> RunRecord:
    """Reads a run's folder.

    Raises:
        UsageError: it holds no finished run of slim or train.
        TrainingError: a file of it is damaged.
    """
    is_slim = (folder / "results.json").is_file()
    if not is_slim and not (folder / "command.json").is_file():
        raise UsageError(f"{folder}: no finished run of slim or train here; name its folder")
    names = TRAIN_STAGES if is_slim else ("",)
    stages = {name or "train": read_rows(folder / name / "results.csv") for name in names}
    commands = folder / "commands.txt"
    return RunRecord(
        folder=folder,
        verb="slim" if is_slim else "train",
        config=_read_json(folder / ("config.json" if is_slim else "command.json")),
        environment=_read_json(folder / "environment.json"),
        results=_read_json(folder / "results.json"),
        commands=commands.read_text(encoding="utf-8").splitlines() if commands.exists() else [],
        stages={name: rows for name, rows in stages.items() if rows},
        curves=read_curves(folder),
        images=_read_json(folder / "pictures" / "index.json"),
        spread=read_rows(folder / ("sparse" if is_slim else "") / "scales.csv"),
    )


def read_rows(path: Path) -> list[dict[str, str]]:
    """The lines of a table such as results.csv by its columns; none where there is no file."""
    if not path.exists():
        return []
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def read_curves(folder: Path) -> dict[str, dict[str, Curves]]:
    """The curves in a folder's curves.json by stage and split; none where there is no file."""
    values = _read_json(folder / "curves.json")
    return {
        stage: {split: Curves.from_dict(curves) for split, curves in splits.items()}
        for stage, splits in values.items()
    }


def differing(records: Sequence[RunRecord]) -> dict[str, list[Any]]:
    """The settings that are not the same in all runs, by name; None where one has none."""
    flat = [record.settings() for record in records]
    names = dict.fromkeys(name for values in flat for name in values)
    columns = {name: [values.get(name) for values in flat] for name in names}
    return {name: column for name, column in columns.items() if any(value != column[0] for value in column)}


def _flat(values: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    out: dict[str, Any] = {}
    for name, value in values.items():
        out |= _flat(value, f"{prefix}{name}.") if isinstance(value, dict) else {f"{prefix}{name}": value}
    return out


def _read_json(path: Path) -> dict[str, Any]:
    if not path.exists():
        return {}
    try:
        values: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise TrainingError(f"{path}: damaged ({error})") from None
    return values
