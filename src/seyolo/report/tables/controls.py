"""The table of controls: the slim network, what else its images would have bought, and the difference."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.table import Table

from seyolo.report.tables.stages import MISSING, count_text, latency_text, share_text, shown_splits

Row = Mapping[str, Any]


def controls_table(rows: Sequence[Row]) -> Table:
    """The rows of `controls` in `results.json` for a terminal; see `verbs.controls.control_results`."""
    header, *body = control_cells(rows)
    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    for number, title in enumerate(header):
        table.add_column(title, justify="right" if number else "left", no_wrap=True)
    for cells in body:
        table.add_row(*cells)
    return table


def controls_markdown(rows: Sequence[Row]) -> str:
    """The same as Markdown, ending with a line feed; what cannot be done is explained below the table."""
    header, *body = control_cells(rows)
    lines = [header, ["---", *["---:"] * (len(header) - 1)], *body]
    text = "".join(f"| {' | '.join(cells)} |\n" for cells in lines)
    return text + "".join(
        f"\n{row['control']}: {row['not_possible']}\n" for row in rows if "not_possible" in row
    )


def control_cells(rows: Sequence[Row]) -> list[list[str]]:
    """The table's texts, the header first."""
    splits = _splits(rows)
    header = ["control", "MACs", "input", "p50"]
    for split in splits:
        header += [f"AP {split}", "slim leads by"]
    return [header, *(_row(row, splits) for row in rows)]


def lead_text(lead: Mapping[str, float]) -> str:
    """A difference of AP in points with its interval: +1.2 (0.3 to 2.1)."""
    difference, low, high = (round(100 * lead[key], 1) + 0.0 for key in ("difference", "low", "high"))
    return f"{difference:+.1f} ({low:.1f} to {high:.1f})".replace("-", "−")


def _row(row: Row, splits: Sequence[str]) -> list[str]:
    if "not_possible" in row:
        return [row["control"], *[MISSING] * (3 + 2 * len(splits))]
    height, width = row["input_size"]
    size = str(height) if height == width else f"{height}x{width}"
    cells = [row["control"], count_text(row["macs"]), size, latency_text(row["latency_ms"])]
    for split in splits:
        lead = row["lead"].get(split)
        cells += [share_text(row["metrics"][split]["ap"]), lead_text(lead) if lead else ""]
    return cells


def _splits(rows: Sequence[Row]) -> list[str]:
    return shown_splits(list(dict.fromkeys(split for row in rows for split in row.get("metrics", ()))))
