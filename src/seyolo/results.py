"""Typed results of `slim`: the content of `results.json`, free of PyTorch.

Field names are the keys of the file.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Self, TypeVar

from msgspec import Meta

from seyolo.errors import TrainingError
from seyolo.json_files import (
    LEFT_OUT_EMPTY,
    Count,
    Finite,
    Positive,
    PositiveFinite,
    Share,
    from_json,
    read_json,
    to_json,
)

Row = TypeVar("Row", bound=Mapping[str, object])
TRAINED_STAGES = ("dense", "sparse", "finetuned")
"""Stages that train; each has a folder of its name in the run's folder."""
RESULTS_FILE, START_FILE = "results.json", "start.json"
EPOCH_0_FILE = "epoch-0.csv"
"""AP of the weights that a training began with, where no epoch was better and they are the best."""
STAGE_TITLES = {"finetuned": "slim", "int8": "slim int8"}
"""Names of stages in tables and charts that differ from those in files; the last stage is always slim."""
SHOWN_FROM = 0.25
"""Confidence threshold of pages and images: the default of `seyolo detect`."""
NEARLY_ZERO = 0.01
"""Share of a large BN scale below which a scale is nearly zero."""


@dataclass(frozen=True)
class ClassResult:
    """COCO AP of a class on a split, its labelled objects, and those found from `SHOWN_FROM` on, IoU 0.5."""

    ap: Share = math.nan
    ap50: Share = math.nan
    num_objects: Count = 0
    found: Count = 0


@dataclass(frozen=True)
class SplitMetrics:
    """COCO AP on one split, in [0, 1]; nan where no object is labelled. `classes` are by name, if several."""

    ap: float = math.nan
    ap50: float = math.nan
    classes: Mapping[str, ClassResult] = field(default_factory=dict, metadata=LEFT_OUT_EMPTY)

    def __post_init__(self) -> None:
        for name, value in (("ap", self.ap), ("ap50", self.ap50)):
            if not (0 <= value <= 1 or math.isnan(value)):
                raise ValueError(f"{name}: expected a number from 0 to 1, got {value:g}")


@dataclass(frozen=True)
class Difference:
    """A difference of AP on the images as they are, with the 2.5 % and 97.5 % quantiles of its bootstrap."""

    difference: Finite
    low: Finite
    high: Finite


def best_by(row: Mapping[str, object]) -> str:
    """Names the figure that chooses the best epoch of a training, from a row of its results.csv."""
    splits = [name.removesuffix("_ap") for name in row if name.endswith("_ap")]
    return f"mean AP over {' and '.join(splits)}" if len(splits) > 1 else f"AP on {splits[0]}"


def is_start(row: Mapping[str, object]) -> bool:
    """Tells whether a row is that of `EPOCH_0_FILE`, before all rows of results.csv."""
    return str(row.get("epoch")) == "0"


def epochs_of(rows: Iterable[Row]) -> list[Row]:
    """Returns the rows of trained epochs."""
    return [row for row in rows if not is_start(row)]


@dataclass(frozen=True)
class Scales:
    """Measurements of the BN scales of pruned and kept channels."""

    nearly_zero: Share  # share of the scales below 1 % of the median kept scale
    going: Share  # share of the channels with a scale that the plan prunes
    going_scale: Finite  # mean scale of a pruned channel, relative to that of a kept one
    misplaced: Share  # share of the pruned channels with a scale above the 10 % quantile of the kept scales


@dataclass(frozen=True)
class Readiness(Scales):
    """Measurements of the BN scales before pruning, and AP before and after it."""

    ap50: float  # AP@0.5 on validation images before pruning
    cut_ap50: float  # the same right after pruning, without repair
    importance: str = "bn"  # the ranking method; the scales must be apart only where it is `bn`

    def to_json(self) -> dict[str, float | str]:
        """Returns the value of `readiness.json`, with four digits each."""
        values: dict[str, float | str] = to_json(self)
        return {key: round(value, 4) if isinstance(value, float) else value for key, value in values.items()}


@dataclass(frozen=True, kw_only=True)
class StageResult:
    """The network at the end of one stage.

    `metrics` are by split; `latency_ms` is the median milliseconds per image by runtime, at batch 1, and
    `latency_noise` half the distance of the 10 % and 90 % quantiles as a share of it, where it was measured.
    """

    stage: str  # `int8` for the slim network in int8
    epochs: Count | None = (
        None  # of training that the network has seen in all; None in runs of early versions
    )
    params: Positive  # without running statistics
    size_bytes: Positive
    macs: Positive  # multiply-accumulates at `input_size`
    input_size: tuple[Positive, Positive]  # (height, width) in pixels
    metrics: Mapping[str, SplitMetrics] = field(default_factory=dict)
    latency_ms: Mapping[str, PositiveFinite] = field(default_factory=dict)
    latency_noise: Mapping[str, Finite] = field(default_factory=dict, metadata=LEFT_OUT_EMPTY)


