"""Widths that a group may keep: none, its floor, multiples above it, or all of its channels.

Unless a multiple is named, it is 8, and 16 in groups of 128 channels and more: runtimes on a CPU with 512-bit
vectors compute channels in sixteens, so 8 odd channels of a wide layer cost as much as 16.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from seyolo.errors import BudgetError, UsageError
from seyolo.options.cut import CutOptions
from seyolo.pruning.groups.atoms import IntArray
from seyolo.pruning.groups.groups import Group, Groups
from seyolo.pruning.planning.ranked import Ranked

FLOOR = 8
WIDE_CHANNELS = 128
WIDE_MULTIPLE = 16


def allowed_counts(ranked: Ranked, options: CutOptions) -> list[IntArray]:
    """Returns per group the counts it may keep, ascending; 0 is among them where its block may be removed."""
    prunable = prunable_groups(ranked, options)
    removable: set[int] = set()
    if options.blocks and options.scope == "all" and not options.least_share:
        blocks = [block for block in ranked.blocks if not set(options.keep) & set(block.layers)]
        removable = {index for block in blocks for index in block.inner if prunable[index]}
    result = []
    for index, group in enumerate(ranked.groups.groups):
        steps = steps_of(group, options.multiple) if prunable[index] else np.array([group.num_channels])
        steps = steps[steps >= options.least_share * group.num_channels]
        result.append(np.insert(steps, 0, 0) if index in removable else steps)
    return result


def steps_of(group: Group, multiple: int | None) -> IntArray:
    """Returns the counts a group may keep, ascending: its floor, multiples of a step above it, its width.

    Floor and step are the multiple, divisible by the parts of the group; by default the step of a wide group
    is twice the floor.
    """
    width = group.num_channels
    floor = step = math.lcm(multiple or FLOOR, group.num_parts)
    if multiple is None and width >= WIDE_CHANNELS:
        step = math.lcm(WIDE_MULTIPLE, group.num_parts)
    return np.unique([min(floor, width), *range(step, width, step), width])


def prunable_groups(ranked: Ranked, options: CutOptions) -> list[bool]:
    """Returns per group whether any of its channels may be removed.

    Raises:
        BudgetError: no group may be pruned.
        UsageError: a layer to keep that the network does not have.
    """
    kept = _kept_whole(ranked.groups, options.keep)
    result = [
        not group.fixed
        and not (options.scope == "plain" and group.in_shortcut)
        and index not in kept
        and bool(np.isfinite(score).all())
        for index, (group, score) in enumerate(zip(ranked.groups.groups, ranked.scores, strict=True))
    ]
    if not any(result):
        raise BudgetError(
            f"nothing can be cut in scope {options.scope}: every convolution there is fixed, is kept, or has "
            f"no importance {ranked.importance} (bn needs batch normalisation; norm does not)"
        )
    return result


def _kept_whole(groups: Groups, layers: Sequence[int]) -> set[int]:
    """Returns the groups that own an output channel of one of these layers."""
    unknown = [layer for layer in layers if not 0 <= layer < len(groups.slots)]
    if unknown:
        raise UsageError(
            f"keep: there is no layer {unknown[0]}; the network has layers 0 to {len(groups.slots) - 1}"
        )
    slots = {slot for layer in layers for slot in groups.slots[layer].tolist()}
    return {index for index, group in enumerate(groups.groups) if not slots.isdisjoint(group.slots.tolist())}
