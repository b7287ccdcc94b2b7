"""Allocation: the number of channels of each group to keep, so that every budget holds.

One global threshold on importance, as in Network Slimming (Liu 2017): the counts above it are rounded to the
nearest multiple, never below the floor of one multiple (or the width where that is smaller), and bisection
finds the lowest threshold that meets the budgets. Channels that still fit are added back in whole multiples,
the most important first. With evenness e the r-th best of n channels counts (n / r)^e times its importance,
so that no group is pruned to its floor while others are wide: a trunk that many blocks add to has the mean of
many scales, which is never large. Scores of an importance with `per_cost` are divided by the share of the
budgets that a channel costs.

A group inside a removable residual block may also keep nothing: where the threshold leaves it less than half
of its floor, the whole block is removed, and added back as a whole when that is worth more than other steps.
Under a latency budget with scores `per_cost` a block competes as one: by the sum of the scores of its
channels, divided by what it costs, its layers' fixed time included. The blocks of a trunk have ranks and
evenness among each other, as the channels of a group have.

Scope `all` prunes every group that is not fixed; `plain` only convolutions that no shortcut touches, the
published cut. `channels=` counts the output channels of the convolutions in scope.
"""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from seyolo.errors import BudgetError
from seyolo.options.budget import Budget, LatencyBudget
from seyolo.options.cut import DEFAULT_CUT, CutOptions
from seyolo.pruning.groups.atoms import FloatArray, IntArray
from seyolo.pruning.groups.blocks import Block, settled
from seyolo.pruning.groups.groups import Group
from seyolo.pruning.planning.limits import Latency, Limit, allowed_counts, infeasible, limits_of
from seyolo.pruning.planning.prunable import Ranked

PER_COST_EVENNESS = 2.0
LEAST_SAVING = 1e-9  # share of a budget that narrowing a group saves at least: latency may see no difference


@dataclass(frozen=True, eq=False)
class Ladder:
    """Counts that one group may keep, and the importance of its channels in order of rank."""

    steps: IntArray  # ascending
    ranked: FloatArray  # (num_channels,), evenness included; never rises
    block: float | None = None  # importance of its residual block, where that is kept or removed by its own

    def above(self, threshold: float) -> int:
        """Returns the step closest to the number of channels above a threshold; of two the larger.

        None of them is kept where the block does not rise above the threshold.
        """
        steps = self.steps
        if self.block is not None:
            if self.block <= threshold:
                return 0
            steps = steps[steps > 0]
        distance = np.abs(steps - (self.ranked > threshold).sum())
        return int(steps[np.flatnonzero(distance == distance.min())[-1]])

    def worth(self, count: int, above: int) -> float:
        """Returns the mean importance of the channels of a step."""
        return self.block if count == 0 and self.block is not None else float(self.ranked[count:above].mean())


def allocate(
    ranked: Ranked,
    budgets: Sequence[Budget],
    options: CutOptions = DEFAULT_CUT,
    latency: Latency | None = None,
) -> tuple[IntArray, ...]:
    """Returns the slots of each group to keep, ascending; none of a group in a removed block.

    All budgets hold in the result; a `BudgetError` names the nearest that can be met. Without an evenness in
    the options it is 0.
    """
    if any(budget.by_threshold for budget in budgets):
        ranked = replace(ranked, blocks=())
    steps = allowed_counts(ranked, options)
    limits = limits_of(ranked, budgets, options, latency or {})
    floors = np.array([counts[0] for counts in steps])
    for limit in limits:
        if not limit.holds(floors):
            raise BudgetError(infeasible(limit, ranked, options))
    groups, scores = ranked.groups.groups, ranked.scores
    prices = _prices(limits, ranked.costs.widths, steps) if ranked.per_cost else np.ones(len(scores))
    whole = _block_worths(ranked, limits, steps, options.evenness or 0.0)
    ladders = [
        _ladder(group, score / price, counts, options.evenness or 0.0, block=whole.get(index))
        for index, (group, score, price, counts) in enumerate(zip(groups, scores, prices, steps, strict=True))
    ]
    counts = settled(_add_back(ladders, limits, _by_threshold(ladders, limits, floors)), ranked.blocks)
    return tuple(
        _best(group, score, int(count)) for group, score, count in zip(groups, scores, counts, strict=True)
    )


def _prices(limits: Sequence[Limit], widths: IntArray, steps: Sequence[IntArray]) -> FloatArray:
    """Returns (groups,) the cost of a channel in shares of the dense network, summed over the limits.

    It is the mean over the channels that may be removed while all other groups are whole.
    """
    prices = np.ones(len(widths))
    for index, (width, counts) in enumerate(zip(widths, steps, strict=True)):
        least = counts[counts > 0][0]
        if least < width:
            narrow = widths.copy()
            narrow[index] = least
            saved = sum((limit.dense - limit.cost(narrow)) / limit.dense for limit in limits)
            prices[index] = max(saved, LEAST_SAVING) / (width - least)  # saved cost per channel
    return prices


