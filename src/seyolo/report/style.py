"""How every plot looks: one palette, light grids, no boxes, text that stands where it is needed.

Colours are Okabe and Ito's, told apart with any kind of colour vision; blue is always the dense network and
vermilion the slim one. Figures use the Agg canvas of their own, so nothing depends on a display or on
pyplot's global state.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Literal

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from seyolo.files import replacing

DENSE = "#0072B2"
SLIM = "#D55E00"
SPLITS = ("#00795A", "#A8447F", "#5B6C7D", "#8A6D00")
"""Lines that are neither dense nor slim: darker than Okabe and Ito's, for text in them."""
INK = "#2B2B2B"
FAINT = "#8C8C8C"
GRID = "#E6E6E6"
BAND = "#F4F4F1"
DOTS_PER_INCH = 160

Align = Literal["center", "right"]

LineEnd = tuple[float, float, str, str]
"""Where a line ends (x, y), its label and its colour."""


def new_figure(width_inches: float, height_inches: float, title: str) -> Figure:
    """An empty figure with a left-aligned title."""
    figure = Figure(figsize=(width_inches, height_inches), dpi=DOTS_PER_INCH, layout="constrained")
    FigureCanvasAgg(figure)
    figure.suptitle(title, x=0.01, ha="left", fontsize=11, fontweight="bold", color=INK)
    return figure


def style(axes: Axes) -> None:
    """Horizontal grid lines only, and no frame but the base line."""
    axes.set_axisbelow(True)
    axes.grid(axis="y", color=GRID, linewidth=0.8)
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    axes.spines["bottom"].set_color(FAINT)
    axes.tick_params(which="both", length=0, labelsize=8.5, labelcolor=INK)
    axes.xaxis.label.set(fontsize=9, color=INK)
    axes.yaxis.label.set(fontsize=9, color=INK)


def percent(value: float, _position: int | None = None) -> str:
    """An axis label: 0.5 as 50 %, 0.025 as 2.5 %."""
    return f"{100 * value:g} %"


def name_span(axes: Axes, text: str, first: float, last: float, align: Align = "center") -> None:
    """A name above the axes, over an interval of x."""
    axes.annotate(
        text,
        (last if align == "right" else (first + last) / 2, 1.0),
        (0, 3),
        xycoords=("data", "axes fraction"),
        textcoords="offset points",
        ha=align,
        va="bottom",
        fontsize=8,
        color=INK,
    )


def label_ends(axes: Axes, ends: Iterable[LineEnd], gap: float) -> None:
    """Names at the right end of lines, pushed at least `gap` (in y) apart so that none overlap."""
    lowest = float("-inf")
    for x, y, text, colour in sorted(ends, key=lambda end: end[1]):
        lowest = max(y, lowest + gap)
        axes.annotate(
            text, (x, lowest), (8, 0), textcoords="offset points", va="center", fontsize=8.5, color=colour
        )


def save(figure: Figure, path: str | Path) -> None:
    """Writes the figure in the format of the path's ending, whole or not at all."""
    with replacing(path) as temporary:
        figure.savefig(temporary, facecolor="white")
