"""Page of a study: means and deviations over the seeds in a table and a chart, and the common options."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from seyolo.errors import UsageError, counted
from seyolo.json_files import read_json
from seyolo.options.study import UNUSED, VARIED, StudyOptions
from seyolo.report.figures.study import study_figure, write_study_chart
from seyolo.report.pages.parts import Grid, chart, setting_text
from seyolo.report.pages.rendering import PAGE_ENDINGS
from seyolo.report.record import check_links, slim_settings
from seyolo.report.tables.fitting import FittingTable
from seyolo.report.tables.study import (
    explanations,
    splits_of,
    study_cells,
    study_notes,
    study_table,
    write_networks,
    write_study_tables,
)
from seyolo.report.verdict import LEARNED_AP50
from seyolo.study_results import STUDY_FILE, StudyRow, stored_results, study_rows

TABLES = {
    "networks.csv": "a row for each network",
    "study.csv": "every mean and deviation",
    "study.md": "the table as Markdown",
    "study.tex": "the table as LaTeX",
    "study.png": "the chart",
    "study.pdf": "the chart as a vector file",
}


@dataclass(frozen=True)
class Stored:
    """The content of study.json that a page needs."""

    study: StudyOptions
    slim: dict[str, Any]


def is_study(folder: Path) -> bool:
    """Tells whether a folder is that of a study."""
    return (folder / STUDY_FILE).is_file()


def write_tables(folder: Path) -> tuple[FittingTable, list[str]]:
    """Writes tables and chart of the networks that are there; returns the table for a terminal, and remarks.

    The remarks explain the table, name the networks that are missing, and the command that goes on.

    Raises:
        UsageError, TrainingError: as `study_context`.
    """
    axes = read_json(folder / STUDY_FILE, Stored).study
    rows, missing = write_study(folder, axes)
    if not rows:
        raise _nothing_done(folder)
    said = [f"missing: {', '.join(missing)}; {_go_on(folder)}"] if missing else []
    return study_table(rows, len(axes.seeds)), [*study_notes(rows), *said]


def write_study(folder: Path, axes: StudyOptions) -> tuple[list[StudyRow], list[str]]:
    """Writes tables and chart of the networks that are there; returns the rows, and the missing by name.

    Raises:
        TrainingError: a result is damaged; the message names its file.
    """
    networks, missing = stored_results(folder, axes)
    rows = study_rows(networks)
    if rows:
        write_networks(networks, folder)
        write_study_tables(rows, folder, len(axes.seeds))
        write_study_chart(rows, folder)
    return rows, missing


def check_page(folder: Path, out: Path) -> None:
    """Refuses a path that does not end as a page; the message names the file of the study that is meant."""
    if out.suffix.lower() not in PAGE_ENDINGS:
        file = folder / f"study{out.suffix.lower()}"
        named = f"{TABLES.get(file.name)} is {file}"
        there = named if file.name in TABLES else f"in {folder} are {', '.join(TABLES)}"
        raise UsageError(f"--out {out}: --out of a study is its page, .html; {there}")


def _nothing_done(folder: Path) -> UsageError:
    return UsageError(f"{folder}: no network of this study is done yet; {_go_on(folder)}")


def _go_on(folder: Path) -> str:
    return f"go on with: seyolo study --resume {folder}"


def study_context(folder: Path) -> dict[str, Any]:
    """Returns the values of the template.

    Raises:
        UsageError: no network of the study is done yet.
        TrainingError: a file of it is damaged, or a link to a file elsewhere.
    """
    check_links(folder)
    stored = read_json(folder / STUDY_FILE, Stored)
    axes = stored.study
    networks, missing = stored_results(folder, axes)
    if not networks:
        raise _nothing_done(folder)
    rows = study_rows(networks)
    said = [f"{counted(len(missing), 'network')} missing; {_go_on(folder)}"] if missing else []
    header, *body = study_cells(rows, len(axes.seeds), splits_of(rows))
    return {
        "version": "",
        "eyebrow": f"seyolo study · {folder.resolve().name}",
        "headline": f"{counted(len(networks), 'network')}: gates {', '.join(axes.gates)}",
        "lead": f"{stored.slim.get('model')} on {stored.slim.get('data')}, dense and pruned to "
        f"{', '.join(axes.budgets)}; {counted(len(axes.seeds), 'seed')}.",
        "warnings": said + _cautions(rows, axes.seeds),
        "table": Grid(header, body, note="; ".join(["AP is from 0 to 1", *explanations(rows)]) + "."),
        "chart_item": chart(study_figure(rows), "AP by gate and place, a colour for each budget"),
        "settings": _settings(stored.slim),
        "files": [(name, text) for name, text in TABLES.items() if (folder / name).is_file()],
    }


def _settings(values: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Returns the options that all networks have in common; those of gates only vary."""
    found = slim_settings(values)
    return [(name, setting_text(value)) for name, value in found.items() if name not in (*VARIED, *UNUSED)]


def _cautions(rows: Sequence[StudyRow], seeds: Sequence[int]) -> list[str]:
    """Returns what to know before the figures."""
    best = max((spread.mean for row in rows for spread in row.ap50.values()), default=0.0)
    found = []
    if best < LEARNED_AP50:
        found.append(
            f"No network has learned: AP@0.5 is {best:.3f} at most; from {LEARNED_AP50} on one is of use."
        )
    if len(seeds) == 1:
        found.append("One seed tells little: another one changes AP by up to a point.")
    return found
