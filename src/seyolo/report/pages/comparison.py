"""Page of several runs: their networks in one table and in charts, and the options that differ."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Sequence
from itertools import cycle, pairwise
from pathlib import Path
from typing import Any

from seyolo.errors import UsageError, counted
from seyolo.report.compared import Group, Record, Run, differing, grouped, named_runs
from seyolo.report.figures.cost import Series, comparison_figure
from seyolo.report.figures.curves import epochs_figure, precision_recall_figure
from seyolo.report.figures.style import SERIES
from seyolo.report.measured import Value, best_row, mean_of, runtime_of, seeds_of
from seyolo.report.pages.headline import RUNTIME_NAMES, gain_of
from seyolo.report.pages.parts import Chart, Grid, chart, setting_text
from seyolo.report.record import SlimRecord
from seyolo.report.tables.files import filled
from seyolo.report.tables.networks import group_rows, splits_of
from seyolo.report.tables.slim import shown_split, shown_splits
from seyolo.report.text import MISSING, count_text, latency_text, share_text
from seyolo.report.verdict import slim_verdict, too_few
from seyolo.results import STAGE_TITLES, epochs_of, is_start
from seyolo.sizes import input_text

MAX_GROUPS = 12


def comparison_context(records: Sequence[Record], out: Path) -> dict[str, Any]:
    """Returns the values of the template; links are relative to `out`, the folder of the page.

    Raises:
        UsageError: more than 12 runs, those that differ in the seed only counted as one.
    """
    runs = named_runs(records)
    groups = grouped(runs)
    if len(groups) > MAX_GROUPS:
        raise UsageError(f"{len(groups)} runs: at most {MAX_GROUPS} fit on one page; name fewer")
    titles, header, body = group_rows(groups)
    ends = [index for index, (one, other) in enumerate(pairwise(titles)) if one != other]
    settings = [
        [name, *(", ".join(map(setting_text, values)) or setting_text(None) for values in columns)]
        for name, columns in differing(groups).items()
    ]
    return {
        "version": "",
        "runs": [_run(run, out) for run in runs],
        "warnings": comparison_warnings(runs),
        "table": Grid(header, body, ends),
        "has_seeds": len(groups) < len(runs),
        "charts": _charts(groups),
        "curves": _curves(groups),
        "data": _data(runs),
        "settings": Grid(["", *(group.name for group in groups)], settings),
    }


def _run(run: Run, out: Path) -> dict[str, str]:
    """Returns a run in one sentence, with a link to its own page where there is one."""
    record, page = run.record, run.record.folder / "report.html"
    if isinstance(record, SlimRecord):
        text = gain_of(record.results, slim_verdict(record.results, record.start)).headline()
    else:
        best, split = best_row(record), next(iter(splits_of([run])), "")
        text = f"trained for {counted(len(epochs_of(record.stages.get('train', []))), 'epoch')}"
        if split:
            ap = share_text(float(best[f"{split}_ap"]))
            few = too_few(split, record.start)
            told = f" ({few}: too few to tell)" if few else ""
            kept = "its start" if is_start(best) else f"epoch {best['epoch']}"
            kept = f"the best is {kept}" if record.kept == "best" else "the last is kept"
            text += f"{' with sparsity' if record.scales else ''}, {kept}: AP {ap} on {split}{told}"
    link = Path(os.path.relpath(page, out)).as_posix() if page.exists() else ""
    return {"name": run.name, "text": text, "link": link}


def comparison_warnings(runs: Sequence[Run]) -> list[str]:
    """Returns what keeps the figures of the runs from being compared: other data, sizes or machines."""
    found = []
    others = [run for run in runs if not run.has_data_of(runs[0])]
    if others:
        names = ", ".join(f"{run.name} ({run.data_name})" for run in others)
        found.append(
            f"The data differ: {names} {'is' if len(others) == 1 else 'are'} not trained on the data of "
            f"{runs[0].name} ({runs[0].data_name}). Do not compare AP across data."
        )
    sizes = {run.name: input_text(run.input_hw) for run in runs}
    if len(set(sizes.values())) > 1:
        listed = ", ".join(f"{name} {size}" for name, size in sizes.items())
        found.append(f"The input sizes differ ({listed}): AP, MACs and latency depend on the size.")
    slim = [run.record.environment for run in runs if isinstance(run.record, SlimRecord)]
    machines = sorted({str(found["processor"]) for found in slim if found.get("processor")})
    if len(machines) > 1:
        found.append(f"The machines differ ({', '.join(machines)}): compare latencies only within a run.")
    of_run: dict[str, list[str]] = {}
    for run in runs:
        for text in run.record.warnings:
            of_run.setdefault(text, []).append(run.name)
    return [*found, *(f"{', '.join(names)}: {text}" for text, names in of_run.items())]


def _data(runs: Sequence[Run]) -> Grid:
    """Returns data and training of each run, as they were told at its start."""
    starts = {run: start for run in runs if (start := run.record.start) is not None}
    splits = list(dict.fromkeys(split for start in starts.values() for split in start.images))
    rows = []
    for run in runs:
        start, texts = starts.get(run), [MISSING] * (len(splits) + 4)
        if start is not None:
            texts = [
                f"{start.images[split]:,} ({start.boxes.get(split, 0):,})"
                if split in start.images
                else MISSING
                for split in splits
            ]
            epochs = ", ".join(f"{STAGE_TITLES.get(name, name)} {n}" for name, n in start.epochs.items())
            steps = f"{sum(start.steps.values()):,} of {counted(start.batch, 'image')}"
            texts += [epochs, steps, start.device, start.origin]
        rows.append([run.name, run.data_name, *texts])
    return Grid(*filled(["", "data", *splits, "epochs", "steps", "device", "weights"], rows))


def _curves(groups: Sequence[Group]) -> list[Chart]:
    """Draws AP by epoch and precision over recall of the first run of each group, for the shown split."""
    firsts = {group.name: group.runs[0].record for group in groups}
    # A run of `slim` shows the training of its slim network, its last stage.
    rows = {name: list(record.stages.values())[-1] for name, record in firsts.items() if record.stages}
    columns = {key for found in rows.values() for row in found for key in row if key.endswith("_ap")}
    found = {name: list(record.curves.values())[-1] for name, record in firsts.items() if record.curves}
    charts = []
    if columns:
        split = shown_split(sorted(column.removesuffix("_ap") for column in columns))
        charts.append(chart(epochs_figure(rows, split), f"AP on {split} by epoch of {', '.join(rows)}"))
    for split in shown_splits(list(dict.fromkeys(split for curves in found.values() for split in curves))):
        lines = {
            name: (curves[split], colour)
            for (name, curves), colour in zip(found.items(), cycle(SERIES), strict=False)
            if split in curves
        }
        figure = precision_recall_figure(lines, f"Precision over recall on {split}")
        charts.append(chart(figure, f"Precision over recall on {split} of {', '.join(lines)}"))
    return charts


def _charts(groups: Sequence[Group]) -> list[Chart]:
    runs = [run for group in groups for run in group.runs]
    runtime, splits = runtime_of(runs), splits_of(runs)
    costs: dict[str, tuple[Value, Callable[[float], str]]] = {
        "MACs": (lambda network: network.macs, count_text),
        f"latency on {RUNTIME_NAMES.get(runtime, runtime)}": (
            lambda network: network.latency_ms,
            latency_text,
        ),
    }
    charts = []
    for split in shown_splits(splits):
        for label, (cost_of, text) in costs.items():
            series = [_series(group, split, cost_of, runtime) for group in groups]
            if any(one.points for one in series):
                names = ", ".join(group.name for group in groups)
                figure = comparison_figure(series, text, label, f"On {split}, by {label}")
                charts.append(chart(figure, f"AP on {split} against {label} of {names}"))
    return charts


def _series(group: Group, split: str, cost_of: Value, runtime: str) -> Series:
    """Returns the dense and the slim network of a group, or its trained one; means over the seeds."""
    networks = seeds_of(group, runtime)
    points, deviations = [], []
    for seeds in (networks[name] for name in ("dense", "slim", "trained") if name in networks):
        mean_cost, ap = mean_of(seeds, cost_of).mean, mean_of(seeds, lambda one: one.ap(split))
        if math.isfinite(mean_cost) and math.isfinite(ap.mean):
            points.append((mean_cost, ap.mean))
            deviations.append(0.0 if math.isnan(ap.deviation) else ap.deviation)
    return Series(group.name, points, deviations)
