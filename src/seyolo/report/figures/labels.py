"""Names in charts: beside points, at the ends of lines and above spans of x; none on another or on a line.

Names are measured in pixels, so the limits and ticks of the axes are set before.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.text import Annotation

from seyolo.media.placing import Area, nearest_free
from seyolo.report.figures.style import FAINT, INK, shorten_texts

NAME_POINTS = 8.5
POINTS_PER_INCH = 72
MARKER_RADIUS, NAME_GAP, LINE_RADIUS, FAR = 4.5, 3.0, 1.5, 9.0  # typographic points
LEADER = {"arrowstyle": "-", "color": FAINT, "linewidth": 0.6, "shrinkA": 0.0, "shrinkB": 3.0}
NAME: dict[str, Any] = {"textcoords": "offset points", "fontsize": NAME_POINTS, "annotation_clip": False}

Named = tuple[float, float, str, str]
"""A point (x, y), its name and the colour of the name."""
Polyline = Sequence[tuple[float, float]]


def name_points(axes: Axes, points: Sequence[Named], lines: Sequence[Polyline] = ()) -> None:
    """Writes names beside points, the first point first; points and corners of lines have markers.

    The usual place is right of the point. A name that would cover a point, a line or another name is written
    at the nearest free place inside the axes; a thin line joins it to its point where that is far.
    """
    names = [
        axes.annotate(name, (x, y), (0, 0), color=colour, va="bottom", ha="left", **NAME)
        for x, y, name, colour in points
    ]
    for name in names:
        name.set_in_layout(False)
    scale = _prepared(axes)
    frame = axes.get_window_extent()
    markers = [point[:2] for point in points] + [point for line in lines for point in line]
    taken = [area for point in markers for area in _around([point], axes, MARKER_RADIUS * scale)]
    taken += [area for line in lines for area in _around(line, axes, LINE_RADIUS * scale)]
    for name, point in zip(names, points, strict=True):
        x, y = axes.transData.transform(point[:2])
        box = name.get_window_extent().padded(scale / 2)
        wanted = x + (MARKER_RADIUS + NAME_GAP) * scale, y - box.height / 2
        limits = frame.x0, frame.y0, max(frame.x0, frame.x1 - box.width), max(frame.y0, frame.y1 - box.height)
        left, bottom = nearest_free((box.width, box.height), wanted, limits, taken) or wanted
        taken.append((left, bottom, left + box.width, bottom + box.height))
        _move(axes, name, taken[-1], (x, y), scale)


def _move(axes: Axes, name: Annotation, area: Area, point: tuple[float, float], scale: float) -> None:
    """Moves a name to an area in pixels, and joins it to its point where that is far."""
    left, bottom, right, top = area
    name.set_position(((left - point[0]) / scale, (bottom - point[1]) / scale))
    nearest = min(max(point[0], left), right), min(max(point[1], bottom), top)
    if np.hypot(nearest[0] - point[0], nearest[1] - point[1]) > FAR * scale:
        start, end = axes.transData.inverted().transform([point, nearest]).tolist()
        axes.annotate("", tuple(start), tuple(end), arrowprops=LEADER).set_in_layout(False)


def name_ends(axes: Axes, ends: Sequence[tuple[float, str, str]]) -> None:
    """Writes names of lines right of the axes: height, name and colour of each; they keep their distance."""
    place: dict[str, Any] = {"xycoords": ("axes fraction", "data"), "va": "center"}
    names = [axes.annotate(text, (1, y), (6, 0), color=colour, **place, **NAME) for y, text, colour in ends]
    scale = _prepared(axes)
    heights = np.array([axes.transData.transform((axes.get_xlim()[1], y))[1] for y, _, _ in ends])
    frame, gap = axes.get_window_extent(), NAME_POINTS * 1.2 * scale
    for name, old, new in zip(names, heights, spread(heights, gap, (frame.y0, frame.y1)), strict=True):
        name.set_position((6, (new - old) / scale))


def spread(
    heights: Float[np.ndarray, " n"], gap: float, limits: tuple[float, float]
) -> Float[np.ndarray, " n"]:
    """Moves heights apart to at least `gap`, inside the limits where these have room, in their order."""
    order = np.argsort(heights, kind="stable")
    moved: Float[np.ndarray, " n"] = np.clip(heights[order], *limits)
    for index in range(1, len(moved)):
        moved[index] = max(moved[index], moved[index - 1] + gap)
    if len(moved):
        moved[-1] = min(moved[-1], max(limits[1], limits[0] + gap * (len(moved) - 1)))
    for index in reversed(range(len(moved) - 1)):
        moved[index] = min(moved[index], moved[index + 1] - gap)
    moved[order] = moved.copy()
    return moved


def name_spans(axes: Axes, spans: Sequence[tuple[str, float, float]]) -> None:
    """Writes names above the axes over intervals of x; a name that would cover another is written higher."""
    place: dict[str, Any] = {"xycoords": ("data", "axes fraction"), "ha": "center", "va": "bottom"}
    names = [
        axes.annotate(text, ((first + last) / 2, 1), (0, 3), color=INK, **place, **NAME)
        for text, first, last in spans
    ]
    scale = _prepared(axes)
    taken: list[Area] = []
    for name in names:
        box = name.get_window_extent().padded(NAME_GAP * scale, 0)
        limits = box.x0, box.y0, box.x0, box.y0 + len(names) * box.height
        _, bottom = nearest_free((box.width, box.height), (box.x0, box.y0), limits, taken) or (0.0, box.y0)
        taken.append((box.x0, bottom, box.x1, bottom + box.height))
        name.set_position((0, 3 + (bottom - box.y0) / scale))


def _prepared(axes: Axes) -> float:
    """Lays the figure out as it will be saved; returns its pixels per typographic point."""
    figure = axes.get_figure()
    assert isinstance(figure, Figure)
    shorten_texts(figure)
    figure.draw_without_rendering()
    return figure.dpi / POINTS_PER_INCH


def _around(line: Polyline, axes: Axes, radius: float) -> list[Area]:
    """Returns squares that cover a line, or a point, in pixels."""
    corners = axes.transData.transform(np.array(line, dtype=np.float64).reshape(-1, 2))
    dots = [corners[:1]]
    for start, end in pairwise(corners):
        steps = np.linspace(0, 1, 2 + int(np.hypot(*(end - start)) / (2 * radius)))
        dots.append(start + steps[1:, None] * (end - start))
    return [(x - radius, y - radius, x + radius, y + radius) for x, y in np.concatenate(dots).tolist()]
