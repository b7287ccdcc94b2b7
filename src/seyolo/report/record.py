"""Typed reader of the folder of a finished run of `slim` or `train`.

Files and keys that runs of earlier versions lack are empty here.
"""

from __future__ import annotations

import csv
import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from seyolo.darknet.placement import GateKind
from seyolo.errors import PlanError, SeyoloError, TrainingError, UsageError
from seyolo.evaluation.curves import Curves, CurveValues
from seyolo.files import write_json
from seyolo.json_files import Count, Share, from_json, read_json
from seyolo.options.slim import SlimOptions
from seyolo.options.stored import TRAIN_FILE, migrated_slim, migrated_train
from seyolo.progress import read_warnings
from seyolo.pruning.planning.plan import Plan
from seyolo.results import (
    EPOCH_0_FILE,
    RESULTS_FILE,
    TRAINED_STAGES,
    RunStart,
    SlimResults,
    read_results,
    read_start,
)
from seyolo.runs import BEST_FILE
from seyolo.sizes import InputSize, input_text, size_hw

CURVES_FILE = "curves.json"
MOST_DRAWN = 1e12  # of either sign
EXAMPLES_FOLDER = "pictures"
EXAMPLES_INDEX = "index.json"
Value = TypeVar("Value")
SHOWN = frozenset({".csv", ".jpg", ".json", ".txt"})
"""Endings of the files that a page is made from."""
ARTEFACTS = ("slim.*", "slim_int8.*", "dense.onnx", "pruned.safetensors", f"dense/{BEST_FILE}", BEST_FILE)


@dataclass(frozen=True)
class MistakeCounts:
    """Objects of a split, and the false negatives and false positives of both networks."""

    objects: Count
    dense_missed: Count
    slim_missed: Count
    only_dense_missed: Count
    only_slim_missed: Count
    dense_false: Count
    slim_false: Count


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
    objects: Count
    missed: Count
    false: Count
    dense_missed: Count
    dense_false: Count


@dataclass(frozen=True)
class Examples:
    """The index of the folder `pictures`: example detections of both networks of a slimming run.

    Mistakes are by split; without examples the confidence threshold is None.
    """

    confidence: Share | None = None
    mistakes: Mapping[str, MistakeCounts] = field(default_factory=dict)
    samples: tuple[SamplePair, ...] = ()
    misses: tuple[Miss, ...] = ()


@dataclass(frozen=True)
class _Gates:
    """The attention of a run of `slim`."""

    kind: GateKind


@dataclass(frozen=True)
class _SlimSettings:
    """The options of a run of `slim` that its page does more with than show them."""

    model: str
    attention: _Gates | None = None


@dataclass(frozen=True)
class _TrainSettings:
    """The same of a run of `train`."""

    model: str
    size: InputSize  # msgspec 0.22 crashes where a type with bounds is joined with a tuple of two

    def __post_init__(self) -> None:
        if min(size_hw(self.size)) < 1:
            raise TrainingError("size: expected pixels, at least 1")


@dataclass(frozen=True)
class _Environment:
    """The same of environment.json."""

    packages: Mapping[str, str | None] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class RunRecord:
    """The files that runs of `slim` and `train` have in common.

    `stages` are the results of `read_training` by training stage; `train` has one stage, called train.
    `scales` are the rows of scales.csv, percentiles of |γ| by epoch of sparsity training.
    """

    folder: Path
    config: Mapping[str, Any]
    environment: Mapping[str, Any]  # environment.json, versions and machine
    commands: Sequence[str]  # the command lines of the start and of every resume
    stages: Mapping[str, Sequence[Mapping[str, str]]]
    curves: Mapping[str, Mapping[str, Curves]]  # by stage and split
    scales: Sequence[Mapping[str, str]]
    start: RunStart | None  # the task of the run; None in runs of earlier versions
    warnings: Sequence[str]  # that were printed while it ran

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
        return flat_settings(self.config)

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

    def settings(self) -> dict[str, Any]:
        return slim_settings(self.config)


@dataclass(frozen=True, eq=False)
class TrainRecord(RunRecord):
    """A finished run of `train`."""

    @property
    def kept(self) -> str:
        """Names the epoch in `best.safetensors`: best, or last as sparsity is complete only there."""
        return "last" if self.scales else "best"


def read_run(folder: Path) -> SlimRecord | TrainRecord:
    """Reads the folder of a run.

    Raises:
        UsageError: it holds no finished run of slim or train.
        TrainingError: one of its files is damaged, or a link to a file elsewhere.
    """
    check_links(folder)
    if (folder / RESULTS_FILE).is_file():
        results = _comparable(folder / RESULTS_FILE)
        index = folder / EXAMPLES_FOLDER / EXAMPLES_INDEX
        stages = {name: folder / name for name in TRAINED_STAGES}
        return SlimRecord(
            **_common(folder, stages, folder / "sparse" / "scales.csv"),
            config=_read_typed(folder / "config.json", _SlimSettings),
            results=results,
            plan=_typed(folder / RESULTS_FILE, results.plan, Plan),
            examples=_typed(index, _read_json(index), Examples),
        )
    if (folder / TRAIN_FILE).is_file():
        stages = {"train": folder}
        config = migrated_train(_read_json(folder / TRAIN_FILE))
        _typed(folder / TRAIN_FILE, config, _TrainSettings)
        return TrainRecord(**_common(folder, stages, folder / "scales.csv"), config=config)
    raise UsageError(f"{folder}: no finished run of slim or train here; name its folder")


