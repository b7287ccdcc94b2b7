"""AP against latency of several models, with their Pareto front."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

from seyolo.report.figures.style import FAINT, INK, SLIM, new_figure, save, style

LABEL_GAP, LABEL_OFFSET, LETTER_WIDTH = 0.055, 0.015, 0.0125
"""Distance between names, distance of a name from its point, width of a letter; relative to the axes."""
LEADER = {"arrowstyle": "-", "color": FAINT, "linewidth": 0.6, "relpos": (0.0, 0.5), "shrinkA": 1.0}
STEPS = (0, 1, -1, 2, -2, 3, -3, 4, -4)


class Point(NamedTuple):
    """A model: its name, the median milliseconds of an image and its AP in [0, 1]."""

    name: str
    latency_ms: float
    ap: float


def pareto_front(points: Sequence[Point]) -> list[Point]:
    """Returns the points that no other beats in both latency and AP, fastest first."""
    front: list[Point] = []
    for point in sorted(points, key=lambda point: (point.latency_ms, -point.ap)):
        if not front or point.ap > front[-1].ap:
            front.append(point)
    return front


def plot_pareto(points: Sequence[Point], split: str, path: str | Path) -> None:
    """Draws the models, and a line through those that no other beats in both latency and AP.

    Args:
        points: at least one.
        split: on which AP was measured.
        path: image to write, in the format of its ending.
    """
    front = pareto_front(points)
    figure = new_figure(
        7.4, 4.4, f"AP on {split} against latency: {len(front)} of {len(points)} on the front"
    )
    axes = figure.subplots()
    style(axes)
    beaten = [point for point in points if point not in front]
    axes.plot(
        [point.latency_ms for point in front],
        [point.ap for point in front],
        color=SLIM,
        linewidth=1.6,
        marker="o",
        markersize=6,
        drawstyle="steps-post",
        zorder=3,
    )
    axes.scatter(
        [point.latency_ms for point in beaten],
        [point.ap for point in beaten],
        s=30,
        facecolor="white",
        edgecolor=FAINT,
        zorder=2,
    )
    _scale(axes, points)
    _name(axes, points, front)
    axes.set_xlabel("milliseconds per image (p50 with pre- and post-processing), log scale")
    axes.set_ylabel("AP")
    save(figure, path)


def _scale(axes: Axes, points: Sequence[Point]) -> None:
    """Sets the axes, with room to the right of the points for their names."""
    latencies, scores = [point.latency_ms for point in points], [point.ap for point in points]
    axes.set_xscale("log")
    axes.set_xlim(min(latencies) / 1.15, max(latencies) * max(2.0, (max(latencies) / min(latencies)) ** 0.5))
    margin = max(0.02, 0.15 * (max(scores) - min(scores)))
    axes.set_ylim(min(scores) - margin, max(scores) + margin)
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 1.5, 2, 3, 5, 7)))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.xaxis.set_minor_locator(NullLocator())


def _name(axes: Axes, points: Sequence[Point], front: Sequence[Point]) -> None:
    """Writes names right of the points, at the nearest free height."""
    positions = [_position(axes, point) for point in points]
    taken = [(x - LABEL_OFFSET, x + LABEL_OFFSET, y) for x, y in positions]
    for point, (x, y) in sorted(zip(points, positions, strict=True), key=lambda pair: pair[0] not in front):
        left, right = x + LABEL_OFFSET, x + LABEL_OFFSET + LETTER_WIDTH * len(point.name)
        heights = (y + step * LABEL_GAP for step in STEPS)
        free = (height for height in heights if not _is_taken(left, right, height, taken))
        height = next(free, y)
        taken.append((left, right, height))
        axes.annotate(
            point.name,
            (x, y),
            (left, height),
            xycoords="axes fraction",
            va="center",
            fontsize=8.5,
            color=INK if point in front else FAINT,
            arrowprops=LEADER if height != y else None,
        )


def _position(axes: Axes, point: Point) -> tuple[float, float]:
    """Returns the position of a point, relative to the axes."""
    x, y = axes.transAxes.inverted().transform(axes.transData.transform((point.latency_ms, point.ap)))
    return float(x), float(y)


def _is_taken(left: float, right: float, height: float, taken: Sequence[tuple[float, float, float]]) -> bool:
    return any(
        left < other_right and other_left < right and abs(height - other) < 0.9 * LABEL_GAP
        for other_left, other_right, other in taken
    )
