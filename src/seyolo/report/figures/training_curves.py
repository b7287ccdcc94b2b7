"""Training loss and validation AP over the epochs: curves.png."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from seyolo.report.figures.style import (
    FAINT,
    INK,
    SPLITS,
    LineEnd,
    label_ends,
    name_span,
    new_figure,
    save,
    style,
)

LOSS_COLUMNS = ("box", "objectness", "classes")

Row = Mapping[str, object]
"""A line of `results.csv`: numbers or their text, empty or absent where nothing was measured."""


def plot_training_curves(stages: Mapping[str, Sequence[Row]], path: str | Path) -> None:
    """Writes `training_curves_figure` to `path`."""
    save(training_curves_figure(stages), path)


def training_curves_figure(stages: Mapping[str, Sequence[Row]], width_inches: float = 8.6) -> Figure:
    """Draws training loss and validation AP over all epochs, the stages one after the other.

    Args:
        stages: rows of each stage's `results.csv`, in order. The loss is the sum of the columns `box`,
            `objectness` and `classes`; every column whose name ends in `_ap` becomes a line.
        width_inches: of the figure.
    """
    starts = [0, *np.cumsum([len(rows) for rows in stages.values()]).tolist()]
    figure = new_figure(width_inches, 5.2, "Training loss and validation AP")
    upper, lower = figure.subplots(2, 1, sharex=True)
    for axes in (upper, lower):
        style(axes)
        for start in starts[1:-1]:
            axes.axvline(start + 0.5, color=FAINT, linewidth=0.8, linestyle=(0, (2, 2)))
    for name, first, last in zip(stages, starts, starts[1:], strict=False):
        name_span(upper, name, first + 0.5, last + 0.5)
    _draw_loss(upper, stages, starts)
    _draw_scores(lower, stages, starts)
    lower.set_xlim(0.5, max(starts[-1], 1) + 0.5)
    lower.xaxis.set_major_locator(MaxNLocator(integer=True, steps=[1, 2, 5, 10], min_n_ticks=1))
    lower.set_xlabel("epoch")
    return figure


def _draw_loss(axes: Axes, stages: Mapping[str, Sequence[Row]], starts: Sequence[int]) -> None:
    for rows, start in zip(stages.values(), starts, strict=False):
        parts = [[_number(row.get(column)) for row in rows] for column in LOSS_COLUMNS]
        epochs = start + 1 + np.arange(len(rows))
        axes.plot(
            epochs, np.sum(parts, axis=0), color=INK, linewidth=1.6, marker="o" if len(rows) < 3 else ""
        )
    axes.set_ylim(bottom=0)
    axes.set_ylabel("training loss")


def _draw_scores(axes: Axes, stages: Mapping[str, Sequence[Row]], starts: Sequence[int]) -> None:
    columns = dict.fromkeys(
        key for rows in stages.values() for row in rows for key in row if key.endswith("_ap")
    )
    ends: list[LineEnd] = []
    for index, column in enumerate(columns):
        colour = SPLITS[index % len(SPLITS)]
        for rows, start in zip(stages.values(), starts, strict=False):
            scores = np.array([_number(row.get(column)) for row in rows])
            measured = np.flatnonzero(np.isfinite(scores))
            if len(measured):
                x, y = start + 1 + measured, scores[measured]
                axes.plot(x, y, color=colour, linewidth=1.6, marker="o", markersize=3)
                ends = [end for end in ends if end[3] != colour]
                ends.append((float(x[-1]), float(y[-1]), f"{column.removesuffix('_ap')} {y[-1]:.3f}", colour))
    axes.set_ylim(0, 1)
    axes.set_ylabel("AP")
    label_ends(axes, ends, gap=0.09)


def _number(value: object) -> float:
    """Reads a number or its text; nan for an empty or absent value."""
    return float(value) if isinstance(value, int | float) or (isinstance(value, str) and value) else math.nan
