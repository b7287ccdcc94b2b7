"""Curves of training (loss and AP) and detection (precision, recall and F1)."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import cycle
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from seyolo.evaluation.curves import CONFIDENCES, Curves
from seyolo.evaluation.matching import RECALLS
from seyolo.report.figures.labels import name_ends, name_spans
from seyolo.report.figures.style import (
    FAINT,
    INK,
    PANEL_INCHES,
    SERIES,
    SPLITS,
    fit_scores,
    legend_above,
    new_figure,
    new_panel,
    save,
    style,
)
from seyolo.results import STAGE_TITLES, epochs_of, is_start

LOSS_COLUMNS = ("box", "objectness", "classes")

Row = Mapping[str, object]
"""A line of `results.csv`: numbers or their text, empty or absent where nothing was measured."""


def plot_training_curves(stages: Mapping[str, Sequence[Row]], path: str | Path) -> None:
    """Writes `training_curves_figure` to `path`."""
    save(training_curves_figure(stages), path)


def training_curves_figure(stages: Mapping[str, Sequence[Row]]) -> Figure:
    """Draws training loss and validation AP over all epochs, the stages one after the other.

    The loss is the sum of the columns `box`, `objectness` and `classes` of each stage's `results.csv`; every
    column whose name ends in `_ap` becomes a line, named with its last and its best AP of the last stage.
    """
    starts = [0, *np.cumsum([len(epochs_of(rows)) for rows in stages.values()]).tolist()]
    figure = new_figure(8.6, 5.2, "Training loss and validation AP")
    upper, lower = figure.subplots(2, 1, sharex=True)
    for axes in (upper, lower):
        style(axes)
        for start in starts[1:-1]:
            axes.axvline(start + 0.5, color=FAINT, linewidth=0.8, linestyle=(0, (2, 2)))
    _draw_loss(upper, stages, starts)
    lower.set(xlim=(0.5, max(starts[-1], 1) + 0.5), xlabel="epoch")
    lower.xaxis.set_major_locator(MaxNLocator(integer=True, steps=[1, 2, 5, 10], min_n_ticks=1))
    _draw_scores(lower, stages, starts)
    spans = zip(stages, starts, starts[1:], strict=False)
    name_spans(upper, [(STAGE_TITLES.get(name, name), a + 0.5, b + 0.5) for name, a, b in spans])
    return figure


def _draw_loss(axes: Axes, stages: Mapping[str, Sequence[Row]], starts: Sequence[int]) -> None:
    for rows, start in zip(map(epochs_of, stages.values()), starts, strict=False):
        parts = [[_number(row.get(column)) for row in rows] for column in LOSS_COLUMNS]
        epochs, marker = start + 1 + np.arange(len(rows)), "o" if len(rows) < 3 else ""
        axes.plot(epochs, np.sum(parts, axis=0), color=INK, linewidth=1.6, marker=marker)
    axes.set(ylim=(0, None), ylabel="training loss")


def _draw_scores(axes: Axes, stages: Mapping[str, Sequence[Row]], starts: Sequence[int]) -> None:
    keys = (key for rows in stages.values() for row in rows for key in row)
    columns = dict.fromkeys(key for key in keys if key.endswith("_ap"))
    ends: dict[str, tuple[float, str, str]] = {}
    shown: list[float] = []
    for index, column in enumerate(columns):
        colour = SPLITS[index % len(SPLITS)]
        for rows, start in zip(stages.values(), starts, strict=False):
            scores = np.array([_number(row.get(column)) for row in rows])
            measured = np.flatnonzero(np.isfinite(scores))
            if len(measured):
                x, y = start + _places(rows)[measured], scores[measured]
                axes.plot(x, y, color=colour, linewidth=1.6, marker="o", markersize=3)
                shown += y.tolist()
                word = "start" if is_start(rows[measured[y.argmax()]]) else "best"
                best = f", {word} {y.max():.3f}" if y.max() > y[-1] else ""
                ends[column] = float(y[-1]), f"{column.removesuffix('_ap')} {y[-1]:.3f}{best}", colour
    fit_scores(axes, shown)
    name_ends(axes, list(ends.values()))


def epochs_figure(lines: Mapping[str, Sequence[Row]], split: str) -> Figure:
    """Draws AP on a split by epoch, a line for each run."""
    figure, axes = new_panel(*PANEL_INCHES, f"AP on {split} by epoch")
    ends: list[tuple[float, str, str]] = []
    shown: list[float] = []
    for (name, rows), colour in zip(lines.items(), cycle(SERIES), strict=False):
        scores = (_number(row.get(f"{split}_ap")) for row in rows)
        pairs = list(zip(_places(rows).tolist(), scores, strict=True))
        if measured := [pair for pair in pairs if math.isfinite(pair[1])]:
            x, y = zip(*measured, strict=True)
            axes.plot(x, y, color=colour, linewidth=1.6, marker="o", markersize=3)
            shown += y
            ends.append((y[-1], name, colour))
    most = max(len(epochs_of(rows)) for rows in lines.values())
    axes.set(xlim=(0.5, most + 0.5), xlabel="epoch")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, steps=[1, 2, 5, 10], min_n_ticks=1))
    fit_scores(axes, shown)
    name_ends(axes, ends)
    return figure


def _places(rows: Sequence[Row]) -> np.ndarray:
    """Returns the places of rows on the axis of epochs; the start is at the edge before the first."""
    return np.maximum(np.arange(len(rows)) + 1 - sum(map(is_start, rows)), 0.5)


def _number(value: object) -> float:
    """Reads a number or its text; nan for an empty or absent value."""
    return float(value) if isinstance(value, int | float) or (isinstance(value, str) and value) else math.nan


def plot_detection_curves(curves: Mapping[str, Curves], folder: Path) -> None:
    """Writes precision_recall.png and confidence.png of one detector into `folder`; `curves` are by split."""
    save(splits_figure(curves), folder / "precision_recall.png")
    save(confidence_figure(curves, "Precision, recall and F1 over confidence"), folder / "confidence.png")


def splits_figure(curves: Mapping[str, Curves]) -> Figure:
    """Draws precision over recall of one detector on every split."""
    lines = {split: (one, SPLITS[index % len(SPLITS)]) for index, (split, one) in enumerate(curves.items())}
    return precision_recall_figure(lines, "Precision over recall")


def precision_recall_figure(lines: Mapping[str, tuple[Curves, str]], title: str) -> Figure:
    """Draws precision over recall at IoU 0.5, and dashed at 0.75; `lines` are curves and colour by name."""
    figure, axes = new_panel(*PANEL_INCHES, title)
    _prepare_shares(axes, "recall", "precision")
    for name, (curves, colour) in lines.items():
        for points, dashes in ((curves.precision50, "-"), (curves.precision75, (0, (4, 2)))):
            axes.plot(RECALLS, points, color=colour, linewidth=1.6, linestyle=dashes)
        label = f"{name}: AP@0.5 {curves.precision50.mean():.3f}, AP@0.75 {curves.precision75.mean():.3f}"
        axes.plot([], [], color=colour, linewidth=1.6, label=label)
    legend_above(axes)
    return figure


def confidence_figure(curves: Mapping[str, Curves], title: str) -> Figure:
    """Draws precision, recall and F1 over the confidence threshold, a panel per split.

    Precision ends at the highest score.
    """
    width, height = PANEL_INCHES
    figure = new_figure(width * len(curves), height, title)
    panels = figure.subplots(1, len(curves), squeeze=False)[0]
    for axes, (split, one) in zip(panels, curves.items(), strict=True):
        style(axes)
        _prepare_shares(axes, "confidence", "")
        is_empty = (one.precision == 1) & (one.recall == 0)  # above every score
        lines = (
            ("precision", np.where(is_empty, np.nan, one.precision)),
            ("recall", one.recall),
            ("F1", one.f1),
        )
        for (label, points), colour in zip(lines, (SPLITS[1], SPLITS[0], INK), strict=True):
            axes.plot(CONFIDENCES, points, color=colour, linewidth=1.6, label=label)
        best = one.best_confidence
        axes.axvline(best, color=FAINT, linewidth=0.8, linestyle=(0, (2, 2)))
        legend_above(axes, f"{split}: F1 {one.f1.max():.3f} at {best:.2f}", columns=3)
    return figure


def _prepare_shares(axes: Axes, x_label: str, y_label: str) -> None:
    """Sets both axes from 0 to 1."""
    axes.set(xlim=(0, 1), ylim=(0, 1.02), xlabel=x_label, ylabel=y_label)
