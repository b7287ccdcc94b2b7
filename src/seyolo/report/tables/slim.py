"""Tables of a slimming run, for a terminal and for Markdown: before and after, and the controls.

Before and after, stages are columns and quantities are rows: four stages, three splits and two runtimes fit
into 80 columns that way, with one more column for the change from the first stage to the last.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import pairwise

from seyolo.errors import counted
from seyolo.report.tables.files import markdown
from seyolo.report.tables.fitting import FittingTable
from seyolo.report.text import (
    MISSING,
    MOST_LOST_AP,
    count_text,
    latency_text,
    lead_text,
    noise_text,
    share_text,
    size_text,
)
from seyolo.results import STAGE_TITLES, ControlRow, SlimResults, SplitMetrics, StageResult
from seyolo.runs import SLIM_INT8
from seyolo.runtime.shipped import CHECKPOINT
from seyolo.sizes import input_text


@dataclass(frozen=True)
class Row:
    """One quantity of all stages; rows of a group stand together."""

    name: str
    group: str
    cells: tuple[str, ...]  # one text per stage
    change: str  # of the last stage against the first; empty where either is missing
    beside: tuple[str, ...]  # text of the int8 column, where there is one

    def texts(self) -> list[str]:
        """Returns all cells from left to right."""
        return [self.name, *self.cells, self.change, *self.beside]


def shown_split(splits: Iterable[str]) -> str:
    """Returns the split that represents a run: `test`, else `val`, else the first."""
    names = list(splits)
    return next((name for name in ("test", "val") if name in names), names[0])


def shown_splits(splits: Sequence[str]) -> list[str]:
    """Returns the splits that begin with `test`, or all where there are none."""
    return [split for split in splits if split.startswith("test")] or list(splits)


def stage_table(results: SlimResults) -> FittingTable:
    """Returns the before/after table for a terminal of 80 columns."""
    body = rows(results)
    ends = [number for number, pair in enumerate(pairwise(body)) if pair[0].group != pair[1].group]
    return FittingTable(
        ["", *titles(results)], [row.texts() for row in body], section_ends=frozenset(ends), is_dense=True
    )


def markdown_table(results: SlimResults) -> str:
    """Returns the before/after table as Markdown, ending with a line feed."""
    return markdown(["", *titles(results)], [row.texts() for row in rows(results)])


def titles(results: SlimResults) -> list[str]:
    """Returns the column heads after the first."""
    return [*results.titles(), "change", *([STAGE_TITLES["int8"]] if results.int8 else [])]


def rows(results: SlimResults) -> list[Row]:
    """Returns the rows of the before/after table."""
    columns = [*results.stages, results.int8] if results.int8 else results.stages
    row = partial(_row, num_stages=len(results.stages))
    metrics = {
        split: [column.metrics.get(split, SplitMetrics()) for column in columns]
        for split in _keys(stage.metrics for stage in results.stages)
    }
    latencies = {
        runtime: [column.latency_ms.get(runtime) for column in columns]
        for runtime in _keys(stage.latency_ms for stage in results.stages)
    }
    macs = f"MACs @{input_text(results.dense.input_size)}"
    return [
        row("Epochs", "training", [column.epochs for column in columns], count_text, lambda first, last: ""),
        row("Parameters", "size", [column.params for column in columns], count_text, _ratio),
        row("File", "size", [column.size_bytes for column in columns], size_text, _ratio),
        row(macs, "size", [column.macs for column in columns], count_text, _ratio),
        *(
            row(f"AP {split}", "AP", [found.ap for found in of_split], share_text, difference_text)
            for split, of_split in metrics.items()
        ),
        *(
            row(f"AP@0.5 {split}", "AP@0.5", [found.ap50 for found in of_split], share_text, difference_text)
            for split, of_split in metrics.items()
        ),
        *(
            row(f"p50 {runtime}", "latency", times, latency_text, partial(_speed_up, results.noise(runtime)))
            for runtime, times in latencies.items()
        ),
        *(
            row(f"noise {runtime}", "noise", found, noise_text, lambda first, last: "")
            for runtime in _keys(stage.latency_noise for stage in results.stages)
            for found in [[column.latency_noise.get(runtime) for column in columns]]
        ),
    ]


def epochs_text(results: SlimResults) -> str:
    """Returns how long the slim and the dense network were trained; empty in runs that did not keep it."""
    dense, slim = results.dense.epochs, results.slim.epochs
    if dense is None or slim is None:
        return ""
    if dense == slim:
        return f"Both networks were trained for {counted(slim, 'epoch')} in all"
    of_dense = f"the dense one for {dense}" if dense else "the dense one has the given weights"
    return f"The slim network was trained for {counted(slim, 'epoch')} in all, {of_dense}"


def files_text(results: SlimResults) -> str:
    """Returns which files the sizes of the table are of."""
    of_int8 = f", of slim int8 that of {SLIM_INT8}" if results.int8 else ""
    return f"File: the size of the {CHECKPOINT} checkpoint{of_int8}"


def int8_lines(results: SlimResults) -> list[str]:
    """Returns which files were not written and why, and where int8 is no better than the slim network."""
    reasons = {
        name: text.removeprefix("not applicable: ").removesuffix("; nothing was written")
        for name, text in results.artefacts.items()
        if text != "written"
    }
    lines = [f"{name} was not written: {reason}" for name, reason in reasons.items()]
    if results.int8 is None:
        return lines
    faults = [*_no_gain(results.slim, results.int8), *_lost_ap(results.slim, results.int8)]
    return [*lines, f"slim int8 is {' and '.join(faults)} than slim"] if faults else lines


def _no_gain(slim: StageResult, int8: StageResult) -> list[str]:
    """Returns that the int8 file is neither smaller nor faster, if so; noise counts as no difference."""
    times = [(latency_ms, int8.latency_ms.get(name)) for name, latency_ms in slim.latency_ms.items()]
    noise = max([*slim.latency_noise.values(), *int8.latency_noise.values()], default=0.0)
    is_faster = any(other is not None and own / other - 1 > noise for own, other in times)
    if int8.size_bytes < slim.size_bytes or is_faster:
        return []
    return ["neither smaller nor faster"]


def _lost_ap(slim: StageResult, int8: StageResult) -> list[str]:
    """Returns by how much AP in int8 is lower, if by more than `MOST_LOST_AP`."""
    known = {name: found for name, found in slim.metrics.items() if math.isfinite(found.ap)}
    if not known:
        return []
    split = shown_split(known)
    lost = known[split].ap - int8.metrics.get(split, SplitMetrics()).ap
    return [f"{100 * lost:.1f} points of AP on {split} worse"] if lost > MOST_LOST_AP else []


def _row(
    name: str,
    group: str,
    values: Sequence[float | None],
    text: Callable[[float], str],
    change: Callable[[float, float], str],
    *,
    num_stages: int,
) -> Row:
    """Formats a quantity: `values` of the stages, then of the int8 column; None where it was not measured."""
    cells = tuple(MISSING if value is None else text(value) for value in values)
    ends = [value for value in (values[0], values[num_stages - 1]) if value is not None]
    is_known = len(ends) == 2 and not any(map(math.isnan, ends))
    return Row(name, group, cells[:num_stages], change(*ends) if is_known else "", cells[num_stages:])


def _keys(groups: Iterable[Mapping[str, object]]) -> list[str]:
    """Returns the keys of all mappings, in the order they first appear."""
    return list(dict.fromkeys(key for group in groups for key in group))


def _ratio(first: float, last: float) -> str:
    if not first:
        return ""
    percent = round(100 * (last - first) / first, 1) or 0.0
    return f"{percent:+.1f} %".replace("-", "−") if percent else "0.0 %"


def difference_text(first: float, last: float) -> str:
    """Formats a difference of AP in the digits of a table: +0.012, −0.003."""
    # A rounded zero must not carry a sign: -0.0001 would read as a loss.
    difference = round(last - first, 3) or 0.0
    text = f"{difference:+.3f}".replace("-", "−") if difference else "0.000"
    return "" if math.isnan(difference) else text


def _speed_up(noise: float, first: float, last: float) -> str:
    if max(first, last) / min(first, last) - 1 < noise:
        return "about as fast"
    return f"{first / last:.2f}x faster" if last <= first else f"{last / first:.2f}x slower"


def controls_table(controls: Sequence[ControlRow]) -> FittingTable:
    """Returns the table of the controls for a terminal."""
    header, *body = control_cells(controls)
    return FittingTable(header, body)


def controls_markdown(controls: Sequence[ControlRow]) -> str:
    """Returns the table of the controls as Markdown; below it the reasons of impossible controls."""
    header, *body = control_cells(controls)
    return markdown(header, body) + "".join(f"\n{line}\n" for line in impossible_lines(controls))


def control_cells(controls: Sequence[ControlRow]) -> list[list[str]]:
    """Returns cost and AP of the controls, and the lead of the slim network over each; the header first."""
    splits = shown_splits(_keys(row.metrics for row in controls))
    header = ["control", "MACs", "input", "p50"]
    for split in splits:
        header += [f"AP {split}", "slim leads by"]
    return [header, *(_control_cells(row, splits) for row in controls)]


def _control_cells(row: ControlRow, splits: Sequence[str]) -> list[str]:
    if row.not_possible is not None:
        return [row.control, *[MISSING] * (3 + 2 * len(splits))]
    cells = [row.control, count_text(row.macs), input_text(row.input_size), latency_text(row.latency_ms)]
    for split in splits:
        lead = row.lead.get(split)
        ap = row.metrics.get(split, SplitMetrics()).ap
        cells += [share_text(ap), lead_text(lead) if lead else ""]
    return cells


def impossible_lines(controls: Sequence[ControlRow]) -> list[str]:
    """Returns a line per control that is impossible, with the reason."""
    return [f"{row.control}: {row.not_possible}" for row in controls if row.not_possible is not None]
