"""Charts of what networks reach: precision and recall, AP against cost, and |γ| in the course of training."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap, to_rgba
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator, NullFormatter

from seyolo.evaluation.curves import CONFIDENCES, RECALLS, Curves
from seyolo.report.figures.plots import NUM_BINS, SMALLEST_SCALE, Row
from seyolo.report.figures.style import (
    DENSE,
    FAINT,
    INK,
    PAPER,
    SLIM,
    SPLITS,
    LineEnd,
    legend_above,
    new_figure,
    save,
    style,
)

PANEL_INCHES = (4.6, 3.5)
LEGEND_TEXT = 8.5
MARKER_WIDTH, LETTER_WIDTH, NAME_HEIGHT = 0.05, 0.022, 0.075
"""Of a chart: how much room a point and its name take."""
SERIES = (SLIM, DENSE, *SPLITS)

Role = Literal["dense", "stage", "slim", "control"]


@dataclass(frozen=True)
class CostPoint:
    """A network in a chart of AP against cost.

    Attributes:
        name: stands beside the point.
        cost: MACs or milliseconds.
        ap: COCO AP.
        role: what it is in its run.
    """

    name: str
    cost: float
    ap: float
    role: Role


@dataclass(frozen=True)
class Series:
    """The networks of one run in a chart of several: (cost, AP), the dense one first."""

    name: str
    points: Sequence[tuple[float, float]]


def plot_detection_curves(curves: Mapping[str, Curves], folder: Path) -> None:
    """Writes precision_recall.png and confidence.png of one detector.

    Args:
        curves: by split.
        folder: the images come here.
    """
    lines = {split: (one, SPLITS[index % len(SPLITS)]) for index, (split, one) in enumerate(curves.items())}
    save(precision_recall_figure(lines, "Precision over recall"), folder / "precision_recall.png")
    save(confidence_figure(curves, "Precision, recall and F1 over confidence"), folder / "confidence.png")


def precision_recall_figure(lines: Mapping[str, tuple[Curves, str]], title: str) -> Figure:
    """Precision over recall at IoU 0.5, and dashed at 0.75.

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
    """Precision, recall and F1 over the confidence from which detections are shown, a panel per split."""
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


def cost_figure(
    points: Sequence[CostPoint], cost_text: Callable[[float], str], label: str, title: str
) -> Figure:
    """AP against MACs or milliseconds; what a run's stages have in common is a line through them.

    Args:
        points: stages in order, then what is compared with them.
        cost_text: a cost with its unit.
        label: of the axis of costs.
        title: of the figure.
    """
    figure = new_figure(*PANEL_INCHES, title)
    axes = figure.subplots()
    stages = [(point.cost, point.ap) for point in points if point.role != "control"]
    axes.plot(*zip(*stages, strict=True), color=FAINT, linewidth=0.9, linestyle=(0, (2, 2)))
    for point in points:
        _draw_point(axes, point)
    _prepare_costs(axes, [(point.cost, point.ap) for point in points], cost_text, label)
    _name_points(axes, [(point.cost, point.ap, point.name, INK) for point in points], (8, 0))
    return figure


def comparison_figure(
    runs: Sequence[Series], cost_text: Callable[[float], str], label: str, title: str
) -> Figure:
    """AP against MACs or milliseconds of several runs, each from its dense network, open, to its slim one.

    Args:
        runs: each has its colour by its place; one without points is left out.
        cost_text, label, title: as in `cost_figure`.
    """
    figure = new_figure(*PANEL_INCHES, title)
    axes = figure.subplots()
    ends: list[LineEnd] = []
    for index, run in enumerate(runs):
        if not run.points:
            continue
        colour = SERIES[index % len(SERIES)]
        axes.plot(*zip(*run.points, strict=True), color=colour, linewidth=1.1)
        faces = [*[PAPER] * (len(run.points) - 1), colour]
        costs, scores = zip(*run.points, strict=True)
        axes.scatter(costs, scores, s=44, facecolor=faces, edgecolor=colour, zorder=3)
        ends.append((*run.points[-1], run.name, colour))
    _prepare_costs(axes, [point for run in runs for point in run.points], cost_text, label)
    _name_points(axes, ends, (-2, 11))
    return figure


def plot_scales_over_time(rows: Sequence[Row], path: str | Path) -> None:
    """Writes `scales_over_time_figure` to `path`."""
    save(scales_over_time_figure(rows), path)


