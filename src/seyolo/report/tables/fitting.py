"""Tables that fit a terminal of any width without losing a column.

Where the columns do not fit side by side, long texts of the first column are shortened in the middle; where
that does not suffice, each row becomes a block of lines.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from rich.box import SIMPLE_HEAD
from rich.console import Console, ConsoleOptions, RenderableType
from rich.table import Table
from rich.text import Text

from seyolo.notebook import head_html, table_html

LEAST_NAME = 12  # characters to which a name is shortened
WIDEST = 10_000


@dataclass(frozen=True)
class FittingTable:
    """A table for a terminal: a header and rows of as many cells."""

    header: Sequence[str]
    rows: Sequence[Sequence[str]]
    title: str | None = None
    left: frozenset[int] = frozenset({0})  # left-justified columns
    section_ends: frozenset[int] = frozenset()  # rows with space below
    is_dense: bool = False  # one space between columns instead of two

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[RenderableType]:
        if not self.header:
            return
        excess = self._width(console, self.rows) - options.max_width
        if excess <= 0:
            yield self._table(self.rows)
            return
        shorter = self._with_short_names(excess)
        if shorter is not None and self._width(console, shorter) <= options.max_width:
            yield self._table(shorter)
        else:
            yield from self._blocks()

    def html(self) -> str:
        """Returns the table for a notebook."""
        title = "" if self.title is None else head_html(self.title)
        return title + table_html(self.header, self.rows, self.left)

    def _table(self, rows: Sequence[Sequence[str]]) -> Table:
        table = Table(
            box=SIMPLE_HEAD,
            pad_edge=False,
            collapse_padding=self.is_dense,
            title=self.title,
            title_justify="left",
        )
        for number, name in enumerate(self.header):
            table.add_column(Text(name), justify="left" if number in self.left else "right", no_wrap=True)
        for number, row in enumerate(rows):
            table.add_row(*map(Text, row), end_section=number in self.section_ends)
        return table

    def _width(self, console: Console, rows: Sequence[Sequence[str]]) -> int:
        return console.measure(self._table(rows), options=console.options.update(width=WIDEST)).maximum

    def _with_short_names(self, excess: int) -> list[Sequence[str]] | None:
        """Returns the rows with names in the first column that are shorter by `excess`; None if too short."""
        names = [row[0] for row in self.rows]
        most = max(map(len, names), default=0) - excess
        short = [shortened_middle(name, most) for name in names]
        if 0 not in self.left or most < LEAST_NAME or len(set(short)) < len(set(names)):
            return None
        return [[name, *row[1:]] for name, row in zip(short, self.rows, strict=True)]

    def _blocks(self) -> Iterator[RenderableType]:
        if self.title is not None:
            yield Text(self.title)
        width = max(map(len, self.header))
        for row in self.rows:
            head = row[0] if 0 in self.left or not self.header[0] else f"{self.header[0]} {row[0]}"
            lines = [
                f"  {name:<{width}}  {cell}" for name, cell in zip(self.header[1:], row[1:], strict=True)
            ]
            yield Text("\n".join(line.rstrip() for line in [head, *lines]) + "\n", overflow="fold")


def shortened_middle(text: str, most: int) -> str:
    """Returns a text of at most `most` characters; of a longer one the middle is left out."""
    if len(text) <= most:
        return text
    head = (most - 1) // 3  # the end of a path tells more than its start
    return f"{text[:head]}…{text[len(text) - (most - 1 - head) :]}"
