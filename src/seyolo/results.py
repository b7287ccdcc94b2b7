"""Typed results of `slim`: the content of `results.json`, free of PyTorch.

Field names are the keys of the file.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from seyolo.errors import TrainingError
from seyolo.json_files import from_json, read_json, to_json

TRAINED_STAGES = ("dense", "sparse", "finetuned")
"""Stages that train; each has a folder of its name in the run's folder."""
RESULTS_FILE = "results.json"


@dataclass(frozen=True)
class SplitMetrics:
    """COCO AP on one split, in [0, 1]; nan where no object is labelled."""

    ap: float = math.nan
    ap50: float = math.nan


@dataclass(frozen=True)
class Difference:
    """A difference of AP on the images as they are, with the 2.5 % and 97.5 % quantiles of its bootstrap."""

    difference: float
    low: float
    high: float


@dataclass(frozen=True)
class Readiness:
    """Measurements of the BN scales before pruning, and AP before and after it."""

    nearly_zero: float  # share of the scales below 1 % of the median kept scale
    going: float  # share of the channels with a scale that the plan prunes
    going_scale: float  # mean scale of a pruned channel, relative to that of a kept one
    misplaced: float  # share of the pruned channels with a scale above the 10 % quantile of the kept scales
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

    `metrics` are by split; `latency_ms` is the median milliseconds per image by runtime, at batch 1.
    """

    stage: str  # `int8` for the slim network in int8
    epochs: int | None = None  # of training that the network has seen in all; None in runs of early versions
    params: int  # without running statistics
    size_bytes: int
    macs: int  # multiply-accumulates at `input_size`
    input_size: tuple[int, int]  # (height, width) in pixels
    metrics: Mapping[str, SplitMetrics] = field(default_factory=dict)
    latency_ms: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class ControlRow:
    """One control beside the slim network; the row of the slim network itself comes first.

    Attributes:
        latency_ms: median milliseconds per image on ONNX Runtime; all rows are timed in one run.
        lead: AP of the slim network minus that of the control, by split.
        not_possible: the reason why there is no such control; it then has no measurements.
    """

    control: str
    params: int = 0
    macs: int = 0
    input_size: tuple[int, int] = (0, 0)
    metrics: Mapping[str, SplitMetrics] = field(default_factory=dict)
    latency_ms: float = math.nan
    lead: Mapping[str, Difference] = field(default_factory=dict)
    not_possible: str | None = None

    def to_json(self) -> dict[str, Any]:
        """Returns the value in `results.json`, without the keys that a control of its kind does not have."""
        if self.not_possible is not None:
            return {"control": self.control, "not_possible": self.not_possible}
        value: dict[str, Any] = to_json(self)
        del value["not_possible"]
        return value


@dataclass(frozen=True, kw_only=True)
class SlimResults:
    """The results of one run of `slim`.

    `lead` is AP of the slim network minus that of the dense one, by split with labels.
    """

    stages: tuple[StageResult, ...]  # the dense network first, the slim network last
    int8: StageResult | None = None  # the slim network in int8, where it could be written
    lead: Mapping[str, Difference] = field(default_factory=dict)
    plan: Mapping[str, Any] = field(default_factory=dict)  # as JSON; `Plan.from_dict` reads it
    readiness: Readiness | None = None  # None where no channel with a BN scale was pruned
    budget: tuple[str, ...] = ()
    seed: int | None = None
    data: str = ""
    artefacts: Mapping[str, str] = field(default_factory=dict)  # by file `written`, or why it was not
    controls: tuple[ControlRow, ...] = ()

    @property
    def dense(self) -> StageResult:
        """The dense network."""
        return self.stages[0]

    @property
    def slim(self) -> StageResult:
        """The slim network: the last stage."""
        return self.stages[-1]

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
        value["controls"] = [row.to_json() for row in self.controls]
        return {key: found for key, found in value.items() if found or key not in ("int8", "controls")}


def readiness_from(value: Mapping[str, Any]) -> Readiness | None:
    """Reads the value of `readiness.json`, which is empty where no channel with a BN scale was pruned."""
    return from_json(value, Readiness) if value else None


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
