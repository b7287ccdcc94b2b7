"""Precision over recall, and precision, recall and F1 over the confidence threshold."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from seyolo.evaluation.curves import CONFIDENCES, Curves
from seyolo.evaluation.matching import RECALLS
from seyolo.report.figures.style import (
    FAINT,
    INK,
    PANEL_INCHES,
    SPLITS,
    legend_above,
    new_figure,
    save,
    style,
)


def plot_detection_curves(curves: Mapping[str, Curves], folder: Path) -> None:
    """Writes precision_recall.png and confidence.png of one detector.

    Args:
        curves: by split.
        folder: of the two files.
    """
    lines = {split: (one, SPLITS[index % len(SPLITS)]) for index, (split, one) in enumerate(curves.items())}
    save(precision_recall_figure(lines, "Precision over recall"), folder / "precision_recall.png")
    save(confidence_figure(curves, "Precision, recall and F1 over confidence"), folder / "confidence.png")


def precision_recall_figure(lines: Mapping[str, tuple[Curves, str]], title: str) -> Figure:
    """Draws precision over recall at IoU 0.5, and dashed at 0.75.

    Args:
        lines: curves and colour by name.
        title: of the figure.
    """
    figure = new_figure(*PANEL_INCHES, title)
    axes = figure.subplots()
    _prepare_shares(axes, "recall", "precision")
    for name, (curves, colour) in lines.items():
        for points, dashes in ((curves.precision50, "-"), (curves.precision75, (0, (4, 2)))):
            axes.plot(RECALLS, points, color=colour, linewidth=1.6, linestyle=dashes)
        label = f"{name}: AP@0.5 {curves.precision50.mean():.3f}, AP@0.75 {curves.precision75.mean():.3f}"
        axes.plot([], [], color=colour, linewidth=1.6, label=label)
    legend_above(axes)
    return figure


def confidence_figure(curves: Mapping[str, Curves], title: str) -> Figure:
    """Draws precision, recall and F1 over the confidence threshold, a panel per split."""
    width, height = PANEL_INCHES
    figure = new_figure(width * len(curves), height, title)
    for axes, (split, one) in zip(
        figure.subplots(1, len(curves), squeeze=False)[0], curves.items(), strict=True
    ):
        _prepare_shares(axes, "confidence", "")
        columns = (("precision", SPLITS[1]), ("recall", SPLITS[0]), ("f1", INK))
        for name, colour in columns:
            label = "F1" if name == "f1" else name
            axes.plot(CONFIDENCES, getattr(one, name), color=colour, linewidth=1.6, label=label)
        best = one.best_confidence
        axes.axvline(best, color=FAINT, linewidth=0.8, linestyle=(0, (2, 2)))
        legend_above(axes, f"{split}: F1 {one.f1.max():.3f} at {best:.2f}", columns=3)
    return figure


def _prepare_shares(axes: Axes, x_label: str, y_label: str) -> None:
    """Sets both axes from 0 to 1."""
    style(axes)
    axes.set_xlim(0, 1)
    axes.set_ylim(0, 1.02)
    axes.set_xlabel(x_label)
    axes.set_ylabel(y_label)
