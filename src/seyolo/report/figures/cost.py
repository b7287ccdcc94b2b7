"""AP against MACs or latency of one run, of several runs, and of models with their Pareto front."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullLocator

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
    new_panel,
    save,
)

MARKER_WIDTH, LETTER_WIDTH, NAME_HEIGHT = 0.05, 0.022, 0.075
"""Room for a point and its name, relative to the axes."""
LABEL_GAP, LABEL_OFFSET, LABEL_LETTER_WIDTH = 0.055, 0.015, 0.0125
"""Names of models: their distance, distance from the point, width of a letter; relative to the axes."""
LEADER = {"arrowstyle": "-", "color": FAINT, "linewidth": 0.6, "relpos": (0.0, 0.5), "shrinkA": 1.0}
LABEL_STEPS = (0, 1, -1, 2, -2, 3, -3, 4, -4)
SERIES = (SLIM, DENSE, *SPLITS)

Role = Literal["dense", "stage", "slim", "control"]


@dataclass(frozen=True)
class CostPoint:
    """A network in a chart of COCO AP against MACs or milliseconds; `role` decides colour and marker."""

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

    `points` are the stages in order, then the controls; `label` names the axis of costs, whose ticks
    `cost_text` formats with their unit.
    """
    figure, axes = new_panel(*PANEL_INCHES, title)
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
    """Draws a line from the dense to the slim network of each run; one without points is left out."""
    figure, axes = new_panel(*PANEL_INCHES, title)
    ends: list[LineEnd] = []
    for run, colour in zip(runs, cycle(SERIES), strict=False):
        if not run.points:
            continue
        costs, scores = zip(*run.points, strict=True)
        axes.plot(costs, scores, color=colour, linewidth=1.1)
        faces = [*[PAPER] * (len(run.points) - 1), colour]
        axes.scatter(costs, scores, s=44, facecolor=faces, edgecolor=colour, zorder=3)
        ends.append((*run.points[-1], run.name, colour))
    _prepare_costs(axes, [point for run in runs for point in run.points], cost_text, label)
    _name_points(axes, ends, (-2, 11))
    return figure


def _prepare_costs(
    axes: Axes, points: Sequence[tuple[float, float]], cost_text: Callable[[float], str], label: str
) -> None:
    """Sets the axes: costs from 0 with room for names to the right, AP around the points."""
    costs, scores = zip(*points, strict=True)
    margin = max(0.01, 0.14 * (max(scores) - min(scores)))
    axes.set(xlim=(0, 1.28 * max(costs)), ylim=(min(scores) - margin, max(scores) + margin))
    axes.set(xlabel=label, ylabel="AP")
    axes.xaxis.set_major_locator(MaxNLocator(4))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: cost_text(value) if value else "0"))
    axes.yaxis.set_major_locator(MaxNLocator(5))


def _draw_point(axes: Axes, point: CostPoint) -> None:
    colour = {"dense": DENSE, "stage": FAINT, "slim": SLIM, "control": SPLITS[2]}[point.role]
    is_main = point.role in ("dense", "slim")
    size, order = (64, 4) if is_main else (30, 3)
    face = PAPER if point.role == "stage" else colour
    marker: dict[str, Any] = {"marker": "D" if point.role == "control" else "o", "s": size, "zorder": order}
    axes.scatter(point.cost, point.ap, facecolor=face, edgecolor=colour, linewidth=1.3, **marker)


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


class Point(NamedTuple):
    """A model: its name, the median milliseconds of an image and its AP in [0, 1]."""

    name: str
    latency_ms: float
    ap: float


def pareto_front(points: Sequence[Point]) -> list[Point]:
    """Returns the points that no other beats in both latency and AP, fastest first."""
    front: list[Point] = []
    for point in sorted(points, key=lambda point: (point.latency_ms, -point.ap)):
        if not front or point.ap > front[-1].ap:  # no faster model has as high an AP
            front.append(point)
    return front


def plot_pareto(points: Sequence[Point], split: str, path: str | Path) -> None:
    """Writes a chart of the models, at least one, with a line through their Pareto front."""
    front = pareto_front(points)
    title = f"AP on {split} against latency: {len(front)} of {len(points)} on the front"
    figure, axes = new_panel(7.4, 4.4, title)
    _, costs, scores = zip(*front, strict=True)
    axes.plot(costs, scores, "o-", color=SLIM, linewidth=1.6, markersize=6, drawstyle="steps-post", zorder=3)
    beaten = [(point.latency_ms, point.ap) for point in points if point not in front]
    x, y = np.reshape(beaten, (-1, 2)).T
    axes.scatter(x, y, s=30, facecolor="white", edgecolor=FAINT, zorder=2)
    _prepare_latencies(axes, points)
    _name_models(axes, points, front)
    axes.set(xlabel="milliseconds per image (p50 with pre- and post-processing), log scale", ylabel="AP")
    save(figure, path)


def _prepare_latencies(axes: Axes, points: Sequence[Point]) -> None:
    """Sets the axes, with room to the right of the points for their names."""
    _, latencies, scores = zip(*points, strict=True)
    axes.set_xscale("log")
    axes.set_xlim(min(latencies) / 1.15, max(latencies) * max(2.0, (max(latencies) / min(latencies)) ** 0.5))
    margin = max(0.02, 0.15 * (max(scores) - min(scores)))
    axes.set_ylim(min(scores) - margin, max(scores) + margin)
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 1.5, 2, 3, 5, 7)))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.xaxis.set_minor_locator(NullLocator())


def _name_models(axes: Axes, points: Sequence[Point], front: Sequence[Point]) -> None:
    """Writes names right of the points, at the nearest free height; a line joins a name that was moved."""
    positions = [_position(axes, point) for point in points]
    taken = [(x - LABEL_OFFSET, x + LABEL_OFFSET, y) for x, y in positions]
    for point, (x, y) in sorted(zip(points, positions, strict=True), key=lambda pair: pair[0] not in front):
        left, right = x + LABEL_OFFSET, x + LABEL_OFFSET + LABEL_LETTER_WIDTH * len(point.name)
        heights = (y + step * LABEL_GAP for step in LABEL_STEPS)
        height = next((height for height in heights if not _is_taken(left, right, height, taken)), y)
        taken.append((left, right, height))
        style: dict[str, Any] = {"va": "center", "fontsize": 8.5, "color": INK if point in front else FAINT}
        leader = LEADER if height != y else None
        axes.annotate(point.name, (x, y), (left, height), "axes fraction", arrowprops=leader, **style)


def _position(axes: Axes, point: Point) -> tuple[float, float]:
    """Returns the position of a point, relative to the axes."""
    x, y = axes.transAxes.inverted().transform(axes.transData.transform((point.latency_ms, point.ap)))
    return float(x), float(y)


def _is_taken(left: float, right: float, height: float, taken: Sequence[tuple[float, float, float]]) -> bool:
    return any(
        left < other_right and other_left < right and abs(height - other) < 0.9 * LABEL_GAP
        for other_left, other_right, other in taken
    )
