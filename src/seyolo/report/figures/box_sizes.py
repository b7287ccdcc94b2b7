"""Sizes of labelled boxes in the input of a network."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from jaxtyping import Float
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter

from seyolo.report.figures.style import FAINT, SPLITS, legend_above, new_panel, percent

STEPS_PER_DOUBLING = 2
DASHES = ("-", (0, (5, 2)), (0, (1, 1.5)))
"""Lines of the first four splits, of the next four, and of all others."""


def box_sizes_figure(sides_px: Mapping[str, Float[np.ndarray, " n"]], least_px: float) -> Figure:
    """Draws the distribution of box sides for each split, with a mark at the side that counts as too small.

    Args:
        sides_px: square roots of the areas of boxes in pixels of the input, by split.
        least_px: the side below which a box counts as too small.
    """
    figure, axes = new_panel(6.4, 3.2, "Sizes of the boxes in the input")
    found = np.concatenate([np.empty(0), *sides_px.values()])
    low, high = (np.log2(max(1.0, float(side))) for side in (found.min(initial=1e9), found.max(initial=1)))
    bins = np.arange(np.floor(min(low, high)), np.ceil(high) + 1, 1 / STEPS_PER_DOUBLING)
    for index, (split, sides) in enumerate(sides_px.items()):
        counts, _ = np.histogram(np.log2(np.maximum(sides, 1)), np.append(bins, np.inf))
        (line,) = axes.plot(
            2 ** (bins + 0.5 / STEPS_PER_DOUBLING), counts / max(1, len(sides)), label=split, linewidth=1.6
        )
        line.set(linestyle=DASHES[min(index // len(SPLITS), 2)], color=SPLITS[index % len(SPLITS)])
    axes.axvline(least_px, color=FAINT, linewidth=0.8, linestyle=(0, (2, 2)))
    axes.set(ylim=(0, None), xlabel="√(width x height) in pixels", ylabel="share of the boxes")
    axes.set_xscale("log", base=2)
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.yaxis.set_major_formatter(FuncFormatter(percent))
    legend_above(axes, columns=4)
    return figure
