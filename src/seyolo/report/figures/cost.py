"""AP against MACs or latency: the stages and controls of one run, or several runs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

from seyolo.report.figures.style import (
    DENSE,
    FAINT,
    INK,
    PANEL_INCHES,
    PAPER,
    SLIM,
    SPLITS,
    LineEnd,
    name_point,
    new_figure,
    style,
)

MARKER_WIDTH, LETTER_WIDTH, NAME_HEIGHT = 0.05, 0.022, 0.075
"""Room for a point and its name, relative to the axes."""
SERIES = (SLIM, DENSE, *SPLITS)

Role = Literal["dense", "stage", "slim", "control"]


@dataclass(frozen=True)
class CostPoint:
    """A network in a chart of AP against cost.

    Attributes:
        name: printed beside the point.
        cost: MACs or milliseconds.
        ap: COCO AP.
        role: of the network in its run; it decides colour and marker.
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


def cost_figure(
    points: Sequence[CostPoint], cost_text: Callable[[float], str], label: str, title: str
) -> Figure:
    """Draws AP against MACs or milliseconds, with a line through the stages.

    Args:
        points: the stages in order, then the controls.
        cost_text: formats a cost with its unit.
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
    """Draws AP against MACs or milliseconds of several runs: a line from the dense network to the slim one.

    Args:
        runs: coloured in their order; one without points is left out.
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


def _prepare_costs(
    axes: Axes, points: Sequence[tuple[float, float]], cost_text: Callable[[float], str], label: str
) -> None:
    """Sets the axes: costs from 0 with room for names to the right, AP around the points."""
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
    """Writes names beside the points; moves a name up where it would overlap another."""
    width, height = axes.get_xlim()[1], float(np.ptp(axes.get_ylim()))
    placed: list[tuple[float, float, float]] = []
    for x, score, name, colour in sorted(points, key=lambda point: point[1]):
        right, y = x + width * (MARKER_WIDTH + LETTER_WIDTH * len(name)), score
        for other_left, other_right, taken in placed:
            if other_left < right and x < other_right and y - taken < NAME_HEIGHT * height:
                y = taken + NAME_HEIGHT * height
        placed.append((x, right, y))
        name_point(axes, name, (x, y), colour, offset)
