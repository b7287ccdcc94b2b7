"""Networks of runs with all that was measured of them, and means over seeds."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from seyolo.checkpoint import read_checkpoint
from seyolo.darknet.cost import cost
from seyolo.report.compared import Group, Run
from seyolo.report.record import SlimRecord, TrainRecord
from seyolo.report.text import MISSING
from seyolo.results import STAGE_TITLES, SplitMetrics, StageResult
from seyolo.runs import BEST_FILE
from seyolo.runtime.choice import RUNTIMES
from seyolo.sizes import size_hw
from seyolo.study_results import Spread


@dataclass(frozen=True)
class Measured:
    """A network of a run; what was not measured is nan, or a split that is missing."""

    run: Run
    network: str  # dense, slim, ...; trained for the best network of a run of `train`
    input_hw: tuple[int, int]
    params: float
    macs: float
    size_bytes: float
    latency_ms: float
    metrics: Mapping[str, SplitMetrics] = field(default_factory=dict)

    def ap(self, split: str) -> float:
        """Returns AP on a split."""
        return self.metrics.get(split, SplitMetrics()).ap


Value = Callable[[Measured], float]
NEGLIGIBLE = 0.001
"""Standard deviation, as a share of the mean, that a table leaves out."""


def runtime_of(runs: Sequence[Run]) -> str:
    """Returns the runtime that represents the latency of the runs; empty where none was timed."""
    timed = [run.record.results.dense.latency_ms for run in runs if isinstance(run.record, SlimRecord)]
    return next((name for name in RUNTIMES if any(name in found for found in timed)), "")


def networks_of(run: Run, runtime: str) -> list[Measured]:
    """Returns all networks of a run: its stages and the int8 file, or the best network of a training run."""
    if isinstance(run.record, TrainRecord):
        return [_trained(run, run.record)]
    results = run.record.results
    rows = [*zip(results.titles(), results.stages, strict=True)]
    rows += [(STAGE_TITLES["int8"], results.int8)] if results.int8 else []
    return [_of_stage(run, title, stage, runtime) for title, stage in rows]


def _of_stage(run: Run, title: str, stage: StageResult, runtime: str) -> Measured:
    costs = stage.params, stage.macs, stage.size_bytes, stage.latency_ms.get(runtime, math.nan)
    return Measured(run, title, stage.input_size, *costs, stage.metrics)


def _trained(run: Run, record: TrainRecord) -> Measured:
    row, path = best_row(record), record.folder / BEST_FILE
    splits = [name.removesuffix("_ap") for name, text in row.items() if name.endswith("_ap") and text]
    metrics = {
        split: SplitMetrics(float(row[f"{split}_ap"]), float(row.get(f"{split}_ap50") or math.nan))
        for split in splits
    }
    size_bytes = path.stat().st_size if path.exists() else math.nan
    return Measured(run, "trained", run.input_hw, *trained_cost(record), size_bytes, math.nan, metrics)


def best_row(record: TrainRecord) -> Mapping[str, str]:
    """Returns the epoch of the best checkpoint, 0 for the start; after sparsity training it is the last."""
    measured = [row for row in record.stages.get("train", []) if row.get("ap")]
    if not measured:
        return {}
    return measured[-1] if record.kept == "last" else max(measured, key=lambda row: float(row["ap"]))


def trained_cost(record: TrainRecord) -> tuple[float, float]:
    """Returns parameters and MACs of the best network at its training size; nan where there is none."""
    path = record.folder / BEST_FILE
    if not path.exists():
        return math.nan, math.nan
    counted = cost(read_checkpoint(path).network, *size_hw(record.config["size"]))
    return counted.params, counted.macs


def seeds_of(group: Group, runtime: str) -> dict[str, list[Measured]]:
    """Returns the networks of a group by name: one per run."""
    found: dict[str, list[Measured]] = {}
    for run in group.runs:
        for network in networks_of(run, runtime):
            found.setdefault(network.network, []).append(network)
    return found


def mean_of(networks: Sequence[Measured], value: Value) -> Spread:
    """Returns mean and standard deviation of the values that were measured."""
    return Spread.of([found for found in map(value, networks) if math.isfinite(found)])


def mean_text(networks: Sequence[Measured], value: Value, text: Callable[[float], str]) -> str:
    """Formats mean and standard deviation: 0.512 ± 0.008; without a deviation that is below `NEGLIGIBLE`."""
    spread = mean_of(networks, value)
    if math.isnan(spread.mean):
        return MISSING
    is_shown = spread.deviation > NEGLIGIBLE * abs(spread.mean)
    return f"{text(spread.mean)} ± {text(spread.deviation)}" if is_shown else text(spread.mean)
