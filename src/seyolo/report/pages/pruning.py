"""Sections of the page of a slimming run about its stages and its plan."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

from seyolo.checkpoint import read_checkpoint
from seyolo.report.figures.channels import channel_rows, channels_figure
from seyolo.report.pages.parts import Grid, chart
from seyolo.report.record import SlimRecord
from seyolo.report.tables.slim import rows, titles
from seyolo.report.text import count_text, percent_text
from seyolo.results import Readiness, SlimResults


def stages_grid(results: SlimResults) -> Grid:
    """Returns the before/after table with a note on its columns."""
    body = rows(results)
    pairs = enumerate(pairwise(body))
    ends = [index for index, (row, following) in pairs if row.group != following.group]
    note = (
        "dense: the trained network. sparse: after sparsity training. pruned: after pruning and repair. "
        "finetuned: the slim network as it ships. Epochs count all training that a network has seen."
    )
    if results.int8 is not None:
        note += (
            " int8: the slim network in a file of its own, calibrated on training images without training."
        )
    return Grid(["", *titles(results)], [row.texts() for row in body], ends, note)


def pruning_context(record: SlimRecord) -> dict[str, Any]:
    """Returns the chart of channels, and the groups of the plan."""
    plan = record.plan
    network = read_checkpoint(record.folder / "dense" / "best.safetensors").network
    before, after = channel_rows(network, plan.widths)
    old, new = (sum(channels for _, _, channels in found) for found in (before, after))
    note = (
        f"The budget was {' and '.join(record.results.budget)}. The slim network keeps {new:,} of {old:,} "
        f"channels and {count_text(plan.params)} of {count_text(plan.dense_params)} parameters."
    )
    if plan.blocks_removed:
        note += f" Residual blocks removed as a whole: {len(plan.blocks_removed)}."
    figure = channels_figure(before, after)
    return {
        "cut_note": note,
        "channel_charts": [chart(figure, f"Channels of every convolution before and after pruning: {note}")],
        "groups": _groups(record),
    }


def _groups(record: SlimRecord) -> Grid:
    body = []
    for group in record.plan.groups:
        kept, before = len(group["kept"]), len(group["kept"]) + len(group["removed"])
        layers = ", ".join(map(str, dict.fromkeys(group["layers"])))
        body.append([layers, f"{before:,}", f"{kept:,}", percent_text(kept, before)])
    return Grid(["layers", "before", "after", "kept"], body)


def readiness_lines(found: Readiness | None) -> list[str]:
    """Returns the measurements before pruning in sentences; none where there are none."""
    if found is None:
        return []
    return [
        f"Before pruning, {found.going:.0%} of the channels were chosen for removal; their mean BN scale was "
        f"{found.going_scale:.0%} of that of a kept channel. Right after pruning, without repair, AP@0.5 on "
        f"validation images fell from {found.ap50:.3f} to {found.cut_ap50:.3f}."
    ]
