"""Typed results of `study`: one per network, and means with deviations over the seeds. No PyTorch."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from statistics import fmean, stdev

from seyolo.json_files import Count, Finite, Positive, PositiveFinite, read_json
from seyolo.options.study import NONE, StudyOptions
from seyolo.results import SplitMetrics

RESULTS, STUDY_FILE = "results", "study.json"
"""Folder of the results in that of a study, one small file for each network, and its settings."""
DENSE = "dense"
"""In place of a budget: the network before slimming."""


@dataclass(frozen=True)
class Cell:
    """One dense training and the networks that are slimmed from it."""

    gate: str
    place: str
    join: str
    seed: int

    @property
    def name(self) -> str:
        return "-".join(part for part in (self.gate, self.place, self.join, str(self.seed)) if part)

    def result(self, folder: Path, budget: str) -> Path:
        """Returns the path of the result of a budget in the folder of a study."""
        return folder / RESULTS / f"{self.name}--{budget}.json"


@dataclass(frozen=True, order=True)
class Variant:
    """Settings that the networks of one row share; `place` and `join` are empty without gates."""

    gate: str
    place: str
    join: str
    budget: str = DENSE

    @property
    def gates(self) -> str:
        """Gate, place and join in words."""
        return " ".join(part for part in (self.gate, self.place, self.join) if part)


@dataclass(frozen=True, kw_only=True)
class NetworkResult:
    """One trained network; `plain_ms` is that of the network without gates, timed in the same run.

    `noise` is the larger of those of both latencies, a share; 0 in files of versions that did not keep it.
    """

    gate: str
    place: str
    join: str
    budget: str
    seed: Count
    epochs: Count
    params: Positive
    macs: Positive
    input_size: tuple[Positive, Positive]
    metrics: Mapping[str, SplitMetrics]
    latency_ms: PositiveFinite
    plain_ms: PositiveFinite
    noise: Finite = 0.0

    @property
    def variant(self) -> Variant:
        return Variant(self.gate, self.place, self.join, self.budget)


@dataclass(frozen=True)
class Spread:
    """Mean and standard deviation of a sample; nan where it has too few numbers."""

    mean: float
    deviation: float

    @classmethod
    def of(cls, numbers: Sequence[float]) -> Spread:
        """Returns the spread of any number of values."""
        mean = fmean(numbers) if numbers else math.nan
        return cls(mean, stdev(numbers) if len(numbers) > 1 else math.nan)


@dataclass(frozen=True)
class StudyRow:
    """The networks of one variant over its seeds.

    Attributes:
        ap, ap50: by split.
        lead: AP minus that of the network without gates of the same budget and seed, by split.
        share: latency relative to the dense network without gates.
        noise: the largest noise of a latency, a share of it.
    """

    variant: Variant
    seeds: tuple[int, ...]
    epochs: int
    params: float
    macs: float
    latency_ms: Spread
    share: Spread
    ap: Mapping[str, Spread]
    ap50: Mapping[str, Spread]
    lead: Mapping[str, Spread]
    noise: float


def cells_of(axes: StudyOptions) -> list[Cell]:
    """Returns the cells of a study: all of the first seed, then all of the second."""
    cells = []
    for seed, gate in product(axes.seeds, axes.gates):
        if gate == NONE:
            cells.append(Cell(NONE, "", "", seed))
        else:
            cells += [Cell(gate, place, join, seed) for place, join in product(axes.places, axes.joins)]
    return cells


def stored_results(folder: Path, axes: StudyOptions) -> tuple[list[NetworkResult], list[str]]:
    """Returns the results that are there of those that the options ask for, and the missing by name.

    Raises:
        TrainingError: a result is damaged; the message names its file.
    """
    cells, budgets = cells_of(axes), (DENSE, *axes.budgets)
    paths = [cell.result(folder, budget) for budget in budgets for cell in cells]
    found = [read_json(path, NetworkResult) for path in paths if path.exists()]
    pairs = product(cells, budgets)
    return found, [f"{cell.name} {name}" for cell, name in pairs if not cell.result(folder, name).exists()]


def study_rows(results: Sequence[NetworkResult]) -> list[StudyRow]:
    """Returns a row for each variant, in the order in which they first stand in `results`."""
    by_variant: dict[Variant, dict[int, NetworkResult]] = {}
    for result in results:
        by_variant.setdefault(result.variant, {})[result.seed] = result
    return [
        _row(variant, found, by_variant.get(Variant(NONE, "", "", variant.budget), {}))
        for variant, found in by_variant.items()
    ]


def _row(
    variant: Variant, found: Mapping[int, NetworkResult], plain: Mapping[int, NetworkResult]
) -> StudyRow:
    networks = list(found.values())
    splits = list(networks[0].metrics)
    pairs = [] if variant.gate == NONE else [(found[seed], plain[seed]) for seed in found if seed in plain]
    return StudyRow(
        variant=variant,
        seeds=tuple(sorted(found)),
        epochs=networks[0].epochs,
        params=fmean(network.params for network in networks),
        macs=fmean(network.macs for network in networks),
        latency_ms=Spread.of([network.latency_ms for network in networks]),
        share=Spread.of([network.latency_ms / network.plain_ms for network in networks]),
        ap={split: Spread.of([network.metrics[split].ap for network in networks]) for split in splits},
        ap50={split: Spread.of([network.metrics[split].ap50 for network in networks]) for split in splits},
        lead={
            split: Spread.of([one.metrics[split].ap - other.metrics[split].ap for one, other in pairs])
            for split in splits
        },
        noise=max(network.noise for network in networks),
    )
