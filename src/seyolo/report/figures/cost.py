"""AP against MACs or latency of one run, of several runs, and of models with their Pareto front."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import cycle, pairwise
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullLocator

from seyolo.errors import counted
from seyolo.report.figures.labels import Named, name_points
from seyolo.report.figures.style import (
    DENSE,
    FAINT,
    INK,
    PANEL_INCHES,
    PAPER,
    SERIES,
    SLIM,
    SPLITS,
    fit_scores,
    new_panel,
    save,
)

Role = Literal["dense", "stage", "slim", "control"]
NAMED_FIRST: tuple[Role, ...] = ("slim", "dense", "control", "stage")


@dataclass(frozen=True)
class CostPoint:
    """A network in a chart of COCO AP against MACs or milliseconds; `role` decides colour and marker."""

    name: str
    cost: float
    ap: float
    role: Role


@dataclass(frozen=True)
class Series:
    """The networks of a run, or of its repetitions: (cost, AP), the dense one first.

    `deviations` are the standard deviations of AP over seeds, 0 for a single run.
    """

    name: str
    points: Sequence[tuple[float, float]]
    deviations: Sequence[float] = ()


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
    important = sorted(points, key=lambda point: NAMED_FIRST.index(point.role))
    name_points(axes, [(point.cost, point.ap, point.name, INK) for point in important], [stages])
    return figure


def comparison_figure(
    runs: Sequence[Series], cost_text: Callable[[float], str], label: str, title: str
) -> Figure:
    """Draws a line from the dense to the slim network of each run; one without points is left out."""
    figure, axes = new_panel(*PANEL_INCHES, title)
    ends: list[Named] = []
    for run, colour in zip(runs, cycle(SERIES), strict=False):
        if not run.points:
            continue
        costs, scores = zip(*run.points, strict=True)
        axes.plot(costs, scores, color=colour, linewidth=1.1)
        if any(run.deviations):
            axes.errorbar(costs, scores, run.deviations, fmt="none", ecolor=colour, elinewidth=1.1, capsize=3)
        faces = [*[PAPER] * (len(run.points) - 1), colour]
        axes.scatter(costs, scores, s=44, facecolor=faces, edgecolor=colour, zorder=3, clip_on=False)
        ends.append((*run.points[-1], run.name, colour))
    _prepare_costs(axes, [point for run in runs for point in run.points], cost_text, label)
    lines = [run.points for run in runs if run.points]
    name_points(axes, ends, lines)
    return figure


def _prepare_costs(
    axes: Axes, points: Sequence[tuple[float, float]], cost_text: Callable[[float], str], label: str
) -> None:
    """Sets the axes: costs from 0 with room for names to the right, AP around the points."""
    costs, scores = zip(*points, strict=True)
    axes.set(xlim=(0, 1.28 * max(costs)), xlabel=label)
    fit_scores(axes, scores)
    axes.xaxis.set_major_locator(MaxNLocator(4))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: cost_text(value) if value else "0"))


def _draw_point(axes: Axes, point: CostPoint) -> None:
    colour = {"dense": DENSE, "stage": FAINT, "slim": SLIM, "control": SPLITS[2]}[point.role]
    is_main = point.role in ("dense", "slim")
    size, order = (64, 4) if is_main else (30, 3)
    face = PAPER if point.role == "stage" else colour
    marker: dict[str, Any] = {"marker": "D" if point.role == "control" else "o", "s": size, "zorder": order}
    marker["clip_on"] = False  # an AP of 0 or 1 is at the edge
    axes.scatter(point.cost, point.ap, facecolor=face, edgecolor=colour, linewidth=1.3, **marker)


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
    title = f"AP on {split} against latency"
    if len(front) < len(points):
        title += f": {len(front)} of {counted(len(points), 'model')} on the Pareto front"
    figure, axes = new_panel(7.4, 4.4, title)
    _, costs, scores = zip(*front, strict=True)
    axes.plot(costs, scores, "o-", color=SLIM, linewidth=1.6, markersize=6, drawstyle="steps-post", zorder=3)
    beaten = [point for point in points if point not in front]
    x, y = np.reshape([point[1:] for point in beaten], (-1, 2)).T
    axes.scatter(x, y, s=30, facecolor="white", edgecolor=FAINT, zorder=2)
    _prepare_latencies(axes, points)
    corners = [corner for one, after in pairwise(front) for corner in (one[1:], (after[1], one[2]))]
    named = [(*point[1:], point.name, INK if point in front else FAINT) for point in [*front, *beaten]]
    axes.set(xlabel="milliseconds per image (p50 with pre- and post-processing), log scale")
    name_points(axes, named, [[*corners, front[-1][1:]]])
    save(figure, path)


def _prepare_latencies(axes: Axes, points: Sequence[Point]) -> None:
    """Sets the axes, with room to the right of the points for their names."""
    _, latencies, scores = zip(*points, strict=True)
    axes.set_xscale("log")
    axes.set_xlim(min(latencies) / 1.15, max(latencies) * max(2.0, (max(latencies) / min(latencies)) ** 0.5))
    fit_scores(axes, scores)
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 1.5, 2, 3, 5, 7)))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.xaxis.set_minor_locator(NullLocator())