@dataclass(frozen=True, kw_only=True)
class ControlRow:
    """One control beside the slim network; the row of the slim network itself comes first.

    Attributes:
        latency_ms: median milliseconds per image on ONNX Runtime; all rows are timed in one run.
        lead: AP of the slim network minus that of the control, by split.
        not_possible: the reason why there is no such control; it then has no measurements.
    """

    control: str
    params: Count = 0
    macs: Count = 0
    input_size: tuple[Count, Count] = (0, 0)
    metrics: Mapping[str, SplitMetrics] = field(default_factory=dict)
    latency_ms: float = math.nan
    lead: Mapping[str, Difference] = field(default_factory=dict)
    not_possible: str | None = field(default=None, metadata=LEFT_OUT_EMPTY)

    def to_json(self) -> dict[str, Any]:
        """Returns the value in `results.json`, without the keys that a control of its kind does not have."""
        if self.not_possible is not None:
            return {"control": self.control, "not_possible": self.not_possible}
        value: dict[str, Any] = to_json(self)
        return value


@dataclass(frozen=True, kw_only=True)
class SlimResults:
    """The results of one run of `slim`.

    `lead` is AP of the slim network minus that of the dense one, by split with labels.
    """

    stages: Annotated[
        tuple[StageResult, ...], Meta(min_length=1)
    ]  # the dense network first, the slim network last
    int8: StageResult | None = field(default=None, metadata=LEFT_OUT_EMPTY)  # where it could be written
    lead: Mapping[str, Difference] = field(default_factory=dict)
    plan: Mapping[str, Any] = field(default_factory=dict)  # as JSON; `Plan.from_dict` reads it
    readiness: Readiness | None = None  # None where no channel with a BN scale was pruned
    start_kept: bool = field(default=False, metadata=LEFT_OUT_EMPTY)  # no epoch of fine-tuning was better
    budget: tuple[str, ...] = ()
    seed: int | None = None
    data: str = ""
    artefacts: Mapping[str, str] = field(default_factory=dict)  # by file `written`, or why it was not
    controls: tuple[ControlRow, ...] = field(default=(), metadata=LEFT_OUT_EMPTY)

    @property
    def dense(self) -> StageResult:
        """The dense network."""
        return self.stages[0]

    def titles(self) -> list[str]:
        """Returns the names of the stages in tables and charts: the first is dense, the last is slim."""
        names = [stage.stage for stage in self.stages]
        return [*names[:-1], STAGE_TITLES["finetuned"]] if len(names) > 1 else names

    @property
    def slim(self) -> StageResult:
        """The slim network: the last stage."""
        return self.stages[-1]

    def noise(self, runtime: str) -> float:
        """Returns the larger noise of the latencies of the dense and the slim network; 0 if it is unknown."""
        return max(stage.latency_noise.get(runtime, 0.0) for stage in (self.dense, self.slim))

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Self:
        """Reads the value of `results.json`, also of version 0.1.0; missing keys get their defaults.

        Raises:
            TrainingError: a key holds something else.
        """
        return from_json({**value, "readiness": value.get("readiness") or None}, cls)

    def to_json(self) -> dict[str, Any]:
        """Returns the value of `results.json`; `int8` and `controls` only where there are any."""
        value: dict[str, Any] = to_json(self)
        value["readiness"] = self.readiness.to_json() if self.readiness else {}
        if self.controls:
            value["controls"] = [row.to_json() for row in self.controls]
        return value


@dataclass(frozen=True, kw_only=True)
class RunStart:
    """The task of a run of `train` or `slim`, as it is said before it starts: the content of start.json.

    `epochs` and `steps` are by training stage; `train` has one stage, called train. `images` and `boxes` are
    by split.
    """

    network: str  # MODEL
    origin: str  # of its weights
    images: Mapping[str, Count]
    boxes: Mapping[str, Count]
    num_classes: Positive
    device: str
    threads: Positive
    batch: Positive
    input_size: tuple[Positive, Positive]  # (height, width) in pixels
    epochs: Mapping[str, Count]
    steps: Mapping[str, Count]
    seconds: Finite  # estimated, of the whole run
    budget: tuple[str, ...] = ()


def read_start(folder: Path) -> RunStart | None:
    """Reads start.json of a run; None for runs of versions before it. Raises TrainingError where damaged."""
    path = folder / START_FILE
    return read_json(path, RunStart) if path.exists() else None


def read_readiness(path: Path) -> Readiness | None:
    """Reads a `readiness.json`; raises TrainingError where it is damaged."""
    return read_json(path, Readiness) if read_json(path, dict) else None


def read_results(path: Path) -> SlimResults:
    """Reads a `results.json`, also one of version 0.1.0.

    Raises:
        TrainingError: the file is damaged.
    """
    value = read_json(path, dict)
    try:
        return SlimResults.from_json(value)
    except TrainingError as error:
        raise TrainingError(f"{path}: {error}") from None
