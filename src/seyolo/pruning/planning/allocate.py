"""Allocation: how many channels each group keeps so that every budget holds.

One global threshold on importance, as in Network Slimming (Liu 2017): the counts it leaves are rounded to
the nearest multiple, never below the floor of one multiple (or the width where that is smaller), and the
lowest threshold that meets the budgets is found by bisection. What then still fits is added back in whole
multiples, the most important first. With evenness a channel counts the more the fewer of its group are
before it, so that no group is cut to its floor while others stay wide: a trunk that many blocks add to has
the mean of many scales, which is never large. Where importance is a change of the outputs (`obs`), a channel
counts by its importance for each share of the budgets that it costs.

A group inside a removable residual block may also keep nothing: where the threshold leaves it less than half
of its floor, the block goes as a whole, and climbs back as a whole when that is worth more than other steps.

Scope `all` cuts every group that is not fixed; `plain` only convolutions that no shortcut touches, the
published cut. `channels=` counts the output channels of the convolutions in scope.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from seyolo.darknet.cfg import Network
from seyolo.errors import BudgetError
from seyolo.pruning.groups.atoms import IntArray
from seyolo.pruning.groups.blocks import Block, settled
from seyolo.pruning.groups.groups import Group, Groups
from seyolo.pruning.importance.scores import FloatArray
from seyolo.pruning.planning.budget import Budget
from seyolo.pruning.planning.cost_model import CostModel
from seyolo.pruning.planning.limits import Limit, infeasible, limits_of
from seyolo.pruning.planning.options import DEFAULTS, PlanOptions
from seyolo.pruning.planning.widths import allowed_counts, cuttable_groups

LEAST_SAVING = 1e-9
"""Share of a budget that narrowing a group saves at least, where a latency table sees no difference."""


@dataclass(frozen=True, eq=False)
class Ladder:
    """What one group may keep: `steps` ascending, and the importance of its channels in order of rank.

    `ranked` (num_channels,), evenness included, never rises; in a divided group the r-th best of every part
    share a place and the largest of their scores, since they stay together.
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
    options: PlanOptions = DEFAULTS,
    *,
    blocks: Sequence[Block] = (),
    latency: Mapping[str, Callable[[IntArray], float]] | None = None,
) -> tuple[IntArray, ...]:
    """The kept channels of each group, ascending indices in [0, num_channels); of a removed block none.

    Args:
        network: the dense network.
        groups: its groups.
        scores: per group (num_channels,) importance; a group with an infinite score stays whole.
        budgets: all of them hold in the result.
        options: how to decide.
        blocks: residual blocks that may be removed as a whole where the options let them.
        latency: per backend named in a budget, milliseconds as a function of the kept counts.

    Raises:
        BudgetError: a budget cannot be met, with what keeps the channels and the nearest that can; or nothing
            can be cut at all.
        UsageError: a layer to keep that the network does not have.
    """
    if any(budget.kind == "channels" for budget in budgets):
        blocks = ()
    steps = allowed_counts(groups, scores, options, blocks)
    model = CostModel(network, groups, options.size_hw, blocks)
    limits = limits_of(model, groups, budgets, cuttable_groups(groups, scores, options), latency or {})
    floors = np.array([counts[0] for counts in steps])
    for limit in limits:
        if limit.cost(floors) > limit.most:
            raise BudgetError(infeasible(limit, groups, scores, options, blocks))
    prices = _prices(limits, model.widths, steps) if options.importance == "obs" else np.ones(len(scores))
    ladders = [
        _ladder(group, score / price, counts, options.evenness or 0.0)
        for group, score, price, counts in zip(groups.groups, scores, prices, steps, strict=True)
    ]
    counts = settled(_add_back(ladders, limits, _by_threshold(ladders, limits, floors)), blocks)
    return tuple(
        _best(group, score, int(count))
        for group, score, count in zip(groups.groups, scores, counts, strict=True)
    )


def _prices(limits: Sequence[Limit], widths: IntArray, steps: Sequence[IntArray]) -> FloatArray:
    """(groups,) what a channel costs in shares of the dense network, summed over the limits.

    The mean over those that may go while all other groups are whole.
    """
    prices = np.ones(len(widths))
    for index, (width, counts) in enumerate(zip(widths, steps, strict=True)):
        least = counts[counts > 0][0]
        if least < width:
            narrow = widths.copy()
            narrow[index] = least
            saved = sum((limit.dense - limit.cost(narrow)) / limit.dense for limit in limits)
            prices[index] = max(saved, LEAST_SAVING) / (width - least)
    return prices


def _ladder(group: Group, scores: FloatArray, steps: IntArray, evenness: float) -> Ladder:
    """The ladder of a group that may keep any of `steps` channels."""
    num_parts = group.num_parts
    by_part = -np.sort(-np.stack([scores[group.parts == part] for part in range(num_parts)]), axis=1)
    best = by_part.max(axis=0)
    rank = np.arange(1, len(best) + 1)
    return Ladder(steps, np.repeat(best * (len(best) / rank) ** evenness, num_parts))


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
