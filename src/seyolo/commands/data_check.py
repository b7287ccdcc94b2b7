"""`seyolo data check`: counts, and everything that is wrong."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from rich.console import Group

from seyolo.commands.options import Json
from seyolo.commands.output import check_target, show, table
from seyolo.data.check import check_dataset
from seyolo.data.datasets import load_dataset
from seyolo.errors import DataError


def check(data: Path, /, *, json: Json = None) -> None:
    """Look through a data set: counts, and everything that is wrong; exit code 2 if anything is.

    Args:
        data: a data.yaml.
        json: write the report here as JSON, too; - is stdout.
    """
    check_target(json)
    report = check_dataset(load_dataset(data))
    lines = [
        f"{problem.file}:{problem.line}: {problem.text}"
        if problem.line
        else f"{problem.file}: {problem.text}"
        for problem in report.problems
    ]
    show(report.to_dict(), Group(table(_figures(report.rows())), *lines), json)
    if report.problems:
        raise DataError(f"{data}: {len(report.problems)} problems; mend the files listed")


def _figures(rows: Sequence[dict[str, object]]) -> list[dict[str, object]]:
    """One row per figure and one column per split: there are more figures than a terminal has columns."""
    names = dict.fromkeys(key for row in rows for key in row if key != "split")
    return [
        {"": name.replace("_", " "), **{str(row["split"]): _text(row.get(name, "–")) for row in rows}}
        for name in names
    ]


def _text(value: object) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key} {number:,}" for key, number in value.items())
    return f"{value:,}" if isinstance(value, int) else str(value)
