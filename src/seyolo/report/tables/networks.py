"""Table of the networks of several runs, on the page and as a file; runs of other seeds are one row."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from pathlib import Path

from seyolo.report.compared import Group, Record, Run, grouped, named_runs
from seyolo.report.measured import Measured, mean_text, networks_of, runtime_of, seeds_of
from seyolo.report.record import SlimRecord
from seyolo.report.tables.files import filled, write_table
from seyolo.report.tables.slim import rows, titles
from seyolo.report.text import count_text, latency_text, share_text, size_text
from seyolo.sizes import input_text

SHOWN = ("dense", "slim", "slim int8", "trained")


def write_runs(records: Sequence[Record], path: Path) -> Path:
    """Writes the networks of runs as a table in the format of the path's ending.

    CSV has one line per network of each run with plain numbers. Markdown and LaTeX have what the page shows.

    Raises:
        UsageError: no table format has this ending.
    """
    runs = named_runs(records)
    (first, *others) = records
    if path.suffix.lower() == ".csv":
        header, body = network_rows(runs)
    elif isinstance(first, SlimRecord) and not others:
        header = ["", *titles(first.results)]
        body = [row.texts() for row in rows(first.results)]
    else:
        _, header, body = group_rows(grouped(runs))
    write_table(path, header, body)
    return path


def splits_of(runs: Sequence[Run]) -> list[str]:
    """Returns the splits of all runs, in the order they first appear."""
    found = [network.metrics for run in runs for network in networks_of(run, "")]
    return list(dict.fromkeys(split for metrics in found for split in metrics))


def group_rows(groups: Sequence[Group]) -> tuple[list[str], list[str], list[list[str]]]:
    """Returns the group of each row, the header, and the rows: dense, slim and int8 networks."""
    runs = [run for group in groups for run in group.runs]
    runtime, splits = runtime_of(runs), splits_of(runs)
    columns: dict[str, tuple[Callable[[Measured], float], Callable[[float], str]]] = {
        "parameters": (lambda network: network.params, count_text),
        "MACs": (lambda network: network.macs, count_text),
        "file": (lambda network: network.size_bytes, size_text),
        f"p50 {runtime}".strip(): (lambda network: network.latency_ms, latency_text),
        **{f"AP {split}": (_ap_on(split), share_text) for split in splits},
    }
    names, body = [], []
    for group in groups:
        for network, seeds in seeds_of(group, runtime).items():
            if network in SHOWN:
                names.append(group.name)
                cells = [mean_text(seeds, *column) for column in columns.values()]
                body.append([group.title(network), *cells])
    return names, *filled(["network", *columns], body)


def _ap_on(split: str) -> Callable[[Measured], float]:
    return lambda network: network.ap(split)


def network_rows(runs: Sequence[Run]) -> tuple[list[str], list[list[str]]]:
    """Returns the header and one row of plain numbers per network of each run; unknown numbers are empty."""
    runtime, splits = runtime_of(runs), splits_of(runs)
    fixed = ["run", "network", "seed", "data", "input", "params", "macs", "size_bytes"]
    header = [*fixed, f"p50_ms_{runtime}" if runtime else "p50_ms"]
    header += [f"{name}_{split}" for split in splits for name in ("ap", "ap50")]
    body = []
    for run in runs:
        for network in networks_of(run, runtime):
            metrics = [network.metrics.get(split) for split in splits]
            scores = [score for one in metrics for score in ((one.ap, one.ap50) if one else (math.nan,) * 2)]
            numbers = (network.params, network.macs, network.size_bytes, network.latency_ms, *scores)
            about = run.name, network.network, run.settings["seed"], run.data_name
            cells = [*map(str, about), input_text(network.input_hw), *map(_plain, numbers)]
            body.append(["" if cell == "None" else cell for cell in cells])
    return filled(header, body)


def _plain(value: float) -> str:
    return "" if math.isnan(value) else f"{value:.10g}"
