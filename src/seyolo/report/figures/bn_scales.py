"""Distribution of BN scales |γ|: before and after sparsity training, and over its epochs."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap, to_rgba
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter

from seyolo.report.figures.curves import Row
from seyolo.report.figures.labels import name_ends
from seyolo.report.figures.style import DENSE, INK, SLIM, legend_above, new_panel, percent, save
from seyolo.results import NEARLY_ZERO

SMALLEST_SCALE = 1e-5
NUM_BINS = 60
SCALES_FIGURE = "scales_over_time.png"


def plot_scales(dense: Float[np.ndarray, " n"], sparse: Float[np.ndarray, " m"], path: str | Path) -> None:
    """Writes a histogram of |γ| before and after sparsity training, on a logarithmic axis.

    `dense` and `sparse` are the scales of all BN layers, of any sign. All at or below 1e-5, zeros too, are in
    the first bin.
    """
    # In float32 the smallest scale would be just below the first edge, and zeros would be left out.
    sizes = [np.clip(np.abs(scales, dtype=np.float64), SMALLEST_SCALE, None) for scales in (dense, sparse)]
    largest = max(float(values.max(initial=1.0)) for values in sizes)
    edges = np.geomspace(SMALLEST_SCALE, largest * 1.1, NUM_BINS + 1)
    small = float(np.mean(sizes[1] < NEARLY_ZERO * np.median(sizes[0])))
    title = f"BN scales: {100 * small:.0f} % of the channels end below 1 % of the dense median"
    figure, axes = new_panel(7.4, 3.7, title)
    for values, name, colour in zip(sizes, ("dense", "sparse"), (DENSE, SLIM), strict=True):
        _draw_scales(axes, values, edges, name, colour)
    axes.set(xscale="log", xlim=(edges[0], edges[-1]), ylim=(0, axes.get_ylim()[1] * 1.08))
    axes.set(xlabel="|BN scale| of a channel", ylabel="share of channels per bin")
    axes.xaxis.set_major_formatter(FuncFormatter(_scale_text))
    axes.yaxis.set_major_formatter(FuncFormatter(percent))
    legend_above(axes, columns=2)
    save(figure, path)


def plot_scales_over_time(rows: Sequence[Row], folder: Path) -> None:
    """Writes `scales_over_time_figure` as scales_over_time.png, where there was sparsity training."""
    if rows:
        save(scales_over_time_figure(rows), folder / SCALES_FIGURE)


def scales_over_time_figure(rows: Sequence[Row]) -> Figure:
    """Draws the distribution of |γ| after every epoch of sparsity training: the darker, the more channels.

    `rows` are those of `scales.csv`: epoch, and the percentiles p0, p5 and so on to p100. Values at or below
    1e-5, zeros too, are drawn there.
    """
    names = [name for name in rows[0] if name != "epoch"]
    epochs = np.array([float(str(row["epoch"])) for row in rows])
    values = np.array([[float(str(row[name])) for name in names] for row in rows])
    shown = np.clip(values, SMALLEST_SCALE, None)
    title = "|BN scale| of the channels over the epochs of sparsity training"
    figure, axes = new_panel(7.4, 3.7, title)
    sides = np.append(epochs - 0.5, epochs[-1] + 0.5)
    _draw_density(axes, shown, sides)
    marked = (1, len(names) // 2, len(names) - 2)
    for index in marked:
        axes.plot(epochs, shown[:, index], color=INK, linewidth=0.8, linestyle=(0, (3, 2)))
    axes.set(yscale="log", xlabel="epoch", ylabel="|BN scale|, log scale", ylim=_wide_enough(shown))
    axes.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0), numticks=12))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.yaxis.set_minor_formatter(NullFormatter())
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    axes.set_xlim(sides[0], sides[-1])
    name_ends(axes, [(shown[-1, index], f"{names[index].removeprefix('p')} %", INK) for index in marked])
    return figure


def _wide_enough(values: Float[np.ndarray, "epochs p"]) -> tuple[float, float]:
    """Returns limits of the axis around the values, a decade apart at least."""
    low, high = float(values.min()) / 1.1, float(values.max()) * 1.1
    margin = max(1.0, math.sqrt(10 * low / high))
    return low / margin, high * margin


def _draw_density(
    axes: Axes, percentiles: Float[np.ndarray, "epochs p"], sides: Float[np.ndarray, " epochs+1"]
) -> None:
    """Draws the share of channels per bin of |γ| and epoch, interpolated between the percentiles."""
    edges = np.geomspace(percentiles.min() / 1.1, percentiles.max() * 1.1, NUM_BINS + 1)
    shares = np.linspace(0, 1, percentiles.shape[1])
    below = np.array([np.interp(edges, row, shares, left=0, right=1) for row in percentiles])
    heat = LinearSegmentedColormap.from_list("heat", [to_rgba(SLIM, 0), to_rgba(SLIM, 1)])
    # The square root keeps a few channels in a wide range visible.
    axes.pcolormesh(sides, edges, np.diff(below, axis=1).T ** 0.5, cmap=heat, vmin=0, rasterized=True)


def _draw_scales(
    axes: Axes, values: Float[np.ndarray, " n"], edges: Float[np.ndarray, " k"], name: str, colour: str
) -> None:
    counts, _ = np.histogram(values, edges)
    share = counts / max(1, len(values))
    axes.stairs(share, edges, fill=True, color=colour, alpha=0.22)
    axes.stairs(share, edges, color=colour, linewidth=1.5, label=name)


def _scale_text(value: float, _position: int | None = None) -> str:
    text = f"{value:g}" if value >= 1e-3 else f"1e{round(math.log10(value))}"
    return f"≤ {text}" if value <= SMALLEST_SCALE * 1.001 else text
