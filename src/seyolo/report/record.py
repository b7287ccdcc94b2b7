"""Typed reader of the folder of a finished run of `slim` or `train`.

Files and keys that runs of earlier versions lack are empty here.
"""

from __future__ import annotations

import csv
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from seyolo.errors import TrainingError, UsageError
from seyolo.evaluation.curves import Curves
from seyolo.files import write_json
from seyolo.json_files import from_json, read_json
from seyolo.options.stored import TRAIN_FILE, migrated_train
from seyolo.pruning.planning.plan import Plan
from seyolo.results import RESULTS_FILE, TRAINED_STAGES, SlimResults, read_results

CURVES_FILE = "curves.json"
EXAMPLES_FOLDER = "pictures"
EXAMPLES_INDEX = "index.json"
SHOWN = frozenset({".csv", ".jpg", ".json", ".txt"})
"""Endings of the files that a page is made from."""
ARTEFACTS = ("slim.*", "dense.onnx", "pruned.safetensors", "dense/best.safetensors", "best.safetensors")


@dataclass(frozen=True)
class MistakeCounts:
    """Objects of a split, and the false negatives and false positives of both networks."""

    objects: int
    dense_missed: int
    slim_missed: int
    only_dense_missed: int
    only_slim_missed: int
    dense_false: int
    slim_false: int


@dataclass(frozen=True)
class SamplePair:
    """An image of a split, and the files that show the detections of both networks on it."""

    image: str
    split: str
    dense: str
    slim: str


@dataclass(frozen=True)
class Miss:
    """An image with mistakes of the slim network, and the file that shows them.

    `missed` and `false` are false negatives and false positives of the slim network.
    """

    image: str
    split: str
    picture: str
    objects: int
    missed: int
    false: int
    dense_missed: int
    dense_false: int


@dataclass(frozen=True)
class Examples:
    """The index of the folder `pictures`: example detections of both networks of a slimming run.

    Mistakes are by split; without examples the confidence threshold is None.
    """

    confidence: float | None = None
    mistakes: Mapping[str, MistakeCounts] = field(default_factory=dict)
    samples: tuple[SamplePair, ...] = ()
    misses: tuple[Miss, ...] = ()


@dataclass(frozen=True, eq=False)
class RunRecord:
    """The files that runs of `slim` and `train` have in common.

    `stages` are the rows of results.csv by training stage; `train` has one stage, called train. `scales` are
    the rows of scales.csv, percentiles of |γ| by epoch of sparsity training.
    """

    folder: Path
    config: Mapping[str, Any]
    environment: Mapping[str, Any]  # environment.json, versions and machine
    commands: Sequence[str]  # the command lines of the start and of every resume
    stages: Mapping[str, Sequence[Mapping[str, str]]]
    curves: Mapping[str, Mapping[str, Curves]]  # by stage and split
    scales: Sequence[Mapping[str, str]]

    @property
    def name(self) -> str:
        """Name of the run: that of its folder."""
        return self.folder.resolve().name

    @property
    def model(self) -> str:
        """MODEL as it was given."""
        return str(self.config["model"])

    @property
    def version(self) -> str:
        """Version of seyolo that made the run; empty where it is unknown."""
        return str(self.environment.get("packages", {}).get("seyolo") or "")

    def settings(self) -> dict[str, Any]:
        """Returns the options of the run, flat: `cut.scope` and so on."""
        return _flat(self.config)

    def artefacts(self) -> list[tuple[str, int]]:
        """Returns the network files in the folder with their sizes in bytes."""
        files = {path for pattern in ARTEFACTS for path in self.folder.glob(pattern)}
        return [(path.relative_to(self.folder).as_posix(), path.stat().st_size) for path in sorted(files)]


@dataclass(frozen=True, eq=False)
class SlimRecord(RunRecord):
    """A finished run of `slim`."""

    results: SlimResults
    plan: Plan
    examples: Examples


@dataclass(frozen=True, eq=False)
class TrainRecord(RunRecord):
    """A finished run of `train`."""


def read_run(folder: Path) -> SlimRecord | TrainRecord:
    """Reads the folder of a run.

    Raises:
        UsageError: it holds no finished run of slim or train.
        TrainingError: one of its files is damaged, or a link to a file elsewhere.
    """
    _check_links(folder)
    if (folder / RESULTS_FILE).is_file():
        results = read_results(folder / RESULTS_FILE)
        stages = {name: folder / name / "results.csv" for name in TRAINED_STAGES}
        return SlimRecord(
            **_common(folder, "config.json", stages, folder / "sparse" / "scales.csv"),
            results=results,
            plan=from_json(results.plan, Plan),
            examples=from_json(_read_json(folder / EXAMPLES_FOLDER / EXAMPLES_INDEX), Examples),
        )
    if (folder / TRAIN_FILE).is_file():
        stages = {"train": folder / "results.csv"}
        common = _common(folder, TRAIN_FILE, stages, folder / "scales.csv")
        return TrainRecord(**common | {"config": migrated_train(common["config"])})
    raise UsageError(f"{folder}: no finished run of slim or train here; name its folder")


def _check_links(folder: Path) -> None:
    """Refuses links out of a run, which may be a stranger's: the page would show what they lead to."""
    for path in filter(Path.is_symlink, folder.rglob("*")):
        inside = Path(os.path.realpath(path)).is_relative_to(os.path.realpath(folder))
        if not inside and (path.suffix in SHOWN or path.is_dir()):
            raise TrainingError(f"{path}: links to a file outside of the run; no page is made from it")


def _common(folder: Path, config: str, stages: Mapping[str, Path], scales: Path) -> dict[str, Any]:
    """Reads the fields of `RunRecord`."""
    commands = folder / "commands.txt"
    rows = {name: read_rows(path) for name, path in stages.items()}
    return {
        "folder": folder,
        "config": _read_json(folder / config),
        "environment": _read_json(folder / "environment.json"),
        "commands": commands.read_text(encoding="utf-8").splitlines() if commands.exists() else [],
        "stages": {name: found for name, found in rows.items() if found},
        "curves": read_curves(folder),
        "scales": read_rows(scales),
    }


def read_rows(path: Path) -> list[dict[str, str]]:
    """Reads the lines of a CSV file by column name; returns none where there is no file."""
    if not path.exists():
        return []
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def read_curves(folder: Path) -> dict[str, dict[str, Curves]]:
    """Reads curves.json by stage and split; returns none where there is no file."""
    values = _read_json(folder / CURVES_FILE)
    return {
        stage: {split: Curves.from_dict(curves) for split, curves in splits.items()}
        for stage, splits in values.items()
    }


def write_curves(folder: Path, curves: Mapping[str, Mapping[str, Curves]]) -> None:
    """Writes curves.json by stage and split."""
    values = {
        stage: {split: found.to_dict() for split, found in splits.items()} for stage, splits in curves.items()
    }
    write_json(folder / CURVES_FILE, values)


def differing(records: Sequence[RunRecord]) -> dict[str, list[Any]]:
    """Returns the options that are not the same in all runs, by name; None where a run has none."""
    flat = [record.settings() for record in records]
    names = dict.fromkeys(name for values in flat for name in values)
    columns = {name: [values.get(name) for values in flat] for name in names}
    return {name: column for name, column in columns.items() if any(value != column[0] for value in column)}


def _flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    out: dict[str, Any] = {}
    for name, value in values.items():
        out |= _flat(value, f"{prefix}{name}.") if isinstance(value, dict) else {f"{prefix}{name}": value}
    return out


def _read_json(path: Path) -> dict[str, Any]:
    return read_json(path, dict) if path.exists() else {}
