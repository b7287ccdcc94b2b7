"""Budgets as bounds on what a network costs, and what to say when one cannot be met."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from seyolo.pruning.groups.atoms import IntArray
from seyolo.pruning.groups.blocks import Block
from seyolo.pruning.groups.groups import Groups
from seyolo.pruning.importance.scores import FloatArray
from seyolo.pruning.planning.budget import Budget, format_count
from seyolo.pruning.planning.cost_model import CostModel
from seyolo.pruning.planning.options import PlanOptions
from seyolo.pruning.planning.widths import FLOOR, allowed_counts


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


def limits_of(
    model: CostModel,
    groups: Groups,
    budgets: Sequence[Budget],
    cuttable: Sequence[bool],
    latency: Mapping[str, Callable[[IntArray], float]],
) -> list[Limit]:
    """The bounds that budgets set; `channels` counts the convolutions of the `cuttable` groups."""
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


def infeasible(
    limit: Limit,
    groups: Groups,
    scores: Sequence[FloatArray],
    options: PlanOptions,
    blocks: Sequence[Block],
) -> str:
    """What keeps the channels that are too many for a limit, and how far giving way in one thing would go."""

    def least(options: PlanOptions, scores: Sequence[FloatArray] = scores) -> float:
        return limit.cost(np.array([counts[0] for counts in allowed_counts(groups, scores, options, blocks)]))

    reached = least(options)
    ranked = [np.where(np.isfinite(score), score, 0.0) for score in scores]
    ways = {
        "a smaller multiple": least(replace(options, multiple=1)),
        "no least share": least(replace(options, least_share=0.0)),
        "no layers to keep": least(replace(options, keep=())),
        "scope all": least(replace(options, scope="all")),
        "residual blocks to go": least(replace(options, blocks=True)),
        f"another importance than {options.importance}": least(options, ranked),
    }
    helpful = [f"{way} ({_amount(limit, cost)})" for way, cost in ways.items() if cost < reached]
    way_out = f", or allow {' or '.join(helpful)}" if helpful else ""
    unit = f"ms on {limit.budget.backend}" if limit.budget.kind == "latency" else limit.budget.kind
    return (
        f"budget {limit.budget} cannot be met: {_what_keeps(groups, scores, options)}; that leaves "
        f"{_amount(limit, reached)} of {_amount(limit, limit.dense)} {unit}; "
        f"the nearest budget is {_nearest(limit, reached)}{way_out}"
    )


def _what_keeps(groups: Groups, scores: Sequence[FloatArray], options: PlanOptions) -> str:
    """The choices that keep channels, in words."""
    floor = options.multiple or FLOOR
    reasons = [f"every group keeps at least {floor} channel{'s' if floor > 1 else ''} (or its width)"]
    if options.least_share:
        reasons.append(f"and {100 * options.least_share:g} % of its own")
    if options.keep:
        reasons.append(f"what layer {' and '.join(map(str, options.keep))} puts out stays")
    if options.scope == "plain":
        reasons.append("scope plain cuts nothing that a shortcut touches")
    unranked = sum(
        not group.fixed and not np.isfinite(score).all()
        for group, score in zip(groups.groups, scores, strict=True)
    )
    if unranked:
        reasons.append(f"importance {options.importance} ranks {unranked} groups not at all")
    return ", ".join(reasons)


def _amount(limit: Limit, cost: float) -> str:
    return f"{cost:.3g}" if limit.budget.kind == "latency" else format_count(cost)


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
