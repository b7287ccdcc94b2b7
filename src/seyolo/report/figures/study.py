"""Chart of `study`: AP of every kind of gate and place, one colour for each budget."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

from matplotlib.figure import Figure

from seyolo.report.figures.style import DENSE, GRID, SLIM, SPLITS, legend_above, new_panel, save
from seyolo.report.tables.slim import shown_split
from seyolo.report.tables.study import splits_of
from seyolo.study_results import StudyRow

COLOURS = (DENSE, SLIM, *SPLITS)
WIDTH_INCHES, HEADER_INCHES, LINE_INCHES = 6.4, 1.5, 0.34
SPREAD = 0.5  # of a line's height, over which its budgets lie


def write_study_chart(rows: Sequence[StudyRow], folder: Path) -> None:
    """Writes `study_figure` to study.png and study.pdf in a folder."""
    for ending in ("png", "pdf"):
        save(study_figure(rows), folder / f"study.{ending}")


def study_figure(rows: Sequence[StudyRow]) -> Figure:
    """Draws mean and deviation over the seeds on the split `test`, or the last."""
    split = shown_split(splits_of(rows))
    names = list(dict.fromkeys(row.variant.gates for row in rows))
    budgets = list(dict.fromkeys(row.variant.budget for row in rows))
    height = HEADER_INCHES + LINE_INCHES * len(names)
    figure, axes = new_panel(WIDTH_INCHES, height, f"AP on {split}: mean and deviation over the seeds")
    for number, budget in enumerate(budgets):
        shift = SPREAD * ((number + 0.5) / len(budgets) - 0.5)
        points = [row for row in rows if row.variant.budget == budget and split in row.ap]
        deviations = [row.ap[split].deviation for row in points]
        axes.errorbar(
            [row.ap[split].mean for row in points],
            [names.index(row.variant.gates) + shift for row in points],
            xerr=[0.0 if math.isnan(deviation) else deviation for deviation in deviations],
            color=COLOURS[number % len(COLOURS)],
            marker="o",
            markersize=5,
            linestyle="none",
            label=budget,
        )
    axes.set_yticks(range(len(names)), names)
    axes.set_ylim(len(names) - 0.5, -0.5)
    axes.grid(axis="x", color=GRID, linewidth=0.8)
    axes.set_xlabel("AP")
    legend_above(axes, columns=len(budgets))
    return figure