def check_links(folder: Path) -> None:
    """Refuses links out of a run, which may be a stranger's: the page would show what they lead to."""
    for path in filter(Path.is_symlink, folder.rglob("*")):
        inside = Path(os.path.realpath(path)).is_relative_to(os.path.realpath(folder))
        if not inside and (path.suffix in SHOWN or path.is_dir()):
            raise TrainingError(f"{path}: links to a file outside of the run; no page is made from it")


def _comparable(path: Path) -> SlimResults:
    """Reads results.json; refuses one whose networks cannot be compared, because figures are missing."""
    results = read_results(path)
    dense, possible = results.dense, [row for row in results.controls if row.not_possible is None]
    rows = {row.stage: row for row in (*results.stages, *([results.int8] if results.int8 else []))}
    for name, row in (rows | {row.control: row for row in possible}).items():
        measured = [split for split, found in row.metrics.items() if math.isfinite(found.ap)]
        if not dense.metrics or {s for s, found in dense.metrics.items() if math.isfinite(found.ap)} - {
            *measured
        }:
            raise TrainingError(
                f"{path}: {name}: metrics: expected the splits of {dense.stage}, at least one"
            )
    for stage in results.stages:
        if (
            stage.latency_ms.keys() != dense.latency_ms.keys()
            or not stage.metrics.keys() >= dense.metrics.keys()
        ):
            raise TrainingError(f"{path}: {stage.stage}: expected the runtimes and splits of {dense.stage}")
    return results


def _common(folder: Path, stages: Mapping[str, Path], scales: Path) -> dict[str, Any]:
    """Reads the fields of `RunRecord` besides the options."""
    commands = folder / "commands.txt"
    rows = {name: read_training(path) for name, path in stages.items()}
    return {
        "folder": folder,
        "environment": _read_typed(folder / "environment.json", _Environment),
        "commands": commands.read_text("utf-8", "replace").splitlines() if commands.exists() else [],
        "stages": {name: found for name, found in rows.items() if found},
        "curves": read_curves(folder),
        "scales": read_scales(scales),
        "start": read_start(folder),
        "warnings": read_warnings(folder),
    }


def read_rows(path: Path) -> list[dict[str, str]]:
    """Reads the lines of a CSV file of numbers by column name; returns none where there is no file.

    Raises:
        TrainingError: the file is damaged; the message names line and column.
    """
    rows: list[dict[str, str]] = []
    try:
        with path.open(encoding="utf-8", newline="") as file:
            for row in csv.DictReader(file):
                rows.append(row)
                if wrong := [name for name, text in row.items() if not _is_figure(text)]:
                    raise TrainingError(
                        f"{path}:{len(rows) + 1}: {wrong[0]}: expected a number for each column"
                    )
    except FileNotFoundError:
        return []
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise TrainingError(f"{path}: cannot be read as a table ({error})") from None
    return rows


def read_training(folder: Path) -> list[dict[str, str]]:
    """Reads results.csv of a training, behind the row of its start where no epoch was better."""
    rows = read_rows(folder / "results.csv")
    return [*read_rows(folder / EPOCH_0_FILE), *rows] if rows else []


def _is_figure(text: object) -> bool:
    """Tells whether the cell of a table is a number that can be drawn, nan, or empty."""
    try:
        return text == "" or not abs(float(text)) > MOST_DRAWN  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return False


def read_scales(path: Path) -> list[dict[str, str]]:
    """Reads scales.csv as `read_rows`: an epoch and at least three percentiles in every line."""
    rows = read_rows(path)
    for line, row in enumerate(rows, start=2):
        if "epoch" not in row or len(row) < 4 or not all(text and float(text) >= 0 for text in row.values()):
            raise TrainingError(f"{path}:{line}: expected an epoch and percentiles, numbers from 0 on")
    return rows


def read_curves(folder: Path) -> dict[str, dict[str, Curves]]:
    """Reads curves.json by stage and split; returns none where there is no file."""
    path = folder / CURVES_FILE
    values = read_json(path, dict[str, dict[str, CurveValues]]) if path.exists() else {}
    for stage, splits in values.items():
        if splits.keys() != next(iter(values.values())).keys():
            raise TrainingError(f"{path}: {stage}: expected the splits of {next(iter(values))}")
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


def flat_settings(values: Mapping[str, Any]) -> dict[str, Any]:
    """Returns options by name, nested ones as `cut.scope`; sizes are texts."""
    flat = _flat(values)
    for name in ("size", "size_px", "tile_size"):
        match flat.get(name):
            case [int() as height, int() as width]:
                flat[name] = input_text((height, width))
    return flat


def slim_settings(values: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the options of `slim` flat, with the defaults of the cut by name in place of None."""
    try:
        today = migrated_slim(dict(values))
        return flat_settings(today) | from_json(today, SlimOptions).plan_options().in_words()
    except SeyoloError:  # settings that no version wrote
        return flat_settings(values)


def _flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    out: dict[str, Any] = {}
    for name, value in values.items():
        out |= _flat(value, f"{prefix}{name}.") if isinstance(value, Mapping) else {f"{prefix}{name}": value}
    return out


def _typed(path: Path, value: object, kind: type[Value]) -> Value:
    try:
        return from_json(value, kind)
    except (TrainingError, PlanError) as error:
        raise TrainingError(f"{path}: {error}") from None


def _read_typed(path: Path, kind: type[Any]) -> dict[str, Any]:
    """Reads a JSON object of which a page needs the fields of a type; empty where there is no file."""
    values = _read_json(path)
    _typed(path, values, kind)
    return values


def _read_json(path: Path) -> dict[str, Any]:
    return read_json(path, dict) if path.exists() else {}
