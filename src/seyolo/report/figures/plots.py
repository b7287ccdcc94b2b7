"""Plots of a slimming run: channels before and after, training curves, the spread of BN scales.

Each function takes plain numbers and writes one image (PNG, SVG, PDF: by the path's ending).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import groupby
from pathlib import Path

import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

from seyolo.report.figures.style import (
    BAND,
    DENSE,
    FAINT,
    INK,
    SLIM,
    SPLITS,
    LineEnd,
    label_ends,
    name_span,
    new_figure,
    percent,
    save,
    style,
)

MAX_NAMED_PARTS = 16
LOSS_COLUMNS = ("box", "objectness", "classes")
SMALLEST_SCALE = 1e-5
NUM_BINS = 60

Channels = tuple[int, str, int]
"""A convolution: its layer index, the part of the network it belongs to, its output channels."""

Row = Mapping[str, object]
"""A line of `results.csv`: numbers or their text, empty or absent where nothing was measured."""


def plot_channels(before: Sequence[Channels], after: Sequence[Channels], path: str | Path) -> None:
    """Writes `channels_figure` to `path`."""
    save(channels_figure(before, after), path)


def plot_curves(stages: Mapping[str, Sequence[Row]], path: str | Path) -> None:
    """Writes `curves_figure` to `path`."""
    save(curves_figure(stages), path)


def plot_scales(dense: Float[np.ndarray, " n"], sparse: Float[np.ndarray, " m"], path: str | Path) -> None:
    """How |BN scale| is spread before and after sparsity training, on a logarithmic axis.

    Args:
        dense: scales of all batch normalisations after dense training, any sign.
        sparse: the same after sparsity training. All at or below 1e-5, zeros too, share the first bin.
        path: image to write.
    """
    save(_scales_figure(dense, sparse), path)


def channels_figure(before: Sequence[Channels], after: Sequence[Channels]) -> Figure:
    """Channels of every convolution before and after the cut, and the share each keeps.

    Args:
        before: convolutions in order; runs of equal labels (`stage 3`, `neck`) are named above the plot.
        after: the same layers by the indices of `before`; one that is missing was removed whole.
    """
    kept = {layer: channels for layer, _, channels in after}
    old = np.array([channels for _, _, channels in before], dtype=np.float64)
    new = np.array([kept.get(layer, 0) for layer, _, _ in before], dtype=np.float64)
    share = f"{new.sum():,.0f} of {old.sum():,.0f} kept ({100 * new.sum() / old.sum():.0f} %)"
    figure = new_figure(max(7.0, 2.2 + 0.085 * len(before)), 4.9, f"Channels per convolution: {share}")
    upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=[2.6, 1])
    for axes in (upper, lower):
        style(axes)
        _mark_parts(axes, [label for _, label, _ in before], named=axes is upper)
    _draw_channels(upper, old, new)
    _draw_kept_share(lower, new / old)
    return figure


def curves_figure(stages: Mapping[str, Sequence[Row]], width_inches: float = 8.6) -> Figure:
    """Training loss and validation AP over all epochs, the stages one after the other.

    Args:
        stages: rows of each stage's `results.csv`, in order. The loss is the sum of the columns `box`,
            `objectness` and `classes`; every column that ends in `_ap` becomes a line.
        width_inches: of the figure.
    """
    starts = [0, *np.cumsum([len(rows) for rows in stages.values()]).tolist()]
    figure = new_figure(width_inches, 5.2, "Training loss and validation AP")
    upper, lower = figure.subplots(2, 1, sharex=True)
    for axes in (upper, lower):
        style(axes)
        for start in starts[1:-1]:
            axes.axvline(start + 0.5, color=FAINT, linewidth=0.8, linestyle=(0, (2, 2)))
    for name, first, last in zip(stages, starts, starts[1:], strict=False):
        name_span(upper, name, first + 0.5, last + 0.5)
    _draw_loss(upper, stages, starts)
    _draw_scores(lower, stages, starts)
    lower.set_xlim(0.5, max(starts[-1], 1) + 0.5)
    lower.xaxis.set_major_locator(MaxNLocator(integer=True, steps=[1, 2, 5, 10], min_n_ticks=1))
    lower.set_xlabel("epoch")
    return figure


def _scales_figure(dense: Float[np.ndarray, " n"], sparse: Float[np.ndarray, " m"]) -> Figure:
    # In float32 the smallest scale is just below the first edge, and everything at zero would be left out.
    sizes = [np.clip(np.abs(scales, dtype=np.float64), SMALLEST_SCALE, None) for scales in (dense, sparse)]
    largest = max(float(values.max(initial=1.0)) for values in sizes)
    edges = np.geomspace(SMALLEST_SCALE, largest * 1.1, NUM_BINS + 1)
    small = float(np.mean(sizes[1] < 0.01 * np.median(sizes[0])))
    title = f"BN scales: {100 * small:.0f} % of the channels end below 1 % of the dense median"
    figure = new_figure(7.4, 3.7, title)
    axes = figure.subplots()
    style(axes)
    for values, name, colour in zip(sizes, ("dense", "after sparsity training"), (DENSE, SLIM), strict=True):
        _draw_scales(axes, values, edges, name, colour)
    axes.set_xscale("log")
    axes.set_xlim(edges[0], edges[-1])
    axes.set_ylim(0, axes.get_ylim()[1] * 1.08)
    axes.xaxis.set_major_formatter(FuncFormatter(_scale_text))
    axes.yaxis.set_major_formatter(FuncFormatter(percent))
    axes.set_xlabel("|BN scale| of a channel")
    axes.set_ylabel("share of channels per bin")
    return figure


def _mark_parts(axes: Axes, labels: Sequence[str], named: bool) -> None:
    """Bands behind every other run of equal labels, and their names."""
    runs = [(label, list(group)) for label, group in groupby(range(len(labels)), key=labels.__getitem__)]
    if len(runs) > MAX_NAMED_PARTS:
        return
    for index, (label, positions) in enumerate(runs):
        first, last = positions[0] - 0.5, positions[-1] + 0.5
        if index % 2 == 0:
            axes.axvspan(first, last, color=BAND, linewidth=0, zorder=0)
        if named:
            # A narrow part has no room for its whole name beside its neighbours', the stem not even for half.
            text = label.replace(" ", "\n") if len(positions) < 8 else label
            name_span(axes, text, first, last, "right" if last < len(labels) / 50 else "center")


def _draw_channels(axes: Axes, old: Float[np.ndarray, " n"], new: Float[np.ndarray, " n"]) -> None:
    position, gone = np.arange(len(old)), new == 0
    floor = max(1.0, float(np.where(gone, old, new).min()) / 2)
    shown = np.where(gone, floor, new)
    axes.set_yscale("log", base=2)
    axes.vlines(position, shown, old, color=SLIM, linewidth=1.8, alpha=0.35, zorder=2)
    axes.scatter(
        position, old, s=24, facecolor="white", edgecolor=DENSE, linewidth=1.2, zorder=3, label="before"
    )
    axes.scatter(position[~gone], new[~gone], s=12, color=SLIM, zorder=4, label="after")
    if gone.any():
        axes.scatter(
            position[gone], shown[gone], s=22, color=SLIM, marker="x", linewidth=1.4, label="removed whole"
        )
    axes.set_ylim(floor / 1.4, old.max() * 1.4)
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.set_ylabel("channels, log scale")
    axes.legend(
        loc="lower right",
        ncols=3,
        fontsize=8.5,
        labelcolor=INK,
        frameon=True,
        edgecolor="none",
        framealpha=0.9,
        handletextpad=0.2,
    )


def _draw_kept_share(axes: Axes, share: Float[np.ndarray, " n"]) -> None:
    axes.bar(np.arange(len(share)), share, width=0.7, color=SLIM, alpha=0.85)
    axes.set_ylim(0, 1.04)
    axes.set_yticks([0, 0.5, 1])
    axes.yaxis.set_major_formatter(FuncFormatter(percent))
    axes.set_ylabel("kept")
    axes.set_xlim(-0.8, len(share) - 0.2)
    ticks = range(len(share)) if len(share) <= 30 else [0, *range(9, len(share), 10)]
    axes.set_xticks(ticks, [str(tick + 1) for tick in ticks])
    axes.set_xlabel("convolution, in order")


def _draw_loss(axes: Axes, stages: Mapping[str, Sequence[Row]], starts: Sequence[int]) -> None:
    for rows, start in zip(stages.values(), starts, strict=False):
        parts = [[_number(row.get(column)) for row in rows] for column in LOSS_COLUMNS]
        epochs = start + 1 + np.arange(len(rows))
        axes.plot(
            epochs, np.sum(parts, axis=0), color=INK, linewidth=1.6, marker="o" if len(rows) < 3 else ""
        )
    axes.set_ylim(bottom=0)
    axes.set_ylabel("training loss")


def _draw_scores(axes: Axes, stages: Mapping[str, Sequence[Row]], starts: Sequence[int]) -> None:
    columns = dict.fromkeys(
        key for rows in stages.values() for row in rows for key in row if key.endswith("_ap")
    )
    ends: list[LineEnd] = []
    for index, column in enumerate(columns):
        colour = SPLITS[index % len(SPLITS)]
        for rows, start in zip(stages.values(), starts, strict=False):
            scores = np.array([_number(row.get(column)) for row in rows])
            measured = np.flatnonzero(np.isfinite(scores))
            if len(measured):
                x, y = start + 1 + measured, scores[measured]
                axes.plot(x, y, color=colour, linewidth=1.6, marker="o", markersize=3)
                ends = [end for end in ends if end[3] != colour]
                ends.append((float(x[-1]), float(y[-1]), f"{column.removesuffix('_ap')} {y[-1]:.3f}", colour))
    axes.set_ylim(0, 1)
    axes.set_ylabel("AP")
    label_ends(axes, ends, gap=0.09)


def _draw_scales(
    axes: Axes, values: Float[np.ndarray, " n"], edges: Float[np.ndarray, " k"], name: str, colour: str
) -> None:
    counts, _ = np.histogram(values, edges)
    share = counts / max(1, len(values))
    axes.stairs(share, edges, fill=True, color=colour, alpha=0.22)
    axes.stairs(share, edges, color=colour, linewidth=1.5)
    # The first bin is a heap at the very edge: its name would run out of the image.
    peak = 1 + int(share[1:].argmax())
    centre = math.sqrt(edges[peak] * edges[peak + 1])
    axes.annotate(
        name, (centre, share[peak]), (6, 4), textcoords="offset points", ha="right", fontsize=9, color=colour
    )


def _scale_text(value: float, _position: int | None = None) -> str:
    text = f"{value:g}" if value >= 1e-3 else f"1e{round(math.log10(value))}"
    return f"≤ {text}" if value <= SMALLEST_SCALE * 1.001 else text


def _number(value: object) -> float:
    """A number or the text of one; nan for an empty or absent value."""
    return float(value) if isinstance(value, int | float) or (isinstance(value, str) and value) else math.nan
