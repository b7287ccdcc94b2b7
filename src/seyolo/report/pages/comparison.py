"""Page of several runs: their networks in one table and in charts, and the options that differ."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from seyolo.errors import UsageError
from seyolo.report.figures.cost import Series, comparison_figure
from seyolo.report.pages.headline import RUNTIME_NAMES, gain_of
from seyolo.report.pages.parts import Chart, Grid, chart, setting_text
from seyolo.report.pages.train import best_row, trained_cost
from seyolo.report.record import SlimRecord, TrainRecord, differing
from seyolo.report.tables.slim import shown_splits
from seyolo.report.text import MISSING, count_text, latency_text, share_text

MAX_RUNS = 12

Record = SlimRecord | TrainRecord


@dataclass(frozen=True)
class Entry:
    """A network in the comparison; what was not measured is nan."""

    run: str
    stage: str
    params: float
    macs: float
    latency_ms: float
    ap: dict[str, float]


def comparison_context(records: Sequence[Record], out: Path) -> dict[str, Any]:
    """Returns the values of the template; links are relative to `out`, the folder of the page.

    Raises:
        UsageError: more than 12 runs.
    """
    if len(records) > MAX_RUNS:
        raise UsageError(f"{len(records)} runs: at most {MAX_RUNS} fit on one page; name fewer")
    names = _names(records)
    entries = [entry for name, record in zip(names, records, strict=True) for entry in _entries(name, record)]
    splits = list(dict.fromkeys(split for entry in entries for split in entry.ap))
    gains = [gain_of(record.results) for record in records if isinstance(record, SlimRecord)]
    runtime = next((gain.runtime for gain in gains if gain.runtime), "")
    settings = [[name, *map(setting_text, values)] for name, values in differing(records).items()]
    return {
        "version": "",
        "runs": [_run(name, record, out) for name, record in zip(names, records, strict=True)],
        "table": _table(entries, splits, runtime),
        "charts": _charts(entries, names, splits, runtime),
        "machines": _machines(records),
        "settings": Grid(["", *names], settings),
    }


def _names(records: Sequence[Record]) -> list[str]:
    """Returns the names of the runs, or their folders where two names are equal."""
    names = [record.name for record in records]
    return names if len(set(names)) == len(names) else [str(record.folder) for record in records]


def _entries(name: str, record: Record) -> list[Entry]:
    if isinstance(record, TrainRecord):
        row = best_row(record)
        ap = {key.removesuffix("_ap"): float(row[key]) for key in row if key.endswith("_ap") and row[key]}
        return [Entry(name, "trained", *trained_cost(record), math.nan, ap)]
    entries, runtime = [], gain_of(record.results).runtime
    for title, stage in (("dense", record.results.dense), ("slim", record.results.slim)):
        ap = {split: metrics.ap for split, metrics in stage.metrics.items()}
        latency_ms = stage.latency_ms.get(runtime, math.nan)
        entries.append(Entry(name, title, stage.params, stage.macs, latency_ms, ap))
    return entries


def _run(name: str, record: Record, out: Path) -> dict[str, str]:
    """Returns a run in one sentence, with a link to its own page where there is one."""
    page = record.folder / "report.html"
    if isinstance(record, SlimRecord):
        text = gain_of(record.results).headline()
    else:
        text = f"trained for {len(record.stages.get('train', []))} epochs"
    link = Path(os.path.relpath(page, out)).as_posix() if page.exists() else ""
    return {"name": name, "text": text, "link": link}


def _table(entries: Sequence[Entry], splits: Sequence[str], runtime: str) -> Grid:
    header = ["network", "parameters", "MACs", f"p50 {runtime}".strip(), *(f"AP {split}" for split in splits)]
    body = []
    for entry in entries:
        costs = (entry.params, count_text), (entry.macs, count_text), (entry.latency_ms, latency_text)
        texts = [MISSING if math.isnan(value) else text(value) for value, text in costs]
        scores = [share_text(entry.ap.get(split, math.nan)) for split in splits]
        body.append([f"{entry.run} · {entry.stage}", *texts, *scores])
    pairs = enumerate(pairwise(entries))
    return Grid(header, body, [index for index, (one, other) in pairs if one.run != other.run])


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


def _machines(records: Sequence[Record]) -> str:
    """Returns a sentence on how far latencies of the runs are comparable."""
    found = {str(record.environment.get("processor")) for record in records if isinstance(record, SlimRecord)}
    if len(found) > 1:
        machines = ", ".join(sorted(found))
        return f"The runs were timed on different machines ({machines}): compare latencies only within a run."
    return "Every run was timed on its own: compare latencies of different runs with care."
