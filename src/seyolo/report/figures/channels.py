"""Channels of every convolution before and after pruning: channels.png."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter

from seyolo.darknet.cfg import Network
from seyolo.darknet.graph import strides
from seyolo.darknet.sections import Convolutional
from seyolo.errors import counted
from seyolo.options.budget import ChannelsBudget
from seyolo.pruning.planning.plan import Plan, Width
from seyolo.report.figures.labels import name_spans
from seyolo.report.figures.style import BAND, DENSE, FAINT, INK, SLIM, new_figure, percent, save, style

MAX_NAMED_PARTS = 16

Channels = tuple[int, str, int]
"""A convolution: its layer index, the part of the network it belongs to, its output channels."""


Prunable = tuple[frozenset[int], str, str]
"""Convolutions of which channels may be pruned, and lines on what is removed and on their share."""


def prunable_part(network: Network, plan: Plan) -> Prunable | None:
    """Returns the part of a network that a budget such as `channels=85%` counts; None for other budgets."""
    budget = next((text for text in plan.budget.split(",") if text.startswith(f"{ChannelsBudget.kind}=")), "")
    channels = plan.prunable_channels()
    if not budget or channels is None:
        return None
    total, prunable = sum(width["before"] for width in plan.widths), sum(channels.values())
    removed = sum(width["before"] - width["after"] for width in plan.widths)
    gates = ", gates included" if len(channel_rows(network, plan.widths)[0]) < len(plan.widths) else ""
    plain = "; none that a shortcut touches (scope plain)" if plan.scope == "plain" else ""
    counted_text = f"{budget} removes {removed:,} of the {counted(prunable, 'channel')} that may be pruned"
    share = f"these {prunable:,} are {100 * prunable / total:.0f} % of all {total:,}{gates}{plain}"
    return frozenset(layer for layer, own in channels.items() if own), counted_text, share


def channel_rows(network: Network, widths: Sequence[Width]) -> tuple[list[Channels], list[Channels]]:
    """Returns (layer, part, channels) of every convolution before and after; a part is named by its stride.

    The convolutions inside gates see one value per channel and are left out.
    """
    by_layer = {width["layer"]: width for width in widths}
    parts = {index: f"1/{stride}" for index, stride in enumerate(strides(network)) if stride is not None}
    rows = [index for index in parts if isinstance(network.layers[index], Convolutional)]
    before = [(index, parts[index], by_layer[index]["before"]) for index in rows]
    return before, [(index, parts[index], by_layer[index]["after"]) for index in rows]


def plot_channels(
    before: Sequence[Channels], after: Sequence[Channels], path: str | Path, prunable: Prunable | None = None
) -> None:
    """Writes `channels_figure` to `path`."""
    save(channels_figure(before, after, prunable), path)


def channels_figure(
    before: Sequence[Channels], after: Sequence[Channels], prunable: Prunable | None = None
) -> Figure:
    """Draws the channels of every convolution before and after pruning, and the share each keeps.

    Runs of equal parts in `before` are named above the plot. A layer that is missing in `after` was removed
    with its block. Layers that are not among those of `prunable` are grey.
    """
    kept = {layer: channels for layer, _, channels in after}
    old = np.array([channels for _, _, channels in before], dtype=np.float64)
    new = np.array([kept.get(layer, 0) for layer, _, _ in before], dtype=np.float64)
    share = f"{new.sum():,.0f} of {old.sum():,.0f} kept ({100 * new.sum() / old.sum():.0f} %)"
    title = f"Channels of all convolutions: {share}"
    figure = new_figure(max(7.0, 2.2 + 0.085 * len(before)), 4.9, title)
    upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=[2.6, 1])
    runs = _parts([label for _, label, _ in before])
    for axes in (upper, lower):
        style(axes)
        _mark_parts(axes, runs)
    _draw_channels(upper, old, new)
    _draw_kept_share(lower, new / old, [layer for layer, _, _ in before], prunable)
    for text, height in zip(prunable[1:] if prunable else (), (1.24, 1.06), strict=False):
        lower.text(0, height, text, transform=lower.transAxes, fontsize=8.5, color=INK)
    figure.legend(loc="outside lower right", ncols=3, fontsize=8.5, labelcolor=INK, frameon=False)
    name_spans(upper, runs)
    return figure


def _parts(labels: Sequence[str]) -> list[tuple[str, float, float]]:
    """Returns the runs of equal labels with their intervals of x; none where they are too many to name."""
    runs = [(label, list(group)) for label, group in groupby(range(len(labels)), key=labels.__getitem__)]
    named = [(label, positions[0] - 0.5, positions[-1] + 0.5) for label, positions in runs]
    return named if len(named) <= MAX_NAMED_PARTS else []


def _mark_parts(axes: Axes, runs: Sequence[tuple[str, float, float]]) -> None:
    """Draws bands behind every other run."""
    for _, first, last in runs[::2]:
        axes.axvspan(first, last, color=BAND, linewidth=0, zorder=0)


def _draw_channels(axes: Axes, old: Float[np.ndarray, " n"], new: Float[np.ndarray, " n"]) -> None:
    position, gone = np.arange(len(old)), new == 0
    floor = max(1.0, float(np.where(gone, old, new).min()) / 2)
    shown = np.where(gone, floor, new)
    axes.set_yscale("log", base=2)
    axes.vlines(position, shown, old, color=SLIM, linewidth=1.8, alpha=0.35, zorder=2)
    ring: dict[str, Any] = {"facecolor": "white", "edgecolor": DENSE, "linewidth": 1.2}
    axes.scatter(position, old, s=24, zorder=3, label="before", **ring)
    axes.scatter(position[~gone], new[~gone], s=12, color=SLIM, zorder=4, label="after")
    if gone.any():
        cross: dict[str, Any] = {"color": SLIM, "marker": "x", "linewidth": 1.4}
        axes.scatter(position[gone], shown[gone], s=22, label="removed whole", **cross)
    axes.set_ylim(floor / 1.4, old.max() * 1.4)
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.set_ylabel("channels, log scale")


def _draw_kept_share(
    axes: Axes, share: Float[np.ndarray, " n"], layers: Sequence[int], prunable: Prunable | None
) -> None:
    is_kept = np.array([prunable is not None and layer not in prunable[0] for layer in layers])
    axes.bar(np.flatnonzero(~is_kept), share[~is_kept], width=0.7, color=SLIM, alpha=0.85)
    if is_kept.any():
        kept: dict[str, Any] = {"color": FAINT, "alpha": 0.6, "label": "may not be pruned"}
        axes.bar(np.flatnonzero(is_kept), share[is_kept], width=0.7, **kept)
    axes.set(ylim=(0, 1.04), yticks=[0, 0.5, 1], ylabel="kept")
    axes.set(xlim=(-0.8, len(share) - 0.2), xlabel="layer, as seyolo info --layers numbers it")
    axes.yaxis.set_major_formatter(FuncFormatter(percent))
    ticks = range(len(share)) if len(share) <= 30 else range(0, len(share), 10)
    axes.set_xticks(ticks, [str(layers[tick]) for tick in ticks])
