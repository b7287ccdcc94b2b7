"""Several runs side by side: their networks in one table and one chart each, and the settings that differ."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from seyolo.errors import UsageError
from seyolo.report.figures.charts import Series, comparison_figure
from seyolo.report.pages.headline import RUNTIME_NAMES, gain_of
from seyolo.report.pages.parts import Chart, Grid, chart, setting_text
from seyolo.report.pages.train import best_row, trained_cost
from seyolo.report.record import RunRecord, differing
from seyolo.report.tables.stages import MISSING, count_text, latency_text, share_text, shown_splits

MAX_RUNS = 12


@dataclass(frozen=True)
class Entry:
    """A network in the comparison; nan is what was not measured."""

    run: str
    stage: str
    params: float
    macs: float
    latency_ms: float
    ap: dict[str, float]


def comparison_context(records: Sequence[RunRecord], out: Path) -> dict[str, Any]:
    """What the template of the page needs; links are relative to `out`, the folder it will lie in.

    Raises:
        UsageError: more runs than a chart can tell apart.
    """
    if len(records) > MAX_RUNS:
        raise UsageError(f"{len(records)} runs: at most {MAX_RUNS} fit side by side")
    names = _names(records)
    entries = [entry for name, record in zip(names, records, strict=True) for entry in _entries(name, record)]
    splits = list(dict.fromkeys(split for entry in entries for split in entry.ap))
    runtime = _runtime(records)
    return {
        "version": "",
        "runs": [_run(name, record, out) for name, record in zip(names, records, strict=True)],
        "table": _table(entries, splits, runtime),
        "charts": _charts(entries, names, splits, runtime),
        "machines": _machines(records),
        "settings": Grid(["", *names], _settings(records)),
    }


def _names(records: Sequence[RunRecord]) -> list[str]:
    """The runs' own names, or where these are not all different their folders."""
    names = [record.name for record in records]
    return names if len(set(names)) == len(names) else [str(record.folder) for record in records]


def _entries(name: str, record: RunRecord) -> list[Entry]:
    if record.verb == "train":
        row = best_row(record)
        ap = {key.removesuffix("_ap"): float(row[key]) for key in row if key.endswith("_ap")}
        return [Entry(name, "trained", *trained_cost(record), math.nan, ap)]
    stages = record.results["stages"]
    runtime = gain_of(record.results).runtime
    return [
        Entry(
            name,
            stage_name,
            stage["params"],
            stage["macs"],
            stage["latency_ms"].get(runtime, math.nan),
            {split: metrics["ap"] for split, metrics in stage["metrics"].items()},
        )
        for stage_name, stage in (("dense", stages[0]), ("slim", stages[-1]))
    ]


def _runtime(records: Sequence[RunRecord]) -> str:
    found = [gain_of(record.results).runtime for record in records if record.verb == "slim"]
    return next((runtime for runtime in found if runtime), "")


def _run(name: str, record: RunRecord, out: Path) -> dict[str, str]:
    """A run in one sentence, and the way to its own page where there is one."""
    page = record.folder / "report.html"
    if record.verb == "slim":
        text = gain_of(record.results).headline()
    else:
        text = f"trained for {len(record.stages.get('train', []))} epochs"
    link = Path(os.path.relpath(page, out)).as_posix() if page.exists() else ""
    return {"name": name, "text": text, "link": link}


def _table(entries: Sequence[Entry], splits: Sequence[str], runtime: str) -> Grid:
    header = ["network", "parameters", "MACs", f"p50 {runtime}".strip(), *(f"AP {split}" for split in splits)]
    body = [
        [
            f"{entry.run} · {entry.stage}",
            _text(entry.params, count_text),
            _text(entry.macs, count_text),
            _text(entry.latency_ms, latency_text),
            *(share_text(entry.ap.get(split, math.nan)) for split in splits),
        ]
        for entry in entries
    ]
    pairs = enumerate(pairwise(entries))
    return Grid(header, body, [index for index, (one, other) in pairs if one.run != other.run])


def _text(value: float, text: Callable[[float], str]) -> str:
    return MISSING if math.isnan(value) else text(value)


def _charts(
    entries: Sequence[Entry], names: Sequence[str], splits: Sequence[str], runtime: str
) -> list[Chart]:
    costs: dict[str, tuple[Callable[[Entry], float], Callable[[float], str]]] = {
        "MACs": (lambda entry: entry.macs, count_text),
        f"latency on {RUNTIME_NAMES.get(runtime, runtime)}": (lambda entry: entry.latency_ms, latency_text),
    }
    charts = []
    for split in shown_splits(splits):
        for label, (cost_of, text) in costs.items():
            series = [_series(name, entries, split, cost_of) for name in names]
            if any(one.points for one in series):
                figure = comparison_figure(series, text, label, f"On {split}, by {label}")
                charts.append(chart(figure, f"AP on {split} against {label} of {', '.join(names)}"))
    return charts


def _series(name: str, entries: Sequence[Entry], split: str, cost_of: Callable[[Entry], float]) -> Series:
    found = [(cost_of(entry), entry.ap.get(split, math.nan)) for entry in entries if entry.run == name]
    return Series(name, [point for point in found if all(map(math.isfinite, point))])


def _machines(records: Sequence[RunRecord]) -> str:
    """Whether latencies may be compared at all."""
    found = {str(record.environment.get("processor")) for record in records if record.verb == "slim"}
    if len(found) > 1:
        machines = ", ".join(sorted(found))
        return f"The runs were timed on different machines ({machines}): compare latencies within a run only."
    return "Each run was timed by itself: compare latencies of different runs with care."


def _settings(records: Sequence[RunRecord]) -> list[list[str]]:
    return [[name, *(setting_text(value) for value in values)] for name, values in differing(records).items()]
