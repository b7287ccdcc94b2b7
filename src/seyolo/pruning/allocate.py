"""Allocation: how many channels each group keeps so that every budget holds.

One global threshold on importance, as in Network Slimming (Liu 2017): the counts it leaves are rounded to
the nearest multiple, never below the floor of one multiple (or the width where that is smaller), and the
lowest threshold that meets the budgets is found by bisection. What then still fits is added back in whole
multiples, the most important first.

Unless a multiple is named, it is 8, and 16 in groups of 128 channels and more: runtimes on a CPU with 512-bit
vectors compute channels in sixteens, so 8 odd channels of a wide layer cost as much as 16.

A group inside a removable residual block may also keep nothing: where the threshold leaves it less than half
of its floor, the block goes as a whole, and climbs back as a whole when that is worth more than other steps.

Scope `all` cuts every group that is not fixed; `plain` only convolutions that no shortcut touches, the
published cut. `channels=` counts the output channels of the convolutions in scope.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from seyolo.darknet.cfg import Network
from seyolo.errors import BudgetError, UsageError
from seyolo.pruning.atoms import IntArray
from seyolo.pruning.blocks import Block, settled
from seyolo.pruning.budget import Budget, format_count
from seyolo.pruning.cost_model import CostModel
from seyolo.pruning.groups import Group, Groups
from seyolo.pruning.importance import FloatArray

Scope = Literal["all", "plain"]
FLOOR = 8
WIDE_CHANNELS = 128
WIDE_MULTIPLE = 16


@dataclass(frozen=True)
class Limit:
    """A budget as a bound on a cost of the kept counts that never falls when a count rises."""

    budget: Budget
    cost: Callable[[IntArray], float]
    most: float
    dense: float

    def holds(self, counts: IntArray) -> bool:
        """Whether (groups,) kept channels are within the budget."""
        return self.cost(counts) <= self.most


@dataclass(frozen=True, eq=False)
class Ladder:
    """What one group may keep: `steps` ascending, and the importance of its channels in order of rank.

    `ranked` (num_channels,) never rises; in a divided group the r-th best of every part share a place and the
    largest of their scores, since they stay together.
    """

    steps: IntArray
    ranked: FloatArray

    def nearest(self, count: int) -> int:
        """The step closest to `count`; of two equally close the larger."""
        distance = np.abs(self.steps - count)
        return int(self.steps[np.flatnonzero(distance == distance.min())[-1]])

    def above(self, count: int) -> int | None:
        """The next step after `count`."""
        higher = self.steps[self.steps > count]
        return int(higher[0]) if len(higher) else None


def allocate(
    network: Network,
    groups: Groups,
    scores: Sequence[FloatArray],
    budgets: Sequence[Budget],
    *,
    scope: Scope = "all",
    multiple: int | None = None,
    least_share: float = 0.0,
    blocks: Sequence[Block] = (),
    latency: Mapping[str, Callable[[IntArray], float]] | None = None,
    size: tuple[int, int] | None = None,
) -> tuple[IntArray, ...]:
    """The kept channels of each group, ascending indices in [0, num_channels); of a removed block none.

    Args:
        network: the dense network.
        groups: its groups.
        scores: per group (num_channels,) importance; a group with an infinite score stays whole.
        budgets: all of them hold in the result.
        scope: `all`, or `plain` for convolutions that no shortcut touches.
        multiple: kept counts are multiples of this, or the whole width; by default 8, and 16 in wide groups.
        least_share: every group keeps at least this share of its channels.
        blocks: residual blocks that may be removed as a whole.
        latency: per backend named in a budget, milliseconds as a function of the kept counts.
        size: (height, width) in pixels at which MACs count; by default the `[net]` size.

    Raises:
        BudgetError: a budget cannot be met, with the nearest that can; or nothing can be cut at all.
        UsageError: an unknown scope, a multiple below 1 or a share outside [0, 1].
    """
    if not 0 <= least_share <= 1:
        raise UsageError(f"least_share={least_share}: the share every group keeps is between 0 and 1")
    cuttable = _cuttable(groups, scores, scope, multiple)
    removable = {index for block in blocks for index in block.inner if cuttable[index]}
    ladders = []
    for index, (group, score) in enumerate(zip(groups.groups, scores, strict=True)):
        steps = steps_of(group, multiple) if cuttable[index] else np.array([group.num_channels])
        steps = steps[steps >= least_share * group.num_channels]
        if index in removable and not least_share:
            steps = np.insert(steps, 0, 0)
        ladders.append(_ladder(group, score, steps))
    model = CostModel(network, groups, size, blocks)
    limits = _limits(model, groups, budgets, cuttable, latency or {})
    floors = np.array([ladder.steps[0] for ladder in ladders])
    _check_feasible(limits, floors, scope, multiple or FLOOR)
    counts = settled(_add_back(ladders, limits, _by_threshold(ladders, limits, floors)), blocks)
    return tuple(
        _best(group, score, int(count))
        for group, score, count in zip(groups.groups, scores, counts, strict=True)
    )


def steps_of(group: Group, multiple: int | None) -> IntArray:
    """The counts a group may keep, ascending: its floor, every multiple of a step above it, its width.

    Floor and step are the multiple, divisible by the group's parts; by default a wide group climbs in double
    steps.
    """
    width = group.num_channels
    floor = step = math.lcm(multiple or FLOOR, group.num_parts)
    if multiple is None and width >= WIDE_CHANNELS:
        step = math.lcm(WIDE_MULTIPLE, group.num_parts)
    return np.unique([min(floor, width), *range(step, width, step), width])


def _cuttable(groups: Groups, scores: Sequence[FloatArray], scope: Scope, multiple: int | None) -> list[bool]:
    if scope not in ("all", "plain"):
        raise UsageError(f"there is no scope {scope!r}; choose all or plain")
    if multiple is not None and multiple < 1:
        raise UsageError(f"multiple={multiple}: channels are kept in multiples of at least 1")
    result = [
        not group.fixed and not (scope == "plain" and group.in_shortcut) and bool(np.isfinite(score).all())
        for group, score in zip(groups.groups, scores, strict=True)
    ]
    if not any(result):
        raise BudgetError(
            f"nothing can be cut in scope {scope}: no convolution there is free and has an importance "
            "(importance bn needs batch normalisation; norm does not)"
        )
    return result


def _ladder(group: Group, scores: FloatArray, steps: IntArray) -> Ladder:
    """The ladder of a group that may keep any of `steps` channels."""
    num_parts = group.num_parts
    by_part = -np.sort(-np.stack([scores[group.parts == part] for part in range(num_parts)]), axis=1)
    return Ladder(steps, np.repeat(by_part.max(axis=0), num_parts))


def _limits(
    model: CostModel,
    groups: Groups,
    budgets: Sequence[Budget],
    cuttable: Sequence[bool],
    latency: Mapping[str, Callable[[IntArray], float]],
) -> list[Limit]:
    members = np.array([len(g.layers) if cut else 0 for g, cut in zip(groups.groups, cuttable, strict=True)])
    costs: dict[str, Callable[[IntArray], float]] = {
        "macs": model.macs,
        "params": model.params,
        "channels": lambda counts: int(members @ counts),
    }
    limits = []
    for budget in budgets:
        cost = latency[budget.backend] if budget.kind == "latency" else costs[budget.kind]
        dense = cost(model.widths)
        limits.append(Limit(budget, cost, budget.limit(dense), dense))
    return limits


def _check_feasible(limits: Sequence[Limit], floors: IntArray, scope: Scope, multiple: int) -> None:
    for limit in limits:
        least = limit.cost(floors)
        if least > limit.most:
            way_out = "a smaller multiple" if scope == "all" else "a smaller multiple or scope all"
            raise BudgetError(
                f"budget {limit.budget} cannot be met: every group keeps at least {multiple} channels (or "
                f"its width, or its least share), and with what scope {scope} does not cut that leaves "
                f"{_amount(limit, least)}; "
                f"the nearest budget is {_nearest(limit, least)}, or take {way_out}"
            )


def _amount(limit: Limit, least: float) -> str:
    if limit.budget.kind == "latency":
        return f"{least:.3g} of {limit.dense:.3g} ms on {limit.budget.backend}"
    return f"{format_count(least)} of {format_count(limit.dense)} {limit.budget.kind}"


def _nearest(limit: Limit, least: float) -> str:
    """The nearest feasible budget as text, rounded to the feasible side."""
    if limit.budget.kind == "channels":
        removed = limit.dense - least
        amount = math.floor(removed / limit.dense * 1000) / 1000 if limit.budget.is_share else removed
    elif limit.budget.is_share:
        amount = math.ceil(least / limit.dense * 1000) / 1000
    else:
        amount = math.ceil(least * 100) / 100 if limit.budget.kind == "latency" else least
    return limit.budget.with_amount(amount)


def _by_threshold(ladders: Sequence[Ladder], limits: Sequence[Limit], floors: IntArray) -> IntArray:
    """The counts of the lowest global threshold that meets every limit."""

    def counts_at(threshold: float) -> IntArray:
        return np.array([ladder.nearest(int((ladder.ranked > threshold).sum())) for ladder in ladders])

    scores = [ladder.ranked for ladder in ladders if len(ladder.steps) > 1]
    thresholds = np.unique(np.concatenate([[-np.inf], *scores]))
    low, high = 0, len(thresholds)
    while low < high:
        middle = (low + high) // 2
        counts = counts_at(thresholds[middle])
        if all(limit.holds(counts) for limit in limits):
            high = middle
        else:
            low = middle + 1
    return counts_at(thresholds[low]) if low < len(thresholds) else floors


def _add_back(ladders: Sequence[Ladder], limits: Sequence[Limit], counts: IntArray) -> IntArray:
    """Climbs ladders while the limits hold, the most important step first.

    Among equals the group that kept the smallest share climbs, so that equal scores narrow all groups alike.
    A step that does not fit never will, since costs only grow.
    """
    counts = counts.copy()

    def entry(index: int) -> list[tuple[float, float, int, int]]:
        ladder, count = ladders[index], int(counts[index])
        above = ladder.above(count)
        if above is None:
            return []
        return [(-float(ladder.ranked[count:above].mean()), count / len(ladder.ranked), index, above)]

    heap = [item for index in range(len(ladders)) for item in entry(index)]
    heapq.heapify(heap)
    while heap:
        _, _, index, above = heapq.heappop(heap)
        before, counts[index] = counts[index], above
        if all(limit.holds(counts) for limit in limits):
            for item in entry(index):
                heapq.heappush(heap, item)
        else:
            counts[index] = before
    return counts


def _best(group: Group, scores: FloatArray, count: int) -> IntArray:
    """The most important `count` channels, equally many of each part; of equals the first."""
    per_part = count // group.num_parts
    order = np.argsort(-scores, kind="stable")
    kept = [order[group.parts[order] == part][:per_part] for part in range(group.num_parts)]
    return np.sort(np.concatenate(kept))