def _block_worths(
    ranked: Ranked, limits: Sequence[Limit], steps: Sequence[IntArray], evenness: float
) -> dict[int, float]:
    """Returns per group inside a removable block the importance of the block per cost, evenness included.

    Nothing without a latency budget, for which alone the fixed time of the layers counts, and for scores that
    are no changes of the outputs.
    """
    if not ranked.per_cost or not any(isinstance(limit.budget, LatencyBudget) for limit in limits):
        return {}
    trunks: dict[int, list[tuple[float, Block]]] = {}
    for block in ranked.blocks:
        if all(steps[index][0] == 0 for index in block.inner):
            without = ranked.costs.widths.copy()
            without[list(block.inner)] = 0
            saved = sum((limit.dense - limit.cost(without)) / limit.dense for limit in limits)
            # What the branch computes from its inner channels is the change of the outputs without it.
            change = max(float(ranked.scores[index].sum()) for index in block.inner)
            trunk = int(ranked.groups.slots[block.shortcut][0])
            trunks.setdefault(trunk, []).append((change / max(saved, LEAST_SAVING), block))
    worths: dict[int, float] = {}
    for blocks in trunks.values():
        for rank, (worth, block) in enumerate(sorted(blocks, key=lambda item: -item[0]), 1):
            worths |= dict.fromkeys(block.inner, worth * (len(blocks) / rank) ** evenness)
    return worths


def _ladder(
    group: Group, scores: FloatArray, steps: IntArray, evenness: float, *, block: float | None = None
) -> Ladder:
    """Returns the ladder of a group that may keep any of `steps` channels.

    The r-th best of every part share a rank and the largest of their scores: they are kept together.
    """
    num_parts = group.num_parts
    by_part = -np.sort(-np.stack([scores[group.parts == part] for part in range(num_parts)]), axis=1)
    best = by_part.max(axis=0)
    rank = np.arange(1, len(best) + 1)
    return Ladder(steps, np.repeat(best * (len(best) / rank) ** evenness, num_parts), block)  # s_r (n / r)^e


def _by_threshold(ladders: Sequence[Ladder], limits: Sequence[Limit], floors: IntArray) -> IntArray:
    """Returns the counts of the lowest global threshold that meets every limit, by bisection."""

    def counts_at(threshold: float) -> IntArray:
        return np.array([ladder.above(threshold) for ladder in ladders])

    scores = [ladder.ranked for ladder in ladders if len(ladder.steps) > 1]
    blocks = [ladder.block for ladder in ladders if ladder.block is not None]
    thresholds = np.unique(np.concatenate([[-np.inf], blocks, *scores]))
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
    """Adds steps while the limits hold, the most important first.

    Among equals the group that keeps the smallest share comes first, so that equal scores narrow all groups
    alike. A step that does not fit is never tried again, since costs only grow.
    """
    counts = counts.copy()
    heap: list[tuple[float, float, int, int]] = []

    def push(index: int) -> None:
        ladder, count = ladders[index], int(counts[index])
        for above in ladder.steps[ladder.steps > count][:1].tolist():
            heapq.heappush(heap, (-ladder.worth(count, above), count / len(ladder.ranked), index, above))

    for index in range(len(ladders)):
        push(index)
    while heap:
        _, _, index, above = heapq.heappop(heap)
        before, counts[index] = counts[index], above
        if all(limit.holds(counts) for limit in limits):
            push(index)
        else:
            counts[index] = before
    return counts


def _best(group: Group, scores: FloatArray, count: int) -> IntArray:
    """Returns the most important `count` channels, equally many of each part; of equals the first."""
    per_part = count // group.num_parts
    order = np.argsort(-scores, kind="stable")
    kept = [order[group.parts[order] == part][:per_part] for part in range(group.num_parts)]
    return np.sort(np.concatenate(kept))


def with_evenness(
    options: CutOptions, ranked: Ranked, budgets: Sequence[Budget], macs_share: float = 1.0
) -> CutOptions:
    """Returns the options with an evenness where none is given.

    It depends on the budgets, on the importance (decision 0016), and on the share of the MACs that an even
    importance leaves (decision 0012).
    """
    if options.evenness is not None:
        return options
    if any(budget.by_threshold for budget in budgets):
        return replace(options, evenness=0.0)
    usual = 0.0 if macs_share >= 0.25 else 0.5 if macs_share >= 0.15 else 1.0
    return replace(options, evenness=PER_COST_EVENNESS if ranked.per_cost else usual)
