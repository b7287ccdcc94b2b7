"""Page of a study: means and deviations over the seeds in a table and a chart, and the common options."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from seyolo.errors import UsageError, counted
from seyolo.json_files import read_json
from seyolo.options.study import StudyOptions
from seyolo.report.figures.study import study_figure
from seyolo.report.pages.parts import Grid, chart, setting_text
from seyolo.report.record import check_links, flat_settings
from seyolo.report.tables.study import splits_of, study_cells, study_note
from seyolo.report.verdict import LEARNED_AP50
from seyolo.study_results import STUDY_FILE, StudyRow, stored_results, study_rows

TABLES = {
    "networks.csv": "a row for each network",
    "study.csv": "every mean and deviation",
    "study.md": "the table as Markdown",
    "study.tex": "the table as LaTeX",
    "study.png": "the chart",
}


@dataclass(frozen=True)
class Stored:
    """The content of study.json that a page needs."""

    study: StudyOptions
    slim: dict[str, Any]


def is_study(folder: Path) -> bool:
    """Tells whether a folder is that of a study."""
    return (folder / STUDY_FILE).is_file()


def study_context(folder: Path) -> dict[str, Any]:
    """Returns the values of the template.

    Raises:
        UsageError: no network of the study is done yet.
        TrainingError: a file of it is damaged, or a link to a file elsewhere.
    """
    check_links(folder)
    stored = read_json(folder / STUDY_FILE, Stored)
    axes, go_on = stored.study, f"seyolo study --resume {folder}"
    networks, missing = stored_results(folder, axes)
    if not networks:
        raise UsageError(f"{folder}: no network of this study is done yet; go on with: {go_on}")
    rows = study_rows(networks)
    said = [f"{counted(len(missing), 'network')} missing; go on with: {go_on}"] if missing else []
    header, *body = study_cells(rows, len(axes.seeds), splits_of(rows))
    return {
        "version": "",
        "eyebrow": f"seyolo study · {folder.resolve().name}",
        "headline": f"{counted(len(networks), 'network')}: gates {', '.join(axes.gates)}",
        "lead": f"{stored.slim.get('model')} on {stored.slim.get('data')}, dense and pruned to "
        f"{', '.join(axes.budgets)}; {counted(len(axes.seeds), 'seed')}.",
        "warnings": said + _cautions(rows, axes.seeds),
        "table": Grid(header, body, note=f"AP is from 0 to 1; {study_note(rows)}."),
        "chart_item": chart(study_figure(rows), "AP by gate and place, a colour for each budget"),
        "settings": [(name, setting_text(value)) for name, value in flat_settings(stored.slim).items()],
        "files": [(name, text) for name, text in TABLES.items() if (folder / name).is_file()],
    }


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
