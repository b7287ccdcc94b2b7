"""Latency budgets held by measurement: the planned network is built, timed, and planned again if too slow.

Dense and pruned network run side by side, so that a slow moment of the machine slows both.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from seyolo.errors import BudgetError
from seyolo.options.budget import Budget, LatencyBudget
from seyolo.pruning.planning.plan import Plan

if TYPE_CHECKING:
    from seyolo.pruning.planning.planner import Planner

MOST_ROUNDS = 4  # plans after the first one
LOOSE = 0.9  # share of a budget below which a plan prunes more than it has to
AIM = 0.97  # share of a budget that the next plan is made for: timings scatter by a few percent


def meet_latency(planner: Planner, budgets: Sequence[Budget], latency: LatencyBudget) -> Plan:
    """Returns the plan whose network meets all budgets, the latency as measured.

    The first plan trusts the prediction. While the network is too slow, the next one is planned as much
    faster as it has to be; one that is over 10 % faster than it has to be is made wider, once. Of the
    networks that meet the budget the slowest is taken: it keeps most.

    `latency` is one of the budgets. A `BudgetError` names the nearest that was measured.
    """
    tried: list[Plan] = []
    target, loosened = latency, False
    while len(tried) <= MOST_ROUNDS:
        plan = _next_plan(planner, [target if budget is latency else budget for budget in budgets], tried)
        if plan is None:
            break
        tried.append(plan)
        load = _load(plan, latency)
        planner.progress.message(_round_text(plan, latency, load))
        if LOOSE <= load <= 1 or (load < LOOSE and loosened):
            break
        loosened = loosened or load < LOOSE
        aim_ms = AIM * plan.latency_ms[latency.backend] / load
        target = LatencyBudget(aim_ms, is_share=False, backend=latency.backend)
    met = [plan for plan in tried if _load(plan, latency) <= 1]
    if not met:
        raise BudgetError(_not_met(tried, latency))
    slowest = max(met, key=lambda plan: plan.measured_ms[latency.backend])
    return slowest.changed(budget=",".join(map(str, budgets)))


def _next_plan(planner: Planner, budgets: Sequence[Budget], tried: Sequence[Plan]) -> Plan | None:
    """Returns the measured plan of these budgets; None where it equals one of those already tried."""
    try:
        plan = planner.predicted(budgets)
    except BudgetError:
        if not tried:
            raise
        return None
    if any(plan.groups == other.groups for other in tried):
        return None
    return planner.timed(plan, planner.tables)


def _load(plan: Plan, budget: LatencyBudget) -> float:
    """Returns measured milliseconds / limit."""
    return plan.measured_ms[budget.backend] / budget.limit(plan.dense_ms[budget.backend])


def _round_text(plan: Plan, budget: LatencyBudget, load: float) -> str:
    predicted, measured = plan.latency_ms[budget.backend], plan.measured_ms[budget.backend]
    dense = plan.dense_ms[budget.backend]
    verdict = "too slow" if load > 1 else "met" if load >= LOOSE else "met with room to spare"
    return (
        f"{budget}: predicted {predicted:.3g} ms, measured {measured:.3g} ms of at most "
        f"{budget.limit(dense):.3g} ms (dense {dense:.3g} ms): {verdict}"
    )


def _not_met(tried: Sequence[Plan], budget: LatencyBudget) -> str:
    nearest = min(tried, key=lambda plan: _load(plan, budget))
    measured, dense = nearest.measured_ms[budget.backend], nearest.dense_ms[budget.backend]
    networks = "network" if len(tried) == 1 else "networks"
    return (
        f"budget {budget} is not met: of {len(tried)} planned {networks}, built and timed on "
        f"{budget.backend}, the fastest takes {measured:.3g} ms and the dense one {dense:.3g} ms; "
        f"the nearest budget is {budget.nearest(measured, dense)}"
    )
