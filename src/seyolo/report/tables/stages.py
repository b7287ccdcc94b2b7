"""The before/after table of a slimming run, for a terminal and for Markdown.

Stages are columns and quantities are rows: four stages, three splits and two runtimes fit into 80 columns
that way, and the last column has room to say what slimming changed. Both come from one list of rows.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.table import Table

MISSING = "–"
SUFFIXES = ((1e9, "G"), (1e6, "M"), (1e3, "k"))


@dataclass(frozen=True)
class Row:
    """One quantity over all stages.

    Args:
        name: the quantity with its split or runtime.
        cells: one text per stage.
        change: last stage against first, empty when either is missing.
        beside: what is no stage, the last one in int8.
        group: rows of a group stand together.
    """

    name: str
    cells: tuple[str, ...]
    change: str
    beside: tuple[str, ...]
    group: str

    def texts(self) -> list[str]:
        """All cells from left to right."""
        return [self.name, *self.cells, self.change, *self.beside]


def count_text(value: float) -> str:
    """A count with three digits and a suffix: 10.9 M, 9.60 G, 512."""
    for factor, suffix in SUFFIXES:
        # Rounding first, so that 999,999 becomes 1.00 M and not 1000 k.
        if float(f"{value:.3g}") >= factor:
            return f"{three_digits(value / factor)} {suffix}"
    return f"{value:.0f}"


def size_text(size_bytes: float) -> str:
    """A file's size in decimal units: 43.6 MB."""
    text = count_text(size_bytes)
    return f"{text.replace('k', 'K')}B" if text[-1].isalpha() else f"{text} B"


def share_text(value: float) -> str:
    """An AP: 0.772; nan, where no object was there to find, is a dash."""
    return MISSING if math.isnan(value) else f"{value:.3f}"


def latency_text(milliseconds: float) -> str:
    """A duration with three digits: 7.70 ms."""
    return f"{three_digits(milliseconds)} ms"


def shown_split(splits: Iterable[str]) -> str:
    """The split that stands for a run where one has to: `test`, else `val`, else the first."""
    names = list(splits)
    return next((name for name in ("test", "val") if name in names), names[0])


def shown_splits(splits: Sequence[str]) -> list[str]:
    """The splits that begin with `test`, or where there are none all."""
    return [split for split in splits if split.startswith("test")] or list(splits)


def rows(results: Mapping[str, Any]) -> list[Row]:
    """The rows of both tables.

    Args:
        results: as in `results.json`: `stages`, each with stage, epochs, params, size_bytes, macs,
            input_size, metrics {split: {ap, ap50}} and latency_ms {runtime: p50}. A stage may lack epochs, a
            split or a runtime. `int8` is like one of them and stands beside them.
    """
    stages: Sequence[Mapping[str, Any]] = results["stages"]
    columns = [*stages, *_beside(results)]
    row = partial(_row, num_stages=len(stages))
    out = [
        row("Epochs", "training", [s.get("epochs") for s in columns], count_text, lambda first, last: ""),
        row("Parameters", "size", [s["params"] for s in columns], count_text, _ratio),
        row("File", "size", [s["size_bytes"] for s in columns], size_text, _ratio),
        row(_macs_title(stages), "size", [s["macs"] for s in columns], count_text, _ratio),
    ]
    for key, title in (("ap", "AP"), ("ap50", "AP@0.5")):
        for split in _keys(stages, "metrics"):
            values = [s.get("metrics", {}).get(split, {}).get(key) for s in columns]
            out.append(row(f"{title} {split}", title, values, share_text, _difference))
    for runtime in _keys(stages, "latency_ms"):
        values = [s.get("latency_ms", {}).get(runtime) for s in columns]
        out.append(row(f"p50 {runtime}", "latency", values, latency_text, _speed_up))
    return out


def _beside(results: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """What has a column and is no stage."""
    return [results["int8"]] if "int8" in results else []


def stage_table(results: Mapping[str, Any]) -> Table:
    """The table of `results.json` for a terminal of 80 columns; `results` as in `rows`."""
    table = Table(box=SIMPLE_HEAD, pad_edge=False, collapse_padding=True)
    table.add_column("", no_wrap=True)
    for title in titles(results):
        table.add_column(title, justify="right", no_wrap=True)
    body = rows(results)
    for row, following in zip(body, [*body[1:], None], strict=True):
        ends_group = following is not None and following.group != row.group
        table.add_row(*row.texts(), end_section=ends_group)
    return table


def markdown_table(results: Mapping[str, Any]) -> str:
    """The same table as Markdown, ending with a line feed."""
    header = ["", *titles(results)]
    lines = [header, ["---", *["---:"] * (len(header) - 1)]]
    lines += [row.texts() for row in rows(results)]
    return "".join(f"| {' | '.join(cells)} |\n" for cells in lines)


def titles(results: Mapping[str, Any]) -> list[str]:
    """The heads of the columns behind the first."""
    stages = [str(stage["stage"]) for stage in results["stages"]]
    return [*stages, f"vs {stages[0]}", *(str(one["stage"]) for one in _beside(results))]


def _keys(stages: Sequence[Mapping[str, Any]], group: str) -> list[str]:
    """The keys any stage has, in the order they first appear."""
    return list(dict.fromkeys(key for stage in stages for key in stage.get(group, {})))


def _macs_title(stages: Sequence[Mapping[str, Any]]) -> str:
    size = stages[0]["input_size"]
    height, width = (size, size) if isinstance(size, int) else size
    return f"MACs @{height}" if height == width else f"MACs @{height}x{width}"


def _row(
    name: str,
    group: str,
    values: Sequence[float | None],
    text: Callable[[float], str],
    change: Callable[[float, float], str],
    *,
    num_stages: int,
) -> Row:
    cells = tuple(MISSING if value is None else text(value) for value in values)
    first, last = values[0], values[num_stages - 1]
    known = first is not None and last is not None and not math.isnan(first) and not math.isnan(last)
    difference = change(first, last) if known else ""  # type: ignore[arg-type]
    return Row(name, cells[:num_stages], difference, cells[num_stages:], group)


def _ratio(first: float, last: float) -> str:
    return f"{100 * last / first:.1f} %" if first else ""


def _difference(first: float, last: float) -> str:
    # A rounded zero must not carry a sign: -0.0001 would read as a loss.
    difference = round(last - first, 3) or 0.0
    return f"{difference:+.3f}".replace("-", "−") if difference else "0.000"


def _speed_up(first: float, last: float) -> str:
    return f"{first / last:.2f}x faster" if last <= first else f"{last / first:.2f}x slower"


def three_digits(value: float) -> str:
    """A positive number with three digits: 7.70, 12.3, 142."""
    rounded = float(f"{value:.3g}")
    decimals = 2 if rounded < 10 else 1 if rounded < 100 else 0
    return f"{value:.{decimals}f}"
