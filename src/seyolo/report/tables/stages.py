"""Before/after table of a slimming run, for a terminal and for Markdown.

Stages are columns and quantities are rows: four stages, three splits and two runtimes fit into 80 columns
that way, with one more column for the change from the first stage to the last.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from rich.box import SIMPLE_HEAD
from rich.table import Table

from seyolo.report.text import MISSING, count_text, latency_text, share_text, size_text
from seyolo.results import SlimResults, StageResult


@dataclass(frozen=True)
class Row:
    """One quantity of all stages.

    Args:
        name: of the quantity, with its split or runtime.
        cells: one text per stage.
        change: of the last stage against the first; empty where either is missing.
        beside: text of the int8 column, where there is one.
        group: rows of a group stand together.
    """

    name: str
    cells: tuple[str, ...]
    change: str
    beside: tuple[str, ...]
    group: str

    def texts(self) -> list[str]:
        """Returns all cells from left to right."""
        return [self.name, *self.cells, self.change, *self.beside]


@dataclass(frozen=True)
class Quantity:
    """A quantity of a stage, and how it is printed.

    Args:
        name, group: as in `Row`.
        value: of a stage; None where it was not measured.
        text: formats a value.
        change: formats the change from the first value to the last.
    """

    name: str
    group: str
    value: Callable[[StageResult], float | None]
    text: Callable[[float], str]
    change: Callable[[float, float], str]


def shown_split(splits: Iterable[str]) -> str:
    """Returns the split that represents a run: `test`, else `val`, else the first."""
    names = list(splits)
    return next((name for name in ("test", "val") if name in names), names[0])


def shown_splits(splits: Sequence[str]) -> list[str]:
    """Returns the splits that begin with `test`, or all where there are none."""
    return [split for split in splits if split.startswith("test")] or list(splits)


def rows(results: SlimResults) -> list[Row]:
    """Returns the rows of the table."""
    return [_row(results, quantity) for quantity in _quantities(results.stages)]


def stage_table(results: SlimResults) -> Table:
    """Returns the table for a terminal of 80 columns."""
    table = Table(box=SIMPLE_HEAD, pad_edge=False, collapse_padding=True)
    table.add_column("", no_wrap=True)
    for title in titles(results):
        table.add_column(title, justify="right", no_wrap=True)
    body = rows(results)
    for row, following in zip(body, [*body[1:], None], strict=True):
        ends_group = following is not None and following.group != row.group
        table.add_row(*row.texts(), end_section=ends_group)
    return table


def markdown_table(results: SlimResults) -> str:
    """Returns the table as Markdown, ending with a line feed."""
    header = ["", *titles(results)]
    lines = [header, ["---", *["---:"] * (len(header) - 1)]]
    lines += [row.texts() for row in rows(results)]
    return "".join(f"| {' | '.join(cells)} |\n" for cells in lines)


def titles(results: SlimResults) -> list[str]:
    """Returns the column heads after the first."""
    stages = [stage.stage for stage in results.stages]
    return [*stages, f"vs {stages[0]}", *(stage.stage for stage in _beside(results))]


def _beside(results: SlimResults) -> list[StageResult]:
    return [] if results.int8 is None else [results.int8]


def _quantities(stages: Sequence[StageResult]) -> list[Quantity]:
    splits = _keys(stage.metrics for stage in stages)
    runtimes = _keys(stage.latency_ms for stage in stages)
    return [
        Quantity("Epochs", "training", lambda stage: stage.epochs, count_text, lambda first, last: ""),
        Quantity("Parameters", "size", lambda stage: stage.params, count_text, _ratio),
        Quantity("File", "size", lambda stage: stage.size_bytes, size_text, _ratio),
        Quantity(_macs_title(stages[0]), "size", lambda stage: stage.macs, count_text, _ratio),
        *(Quantity(f"AP {split}", "AP", _ap(split, "ap"), share_text, _difference) for split in splits),
        *(
            Quantity(f"AP@0.5 {split}", "AP@0.5", _ap(split, "ap50"), share_text, _difference)
            for split in splits
        ),
        *(
            Quantity(f"p50 {runtime}", "latency", _latency(runtime), latency_text, _speed_up)
            for runtime in runtimes
        ),
    ]


def _keys(groups: Iterable[Mapping[str, object]]) -> list[str]:
    """Returns the keys of all mappings, in the order they first appear."""
    return list(dict.fromkeys(key for group in groups for key in group))


def _ap(split: str, name: Literal["ap", "ap50"]) -> Callable[[StageResult], float | None]:
    def value(stage: StageResult) -> float | None:
        found = stage.metrics.get(split)
        return None if found is None else found.ap if name == "ap" else found.ap50

    return value


def _latency(runtime: str) -> Callable[[StageResult], float | None]:
    return lambda stage: stage.latency_ms.get(runtime)


def _macs_title(stage: StageResult) -> str:
    height, width = stage.input_size
    return f"MACs @{height}" if height == width else f"MACs @{height}x{width}"


def _row(results: SlimResults, quantity: Quantity) -> Row:
    first, last = quantity.value(results.dense), quantity.value(results.slim)
    is_known = first is not None and last is not None and not math.isnan(first) and not math.isnan(last)
    return Row(
        name=quantity.name,
        cells=_cells(results.stages, quantity),
        change=quantity.change(first, last) if is_known else "",  # type: ignore[arg-type]
        beside=_cells(_beside(results), quantity),
        group=quantity.group,
    )


def _cells(stages: Sequence[StageResult], quantity: Quantity) -> tuple[str, ...]:
    values = [quantity.value(stage) for stage in stages]
    return tuple(MISSING if value is None else quantity.text(value) for value in values)


def _ratio(first: float, last: float) -> str:
    return f"{100 * last / first:.1f} %" if first else ""


def _difference(first: float, last: float) -> str:
    # A rounded zero must not carry a sign: -0.0001 would read as a loss.
    difference = round(last - first, 3) or 0.0
    return f"{difference:+.3f}".replace("-", "−") if difference else "0.000"


def _speed_up(first: float, last: float) -> str:
    return f"{first / last:.2f}x faster" if last <= first else f"{last / first:.2f}x slower"
