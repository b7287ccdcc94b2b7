"""`seyolo data check`: counts, and everything that is wrong."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from seyolo.commands.output import STDOUT, Json, check_target, print_readable, show, table
from seyolo.data.check import check_dataset
from seyolo.data.datasets import load_dataset
from seyolo.data.labels import Problem
from seyolo.errors import DataError


def check(data: Path, /, *, json: Json = None) -> None:
    """Look through a data set: counts, and everything that is wrong; exit code 2 if anything is.

    Args:
        data: a data.yaml, Darknet .data, COCO .json or VOC folder.
        json: write the report here as JSON, too; - is stdout.
    """
    check_target(json)
    report = check_dataset(load_dataset(data))
    show(report.to_dict(), table(_figures(report.rows())), json)
    if json != STDOUT and report.problems:
        print_readable("\n".join(map(_line, report.problems)))
    if report.problems:
        count = "one problem" if len(report.problems) == 1 else f"{len(report.problems)} problems"
        raise DataError(f"{data}: {count}; mend the files listed")


def _line(problem: Problem) -> str:
    place = f"{problem.file}:{problem.line}" if problem.line else str(problem.file)
    return f"{place}: {problem.text.removeprefix(f'{place}: ')}"


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
