"""Table of the controls: cost, AP, and the lead of the slim network over each."""

from __future__ import annotations

from collections.abc import Sequence

from rich.box import SIMPLE_HEAD
from rich.table import Table

from seyolo.report.tables.stages import shown_splits
from seyolo.report.text import MISSING, count_text, latency_text, lead_text, share_text
from seyolo.results import ControlRow


def controls_table(rows: Sequence[ControlRow]) -> Table:
    """Returns the table for a terminal."""
    header, *body = control_cells(rows)
    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    for number, title in enumerate(header):
        table.add_column(title, justify="right" if number else "left", no_wrap=True)
    for cells in body:
        table.add_row(*cells)
    return table


def controls_markdown(rows: Sequence[ControlRow]) -> str:
    """Returns the table as Markdown, ending with a line feed; below it the reasons of impossible controls."""
    header, *body = control_cells(rows)
    lines = [header, ["---", *["---:"] * (len(header) - 1)], *body]
    text = "".join(f"| {' | '.join(cells)} |\n" for cells in lines)
    return text + "".join(f"\n{line}\n" for line in impossible_lines(rows))


def control_cells(rows: Sequence[ControlRow]) -> list[list[str]]:
    """Returns the texts of the table, the header first."""
    splits = shown_splits(list(dict.fromkeys(split for row in rows for split in row.metrics)))
    header = ["control", "MACs", "input", "p50"]
    for split in splits:
        header += [f"AP {split}", "slim leads by"]
    return [header, *(_cells(row, splits) for row in rows)]


def impossible_lines(rows: Sequence[ControlRow]) -> list[str]:
    """Returns a line per control that is impossible, with the reason."""
    return [f"{row.control}: {row.not_possible}" for row in rows if row.not_possible is not None]


def _cells(row: ControlRow, splits: Sequence[str]) -> list[str]:
    if row.not_possible is not None:
        return [row.control, *[MISSING] * (3 + 2 * len(splits))]
    height, width = row.input_size
    size = str(height) if height == width else f"{height}x{width}"
    cells = [row.control, count_text(row.macs), size, latency_text(row.latency_ms)]
    for split in splits:
        lead = row.lead.get(split)
        cells += [share_text(row.metrics[split].ap), lead_text(lead) if lead else ""]
    return cells
