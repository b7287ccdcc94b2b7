"""Planner: groups, importance, blocks and latency models of one network, computed once.

A latency budget holds by measurement: the planned network is built, timed, and planned again if too slow.
Dense and pruned network run side by side, so that a slow moment of the machine slows both.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from functools import cached_property

import numpy as np

from seyolo.checkpoint import Checkpoint
from seyolo.darknet.cfg import Network
from seyolo.darknet.edit import moved_state, remove_blocks, set_size
from seyolo.errors import BudgetError
from seyolo.options.budget import Budget, LatencyBudget, format_count
from seyolo.options.cut import DEFAULT_CUT, CutOptions
from seyolo.progress import Progress, Silent
from seyolo.pruning.cutting.cut import cut
from seyolo.pruning.importance.built_in import Material, named_importance
from seyolo.pruning.importance.importance import Importance
from seyolo.pruning.planning.allocate import allocate, with_evenness
from seyolo.pruning.planning.latency import NOISY, LatencyTable, latency_table, measure
from seyolo.pruning.planning.limits import prunable_groups
from seyolo.pruning.planning.plan import Plan, counted_plan
from seyolo.pruning.planning.prunable import PrunableNetwork, Ranked
from seyolo.torchnet.build import DarknetModel, from_checkpoint, to_checkpoint

REPEATS = 30  # images timed for each measurement
MOST_ROUNDS = 4  # plans after the first one
LOOSE = 0.9  # share of a budget below which a plan prunes more than it has to
AIM = 0.97  # share of a budget that the next plan is made for: timings scatter by a few percent


class Planner:
    """Makes plans for one network and applies them; the dense `model` stays as it is.

    Groups, blocks, scores and latency models are computed when they are first needed, and once. `importance`
    is by default the built-in one of the options, which must need no images. `latency` has latency models at
    hand, by backend: every plan is predicted and measured on these, too.
    """

    def __init__(
        self,
        model: DarknetModel,
        options: CutOptions = DEFAULT_CUT,
        *,
        importance: Importance | None = None,
        latency: Mapping[str, LatencyTable] | None = None,
        progress: Progress | None = None,
    ) -> None:
        self.options = options
        self.progress = progress or Silent()
        self.tables = dict(latency or {})
        self._model, self._is_warned = model, False
        self._importance = importance or named_importance(options.importance, Material(options.tied))

    def plan(self, budgets: Sequence[Budget]) -> Plan:
        """Returns the plan that meets all budgets; a latency holds as measured on the planned network.

        Args:
            budgets: as `parse_budgets` returns them.

        Raises:
            BudgetError: a budget cannot be met, with the nearest that can; or it is met already; or nothing
                can be pruned at all.
            UsageError: a layer to keep that the network does not have.
            BackendError: a backend does not run this network.
        """
        prunable_groups(self._ranked, self.options)  # is refused before minutes of measurement
        self._make_tables(budget.backend for budget in budgets if isinstance(budget, LatencyBudget))
        latency = next((budget for budget in budgets if isinstance(budget, LatencyBudget)), None)
        if latency is None:
            plan = self.timed(self.predicted(budgets), self.tables)
        else:
            plan = _meet_latency(self, budgets, latency)
        _require_removal(plan)
        return plan

    def timed(self, plan: Plan, backends: Iterable[str]) -> Plan:
        """Returns a plan with its predicted and its measured milliseconds on backends.

        Raises:
            BackendError: a backend is not installed or does not run this network.
            PlanError: the plan is for another network.
        """
        self._make_tables(backends)
        dense, slim = (replace(file, network=self._at_size(file)) for file in (self._dense, self._cut(plan)))
        pairs = {backend: measure([dense, slim], backend, REPEATS) for backend in backends}
        noise = max((timing.noise for pair in pairs.values() for timing in pair), default=0.0)
        if noise > NOISY and not self._is_warned:
            self._is_warned = True
            self.progress.message(
                f"warning: latencies scatter by ±{noise:.0%} here, so a latency budget is met by chance; "
                "plan while nothing else runs"
            )
        return plan.changed(
            latency_ms=self._predictions(plan),
            dense_ms={backend: round(before.p50_ms, 3) for backend, (before, _) in pairs.items()},
            measured_ms={backend: round(after.p50_ms, 3) for backend, (_, after) in pairs.items()},
        )

    def prune(self, plan: Plan) -> DarknetModel:
        """Returns the pruned model of a plan, in evaluation mode; its provenance notes budget and scope.

        Parameters that are frozen in the model (`requires_grad`) are frozen in the pruned one.

        Raises:
            PlanError: the plan is for another network, or was edited into something impossible.
        """
        provenance = {**self._dense.provenance, "pruned": {"budget": plan.budget, "scope": plan.scope}}
        result = from_checkpoint(replace(self._cut(plan), provenance=provenance))
        layer_map = remove_blocks(self._dense.network, plan.blocks_removed).layer_map
        moved = moved_state({name: p.requires_grad for name, p in self._model.named_parameters()}, layer_map)
        for name, parameter in result.named_parameters():
            parameter.requires_grad_(moved[name])
        return result

    def predicted(self, budgets: Sequence[Budget]) -> Plan:
        """Returns the plan that meets budgets, a latency by prediction; a `BudgetError` where none does."""
        options = with_evenness(self.options, self._ranked, budgets)
        plan = self._allocated(budgets, options)
        again = with_evenness(self.options, self._ranked, budgets, plan.macs / plan.dense_macs)
        return plan if again == options else self._allocated(budgets, again)

    @cached_property
    def network(self) -> PrunableNetwork:
        """The dense network at the size of the options."""
        return PrunableNetwork(self._at_size(self._dense))

    @cached_property
    def _dense(self) -> Checkpoint:
        return to_checkpoint(self._model)

    @cached_property
    def _ranked(self) -> Ranked:
        own, importance = self.network, self._importance
        was_training = self._model.training
        scores = importance.scores(self._model, own.groups)
        self._model.train(was_training)
        return Ranked(own.groups, scores, own.costs, own.blocks, importance.name, importance.per_cost)

    def _allocated(self, budgets: Sequence[Budget], options: CutOptions) -> Plan:
        latency = {backend: table.predict for backend, table in self.tables.items()}
        kept = allocate(self._ranked, budgets, options, latency)
        budget, importance = ",".join(map(str, budgets)), self._ranked.importance
        may_prune = prunable_groups(self._ranked, options) if any(b.by_threshold for b in budgets) else None
        plan = counted_plan(self.network, kept, options, budget, importance, may_prune=may_prune)
        return plan.changed(latency_ms=self._predictions(plan))

    def _at_size(self, file: Checkpoint) -> Network:
        size = self.options.size_hw
        return set_size(file.network, *size) if size else file.network

    def _cut(self, plan: Plan) -> Checkpoint:
        return cut(self._dense, plan.masks(self._dense.network), plan.blocks_removed)

    def _make_tables(self, backends: Iterable[str]) -> None:
        """Measures the latency models that are missing."""
        dense, multiple = replace(self._dense, network=self.network.network), self.options.multiple
        for backend in backends:
            if backend not in self.tables:
                self.tables[backend] = latency_table(
                    dense, backend, self.network, multiple=multiple, progress=self.progress
                )

    def _predictions(self, plan: Plan) -> dict[str, float]:
        cuts = iter(plan.groups)
        counts = np.array(
            [g.num_channels if g.fixed else len(next(cuts)["kept"]) for g in self.network.groups.groups]
        )
        return {backend: round(table.predict(counts), 3) for backend, table in self.tables.items()}


def _require_removal(plan: Plan) -> None:
    """Refuses a plan that would only copy the network."""
    if not plan.removes_nothing:
        return
    has = [f"{format_count(plan.dense_params)} parameters", f"{format_count(plan.dense_macs)} MACs"]
    has += [f"{ms:.3g} ms on {backend}" for backend, ms in (plan.dense_ms or plan.latency_ms).items()]
    raise BudgetError(
        f"budget {plan.budget} is met already: the network has {', '.join(has)}; there is nothing to cut"
    )


def _meet_latency(planner: Planner, budgets: Sequence[Budget], latency: LatencyBudget) -> Plan:
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
        f"the nearest budget is --budget {budget.nearest(measured, dense)}"
    )
