"""Common style of all figures: palette, grid, legends, and figures as SVG inside a page.

The colours are Okabe and Ito's, which people with any kind of colour vision can tell apart; blue is always
the dense network and vermilion the slim one. Every figure has an Agg canvas of its own, independent of a
display and of pyplot's global state. In a page figures are SVG with the colours and fonts of the page.
"""

from __future__ import annotations

import io
import math
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from markupsafe import Markup
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.text import Text
from matplotlib.ticker import MaxNLocator

from seyolo.files import replacing

DENSE = "#0072B2"
SLIM = "#D55E00"
SPLITS = ("#00795A", "#A8447F", "#5B6C7D", "#8A6D00")
"""Colours of other lines and their names: darker than Okabe and Ito's, so that text is legible."""
SERIES = (SLIM, DENSE, *SPLITS)
"""Colours of runs side by side."""
INK = "#2B2B2B"
FAINT = "#8C8C8C"
GRID = "#E6E6E6"
BAND = "#F4F4F1"
PAPER = "#FFFFFF"
PANEL_INCHES = (4.6, 3.5)
MOST_LETTERS = 80  # of a text in a chart
LEGEND_TEXT = 8.5
DOTS_PER_INCH = 160
PAGE_PIXELS_PER_INCH = 116

PAGE_COLOURS = {
    "ink": (INK, "#E8E6E1"),
    "faint": (FAINT, "#8F8F8B"),
    "grid": (GRID, "#33363A"),
    "band": (BAND, "#202327"),
    "paper": (PAPER, "#17191C"),
    "dense": (DENSE, "#5FB4EA"),
    "slim": (SLIM, "#FF8A45"),
    "split-1": (SPLITS[0], "#45C79B"),
    "split-2": (SPLITS[1], "#E08BBB"),
    "split-3": (SPLITS[2], "#A3B2C1"),
    "split-4": (SPLITS[3], "#D9BC4A"),
}
"""Colours by name: on a light page, and on a dark one."""


def new_figure(width_inches: float, height_inches: float, title: str) -> Figure:
    """Creates an empty figure with a left-aligned title."""
    figure = Figure(figsize=(width_inches, height_inches), dpi=DOTS_PER_INCH, layout="constrained")
    FigureCanvasAgg(figure)
    figure.suptitle(title, x=0.01, ha="left", fontsize=11, fontweight="bold", color=INK)
    return figure


def new_panel(width_inches: float, height_inches: float, title: str) -> tuple[Figure, Axes]:
    """Creates a figure with one pair of axes in the common style."""
    figure = new_figure(width_inches, height_inches, title)
    axes = figure.subplots()
    style(axes)
    return figure, axes


def style(axes: Axes) -> None:
    """Draws horizontal grid lines only, and no frame but the base line."""
    axes.set_axisbelow(True)
    axes.grid(axis="y", color=GRID, linewidth=0.8)
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.spines["bottom"].set_color(FAINT)
    axes.tick_params(which="both", length=0, labelsize=8.5, labelcolor=INK)
    for axis in (axes.xaxis, axes.yaxis):
        axis.label.set(fontsize=9, color=INK)


def percent(value: float, _position: int | None = None) -> str:
    """Formats an axis label: 0.5 as 50 %, 0.025 as 2.5 %."""
    return f"{100 * value:g} %"


def fit_scores(axes: Axes, scores: Sequence[float]) -> None:
    """Sets the y axis to the range of AP in [0, 1] that the scores fill."""
    found = [score for score in scores if math.isfinite(score)] or [0.0, 1.0]
    margin = max(0.01, 0.14 * (max(found) - min(found)))
    axes.set(ylim=(max(0.0, min(found) - margin), min(1.0, max(found) + margin)), ylabel="AP")
    axes.yaxis.set_major_locator(MaxNLocator(5))


def legend_above(axes: Axes, title: str = "", columns: int = 1) -> None:
    """Puts the legend above the axes, where no line is."""
    place: dict[str, Any] = {"loc": "lower left", "bbox_to_anchor": (-0.02, 1.0), "ncols": columns}
    text: dict[str, Any] = {"fontsize": LEGEND_TEXT, "title_fontsize": LEGEND_TEXT, "labelcolor": INK}
    legend = axes.legend(title=title, frameon=False, handlelength=1.4, alignment="left", **place, **text)
    legend.get_title().set_color(INK)


def save(figure: Figure, path: str | Path) -> None:
    """Writes the figure atomically, in the format of the path's ending."""
    shorten_texts(figure)
    metadata = {"CreationDate": None} if Path(path).suffix == ".pdf" else None  # the same bytes each time
    with replacing(path) as temporary, rc_context({"pdf.fonttype": 42}):  # a font that journals accept
        figure.savefig(temporary, facecolor="white", metadata=metadata)


def inline_svg(figure: Figure, label: str) -> Markup:
    """Returns the figure as SVG for a page, without its title, which the page prints itself.

    Text stays text in the page's font, and colours become the page's `PAGE_COLOURS`; `label` is the alt text.
    """
    figure.suptitle("")
    shorten_texts(figure)
    text = io.StringIO()
    # The hash salt makes the ids inside reproducible.
    with rc_context({"svg.fonttype": "none", "svg.hashsalt": "seyolo"}):
        figure.savefig(text, format="svg", transparent=True, metadata={"Date": None})
    svg = re.sub(r"^.*?(?=<svg)|<metadata>.*?</metadata>", "", text.getvalue(), flags=re.DOTALL)
    width_px = round(figure.get_figwidth() * PAGE_PIXELS_PER_INCH)
    attributes = f'role="img" aria-label="{Markup.escape(label)}" style="max-width: {width_px}px"'
    svg = re.sub(r'^<svg [^>]*?(viewBox="[^"]*")[^>]*>', lambda found: f"<svg {attributes} {found[1]}>", svg)
    return Markup(_with_page_colours(_without_unused_names(svg.strip())).replace("xlink:href", "href"))


def shorten_texts(figure: Figure) -> None:
    """Shortens names from files that no chart has room for: a layout of 100,000 letters takes seconds."""
    for text in figure.findobj(Text):
        assert isinstance(text, Text)
        name = text.get_text()
        if len(name) > MOST_LETTERS:
            text.set_text(f"{name[: MOST_LETTERS - 1]}…")


def _without_unused_names(svg: str) -> str:
    """Drops ids that nothing refers to, since several charts on a page would share them."""
    used = set(re.findall(r'(?:href="#|url\(#)([^")]+)', svg))
    return re.sub(r' id="([^"]*)"', lambda found: found[0] if found[1] in used else "", svg)


def _with_page_colours(svg: str) -> str:
    for name, (light, _) in PAGE_COLOURS.items():
        svg = re.sub(re.escape(light), f"var(--{name})", svg, flags=re.IGNORECASE)
    svg = re.sub(r"font-family: [^;\"]*", "font-family: var(--sans)", svg)
    return re.sub(r"font: ([\d.]+px) [^;\"]*", r"font: \1 var(--sans)", svg)  # Matplotlib before 3.11
