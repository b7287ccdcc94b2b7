"""Latency as measured: the planned network is built and timed, and planned again where that is too slow.

Dense and slim run side by side, so that a machine that is slow today is slow for both.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import replace

from seyolo.checkpoint import Checkpoint
from seyolo.errors import BudgetError
from seyolo.progress import Progress
from seyolo.pruning.cutting.cut import cut
from seyolo.pruning.planning.budget import Budget
from seyolo.pruning.planning.latency import measure
from seyolo.pruning.planning.plan import Plan
from seyolo.pruning.planning.planner import Draft

REPEATS = 30
MOST_ROUNDS = 4
"""Plans after the first one."""
LOOSE = 0.9
"""Share of a budget below which a plan gives away more than it has to."""
AIM = 0.97
"""Share of a budget that the next plan is made for: timings scatter by a few percent."""


def timed(plan: Plan, dense: Checkpoint, backends: Iterable[str]) -> Plan:
    """The plan with the measured milliseconds of the dense and the planned network on each backend.

    Raises:
        BackendError: a backend is not installed or does not run this network.
        PlanError: the plan is not for `dense`.
    """
    slim = cut(dense, plan.masks(dense.network), plan.blocks_removed)
    pairs = {backend: measure([dense, slim], backend, REPEATS) for backend in backends}
    return replace(
        plan,
        dense_ms={backend: round(before, 3) for backend, (before, _) in pairs.items()},
        measured_ms={backend: round(after, 3) for backend, (_, after) in pairs.items()},
    )


def plan_by_measurement(draft: Draft, progress: Progress) -> Plan:
    """The plan whose network meets all budgets of a draft, that of latency as measured.

    The first plan trusts the prediction. While the network is too slow, the next one is planned as much
    faster as it has to be; one that is over 10 % faster than it has to be is made wider, once. Of the
    networks that meet the budget the slowest is taken: it gave away least.

    Args:
        draft: one of its budgets is of latency.
        progress: told of every round.

    Raises:
        BudgetError: a budget cannot be met by prediction, or is not met by measurement after all rounds, with
            the nearest that was measured.
    """
    budget = next(budget for budget in draft.budgets if budget.kind == "latency")
    tried: list[Plan] = []
    target, loosened = budget, False
    while len(tried) <= MOST_ROUNDS:
        budgets = [target if other is budget else other for other in draft.budgets]
        plan = _next_plan(draft, budgets, tried)
        if plan is None:
            break
        tried.append(plan)
        load = _load(plan, budget)
        progress.message(_round_text(plan, budget, load))
        if LOOSE <= load <= 1 or (load < LOOSE and loosened):
            break
        loosened = loosened or load < LOOSE
        amount = AIM * plan.latency_ms[budget.backend] / load
        target = Budget("latency", amount, is_share=False, backend=budget.backend)
    met = [plan for plan in tried if _load(plan, budget) <= 1]
    if not met:
        raise BudgetError(_not_met(tried, budget))
    return max(met, key=lambda plan: plan.measured_ms[budget.backend])


def _next_plan(draft: Draft, budgets: Sequence[Budget], tried: Sequence[Plan]) -> Plan | None:
    """The plan of these budgets, measured; None where it is nothing new after those already tried."""
    try:
        plan = draft.plan(budgets, {backend: table.predict for backend, table in draft.tables.items()})
    except BudgetError:
        if not tried:
            raise
        return None
    if any(plan.groups == other.groups for other in tried):
        return None
    return timed(plan, draft.file, draft.tables)


def _load(plan: Plan, budget: Budget) -> float:
    """Measured milliseconds as a share of what the budget allows."""
    return plan.measured_ms[budget.backend] / budget.limit(plan.dense_ms[budget.backend])


def _round_text(plan: Plan, budget: Budget, load: float) -> str:
    predicted, measured = plan.latency_ms[budget.backend], plan.measured_ms[budget.backend]
    dense = plan.dense_ms[budget.backend]
    verdict = "too slow" if load > 1 else "met" if load >= LOOSE else "met with room to spare"
    return (
        f"{budget}: predicted {predicted:.3g} ms, measured {measured:.3g} ms of at most "
        f"{budget.limit(dense):.3g} ms (dense {dense:.3g} ms): {verdict}"
    )


def _not_met(tried: Sequence[Plan], budget: Budget) -> str:
    nearest = min(tried, key=lambda plan: _load(plan, budget))
    measured, dense = nearest.measured_ms[budget.backend], nearest.dense_ms[budget.backend]
    # Rounded to the feasible side.
    amount = math.ceil(measured / dense * 1000) / 1000 if budget.is_share else math.ceil(measured * 100) / 100
    return (
        f"budget {budget} is not met: of {len(tried)} planned networks, built and timed on {budget.backend}, "
        f"the fastest takes {measured:.3g} ms and the dense one {dense:.3g} ms; the nearest budget is "
        f"{budget.with_amount(amount)}"
    )