def scales_over_time_figure(rows: Sequence[Row], width_inches: float = 7.4) -> Figure:
    """How |γ| are spread after every epoch of sparsity training: the darker, the more channels.

    Args:
        rows: of `scales.csv`: epoch, and the percentiles p0, p5 and so on to p100. All at or below 1e-5,
            zeros too, lie there.
        width_inches: of the figure.
    """
    names = [name for name in rows[0] if name != "epoch"]
    epochs = np.array([float(str(row["epoch"])) for row in rows])
    values = np.array([[float(str(row[name])) for name in names] for row in rows])
    shown = np.clip(values, SMALLEST_SCALE, None)
    figure = new_figure(width_inches, 3.7, "|BN scale| of the channels over the epochs of sparsity training")
    axes = figure.subplots()
    style(axes)
    edges = np.geomspace(shown.min() / 1.1, shown.max() * 1.1, NUM_BINS + 1)
    shares = np.linspace(0, 1, len(names))
    below = np.array([np.interp(edges, percentiles, shares, left=0, right=1) for percentiles in shown])
    sides = np.append(epochs - 0.5, epochs[-1] + 0.5)
    heat = LinearSegmentedColormap.from_list("heat", [to_rgba(SLIM, 0), to_rgba(SLIM, 1)])
    # Of a few channels in a wide range a linear scale would show nothing.
    axes.pcolormesh(sides, edges, np.diff(below, axis=1).T ** 0.5, cmap=heat, vmin=0, rasterized=True)
    for index in (1, len(names) // 2, len(names) - 2):
        text = f"{names[index].removeprefix('p')} %"
        axes.plot(epochs, shown[:, index], color=INK, linewidth=0.8, linestyle=(0, (3, 2)))
        _name(axes, text, (sides[-1], shown[-1, index]), INK, (4, 0))
    axes.set_yscale("log")
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.yaxis.set_minor_formatter(NullFormatter())
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    axes.set_xlabel("epoch")
    axes.set_ylabel("|BN scale|, log scale")
    return figure


def _prepare_shares(axes: Axes, x_label: str, y_label: str) -> None:
    """Both axes from 0 to 1."""
    style(axes)
    axes.set_xlim(0, 1)
    axes.set_ylim(0, 1.02)
    axes.set_xlabel(x_label)
    axes.set_ylabel(y_label)


def _prepare_costs(
    axes: Axes, points: Sequence[tuple[float, float]], cost_text: Callable[[float], str], label: str
) -> None:
    """Costs from 0 with room for names to the right, AP around the points."""
    style(axes)
    costs, scores = zip(*points, strict=True)
    margin = max(0.01, 0.14 * (max(scores) - min(scores)))
    axes.set_xlim(0, 1.28 * max(costs))
    axes.set_ylim(min(scores) - margin, max(scores) + margin)
    axes.xaxis.set_major_locator(MaxNLocator(4))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: cost_text(value) if value else "0"))
    axes.yaxis.set_major_locator(MaxNLocator(5))
    axes.set_xlabel(label)
    axes.set_ylabel("AP")


def _draw_point(axes: Axes, point: CostPoint) -> None:
    colour = {"dense": DENSE, "stage": FAINT, "slim": SLIM, "control": SPLITS[2]}[point.role]
    is_main = point.role in ("dense", "slim")
    axes.scatter(
        point.cost,
        point.ap,
        s=64 if is_main else 30,
        facecolor=PAPER if point.role == "stage" else colour,
        edgecolor=colour,
        linewidth=1.3,
        zorder=4 if is_main else 3,
        marker="D" if point.role == "control" else "o",
    )


def _name_points(axes: Axes, points: Sequence[LineEnd], offset: tuple[int, int]) -> None:
    """Names beside the points, an offset in typographic points away; moved up where they would overlap."""
    width, height = axes.get_xlim()[1], float(np.ptp(axes.get_ylim()))
    placed: list[tuple[float, float, float]] = []
    for x, score, name, colour in sorted(points, key=lambda point: point[1]):
        right, y = x + width * (MARKER_WIDTH + LETTER_WIDTH * len(name)), score
        for other_left, other_right, taken in placed:
            if other_left < right and x < other_right and y - taken < NAME_HEIGHT * height:
                y = taken + NAME_HEIGHT * height
        placed.append((x, right, y))
        _name(axes, name, (x, y), colour, offset)


def _name(axes: Axes, text: str, place: tuple[float, float], colour: str, offset: tuple[int, int]) -> None:
    axes.annotate(
        text,
        place,
        offset,
        textcoords="offset points",
        va="center",
        fontsize=LEGEND_TEXT,
        color=colour,
        annotation_clip=False,  # a name that was moved up may stand above the axes
    )
