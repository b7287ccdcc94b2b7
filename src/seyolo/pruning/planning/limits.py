"""Limits that budgets set on the kept channels, and the message for a budget that cannot be met."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from seyolo.options.budget import Budget, Counted
from seyolo.options.cut import CutOptions
from seyolo.pruning.groups.atoms import IntArray
from seyolo.pruning.planning.ranked import Ranked
from seyolo.pruning.planning.widths import FLOOR, allowed_counts, prunable_groups

Latency = Mapping[str, Callable[[IntArray], float]]
"""Per backend, milliseconds as a function of the (groups,) kept channels."""


@dataclass(frozen=True)
class Limit:
    """A budget as a bound on a cost of the kept counts; the cost never falls when a count rises."""

    budget: Budget
    cost: Callable[[IntArray], float]
    most: float
    dense: float

    def holds(self, counts: IntArray) -> bool:
        """Returns True where (groups,) kept channels are within the budget."""
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
        "a smaller multiple": least(replace(options, multiple=1)),
        "no least share": least(replace(options, least_share=0.0)),
        "no layers to keep": least(replace(options, keep=())),
        "scope all": least(replace(options, scope="all")),
        "residual blocks to be removed": least(replace(options, blocks=True)),
        f"another importance than {ranked.importance}": least(options, scored),
    }
    helpful = [f"{way} ({budget.cost_text(cost)})" for way, cost in ways.items() if cost < reached]
    way_out = f", or allow {' or '.join(helpful)}" if helpful else ""
    return (
        f"budget {budget} cannot be met: {_reasons(ranked, options)}; that leaves "
        f"{budget.cost_text(reached)} of {budget.cost_text(limit.dense)} {budget.unit}; "
        f"the nearest budget is {budget.nearest(reached, limit.dense)}{way_out}"
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
