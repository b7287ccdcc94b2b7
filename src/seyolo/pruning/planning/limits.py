"""Limits on the kept channels: the widths that a group may keep, and the bounds that budgets set.

A group keeps none, its floor, multiples above it, or all of its channels. Unless a multiple is named, it is
8, and 16 in groups of 128 channels and more: runtimes on a CPU with 512-bit vectors compute channels in
sixteens, so 8 odd channels of a wide layer cost as much as 16 (decision 0005).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from seyolo.errors import BudgetError, UsageError
from seyolo.options.budget import Budget, Counted
from seyolo.options.cut import CutOptions
from seyolo.pruning.groups.atoms import IntArray
from seyolo.pruning.groups.groups import Group, Groups
from seyolo.pruning.planning.prunable import Ranked

Latency = Mapping[str, Callable[[IntArray], float]]  # per backend, ms of the (groups,) kept channels
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
    """Returns per group whether any of its channels may be removed; a `BudgetError` where none may."""
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


@dataclass(frozen=True)
class Limit:
    """A budget as a bound on a cost of the kept channels; the cost never falls when a count rises."""

    budget: Budget
    cost: Callable[[IntArray], float]
    most: float
    dense: float

    def holds(self, counts: IntArray) -> bool:
        """Tells whether (groups,) kept channels are within the budget."""
        return self.cost(counts) <= self.most


def limits_of(
    ranked: Ranked, budgets: Sequence[Budget], options: CutOptions, latency: Latency
) -> list[Limit]:
    """Returns the bounds that budgets set."""
    prunable = prunable_groups(ranked, options)
    owners = [len(g.layers) if may else 0 for g, may in zip(ranked.groups.groups, prunable, strict=True)]
    counted = Counted(ranked.costs, np.array(owners), latency)
    limits = []
    for budget in budgets:
        cost = budget.cost(counted)
        dense = cost(ranked.costs.widths)
        limits.append(Limit(budget, cost, budget.limit(dense), dense))
    return limits


def infeasible(limit: Limit, ranked: Ranked, options: CutOptions) -> str:
    """Returns the message for a limit that cannot be met: the reasons, the nearest budget, and ways out."""

    def least(options: CutOptions, ranked: Ranked = ranked) -> float:
        return limit.cost(np.array([counts[0] for counts in allowed_counts(ranked, options)]))

    budget, reached = limit.budget, least(options)
    scored = replace(ranked, scores=[np.where(np.isfinite(score), score, 0.0) for score in ranked.scores])
    ways = {
        "--multiple 1": least(replace(options, multiple=1)),
        "--least-share 0": least(replace(options, least_share=0.0)),
        "no --keep": least(replace(options, keep=())),
        "--scope all": least(replace(options, scope="all")),
        "residual blocks to be removed": least(replace(options, blocks=True)),
        f"another --importance than {ranked.importance}": least(options, scored),
    }
    dense = f"{budget.cost_text(limit.dense)} {budget.unit}"
    helpful = [f"{way} ({budget.cost_text(cost)} of {dense})" for way, cost in ways.items() if cost < reached]
    way_out = f", or allow {' or '.join(helpful)}" if helpful else ""
    return (
        f"budget {budget} cannot be met: {_reasons(ranked, options)}; that leaves "
        f"{budget.cost_text(reached)} of {dense}; "
        f"the nearest budget is --budget {budget.nearest(reached, limit.dense)}{way_out}"
    )


def _reasons(ranked: Ranked, options: CutOptions) -> str:
    """Returns the options that keep channels, in words."""
    floor = options.multiple or FLOOR
    reasons = [f"every group keeps at least {floor} channel{'s' if floor > 1 else ''} (or its width)"]
    if options.least_share:
        reasons.append(f"and {100 * options.least_share:g} % of its own")
    if options.keep:
        reasons.append(f"all channels of layer {' and '.join(map(str, options.keep))} are kept")
    if options.scope == "plain":
        reasons.append("scope plain prunes no channel that a shortcut touches")
    unranked = sum(
        not group.fixed and not np.isfinite(score).all()
        for group, score in zip(ranked.groups.groups, ranked.scores, strict=True)
    )
    if unranked:
        groups = "groups" if unranked > 1 else "group"
        reasons.append(f"importance {ranked.importance} cannot rank {unranked} {groups}")
    return ", ".join(reasons)
