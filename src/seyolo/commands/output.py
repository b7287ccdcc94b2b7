"""Output of verbs: tables and text on stdout, the same as JSON on request, remarks on stderr."""

from __future__ import annotations

import json
import math
import os
import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter
from rich.console import Console, Group, RenderableType

from seyolo.errors import UsageError
from seyolo.files import check_writable, write_json
from seyolo.report.tables.fitting import WIDEST, FittingTable

if TYPE_CHECKING:
    from seyolo.data.datasets import Dataset

STDOUT = Path("-")
JSON_START = re.compile(rb"\s*($|\{|\[\s*($|[\[\]{\"\d-]|true|false|null))")
Json = Annotated[Path | None, Parameter(name="--json", allow_leading_hyphen=True)]
"""A file for the results as JSON; `-` is stdout, which then carries nothing else."""


def show(value: Mapping[str, object], readable: RenderableType, target: Path | None) -> None:
    """Prints `readable`, and writes `value` as JSON to `target`; with `-` only the JSON is printed."""
    if target == STDOUT:
        print(json.dumps(json_value(value), indent=2))
        return
    if target is not None:
        write_json(target, json_value(value))
    print_readable(readable)


def print_readable(readable: RenderableType) -> None:
    """Prints tables and text to stdout; text is not wrapped, so that it can be copied and searched.

    A table fits the terminal, or COLUMNS; into a file or pipe it is as wide as it is.
    """
    is_bound = sys.stdout.isatty() or "COLUMNS" in os.environ
    for part in readable.renderables if isinstance(readable, Group) else [readable]:
        console = Console(soft_wrap=isinstance(part, str), width=None if is_bound else WIDEST)
        console.print(part, highlight=False, markup=False)


def check_target(target: Path | None, option: str = "--json") -> None:
    """Raises UsageError for a target that cannot be written or is an option, before any work is done.

    Folders that are missing are made when the result is written. A file with JSON in it is replaced, so that
    a command may be run again; another one is not.
    """
    if target is None or target == STDOUT:
        return
    if str(target).startswith("-"):
        raise UsageError(f"{option} {target}: give a file, or - for stdout")
    try:
        check_writable(target)
    except OSError as error:
        problem = f"{error.filename}: {error.strerror}"
        raise UsageError(f"{option} {target}: {problem}; give another file") from None
    if target.is_file() and not _holds_json(target):
        raise UsageError(f"{option} {target}: is there already and holds no JSON; give another file")


def _holds_json(file: Path) -> bool:
    """Tells whether a file begins as JSON does, and not as a cfg with its `[net]`, or is empty."""
    with file.open("rb") as opened:
        return JSON_START.match(opened.read(256)) is not None


def check_new(files: Iterable[Path], *, overwrite: bool, advice: str = "") -> None:
    """Refuses (UsageError) to replace a file that was made before, unless `overwrite` is asked for."""
    there = [file for file in files if file.is_file()]
    if there and not overwrite:
        are = "is" if len(there) == 1 else "are"
        way = f"{advice}add --overwrite, or give another name"
        raise UsageError(f"{', '.join(map(str, there))} {are} there already; {way}")


def remark(text: str) -> None:
    """Prints a line on stderr."""
    print(text, file=sys.stderr, flush=True)


def remark_on(dataset: Dataset, splits: Iterable[str] | None = None) -> None:
    """Prints the introduction of a data set on stderr."""
    for line in dataset.introduction(splits):
        remark(line)


def json_value(value: object) -> object:
    """Returns the value with None for nan, which JSON lacks, and text for paths."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(key): json_value(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [json_value(item) for item in value]
    return str(value) if isinstance(value, Path) else value


def table(rows: Sequence[Mapping[str, object]], title: str | None = None) -> FittingTable:
    """Makes a table from rows of equal keys, numbers to the right."""
    first = rows[0] if rows else {}
    texts = [number for number, value in enumerate(first.values()) if not isinstance(value, int | float)]
    return FittingTable(
        [key.replace("_", " ") for key in first],
        [[_cell(value) for value in row.values()] for row in rows],
        title,
        left=frozenset(texts),
    )


def _cell(value: object) -> str:
    if isinstance(value, float):
        return "–" if math.isnan(value) else f"{value:.3f}"
    return f"{value:,}" if isinstance(value, int) else str(value)
