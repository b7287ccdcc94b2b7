"""`prune`: groups, importance, allocation, folding and surgery in one call, and each half by itself.

`make_plan` decides by prediction alone and `measured_plan` also builds and times what it decided; both cut
nothing. `prune_by` cuts what a plan says, also one that was read from JSON.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from seyolo.darknet.edit import moved_state, remove_blocks
from seyolo.errors import BudgetError
from seyolo.progress import Progress, Silent
from seyolo.pruning.cutting.cut import cut
from seyolo.pruning.groups.groups import find_groups
from seyolo.pruning.importance.scores import FloatArray, Method, Tied
from seyolo.pruning.planning.budget import format_count, parse_budgets
from seyolo.pruning.planning.latency import LatencyTable, latency_table
from seyolo.pruning.planning.options import DEFAULTS, PlanOptions, Scope
from seyolo.pruning.planning.plan import Plan
from seyolo.pruning.planning.planner import Draft, predictions
from seyolo.pruning.planning.verify import plan_by_measurement, timed
from seyolo.torchnet.build import DarknetModel, from_checkpoint, to_checkpoint


def prune(
    model: DarknetModel,
    budget: str | Sequence[str],
    *,
    scope: Scope = "all",
    multiple: int | None = None,
    least_share: float = 0.0,
    evenness: float | None = None,
    keep: Sequence[int] = (),
    blocks: bool = True,
    method: Method = "bn",
    tied: Tied | None = None,
    generator: np.random.Generator | None = None,
    measured: Mapping[int, FloatArray] | None = None,
    latency: Mapping[str, LatencyTable] | None = None,
    size: tuple[int, int] | None = None,
) -> tuple[DarknetModel, Plan]:
    """A slim copy of a model, in evaluation mode, and the plan that made it; the model stays as it is.

    Constants of removed channels are folded. Recalibrate the batch normalisation afterwards, then fine-tune.

    Args:
        model: the dense model.
        budget: `macs=30%`, `params=2.4M`, `latency=8ms@onnxruntime`, `channels=85%` (removed), or several
            that hold together. Latency holds as measured on this machine.
        scope, multiple, least_share, evenness, keep, blocks, method, tied, size: as in `PlanOptions`.
        generator: the source of `random`.
        measured: what `taylor` or `obs` needs, see `training.taylor` and `pruning.obs`.
        latency: tables of the backends a latency budget names; measured (or read from the cache) otherwise.
            Every other backend that has a table is predicted and measured, too.

    Raises:
        UsageError: a budget or option that makes no sense.
        BudgetError: the budget cannot be met, with the nearest that can; or it is met already.
        BackendError: the backend of a latency budget does not run this network.
    """
    options = PlanOptions(
        scope=scope,
        multiple=multiple,
        least_share=least_share,
        evenness=evenness,
        keep=tuple(keep),
        blocks=blocks,
        importance=method,
        tied=tied,
        size_hw=size,
    )
    plan = measured_plan(model, budget, options, generator=generator, measured=measured, latency=latency)
    return prune_by(model, plan), plan


def make_plan(
    model: DarknetModel,
    budget: str | Sequence[str],
    options: PlanOptions = DEFAULTS,
    *,
    generator: np.random.Generator | None = None,
    measured: Mapping[int, FloatArray] | None = None,
    latency: Mapping[str, LatencyTable] | None = None,
) -> Plan:
    """The plan alone, a latency budget held against the prediction and its usual error on top.

    Args:
        options: how to decide.
        model, budget, generator, measured, latency: as in `prune`.

    Raises:
        SeyoloError: as in `prune`.
    """
    draft = Draft(
        model, parse_budgets(budget), options, generator=generator, measured=measured, latency=latency
    )
    plan = draft.plan(draft.budgets, {backend: table.cautious for backend, table in draft.tables.items()})
    _require_cut(plan)
    return plan


def measured_plan(
    model: DarknetModel,
    budget: str | Sequence[str],
    options: PlanOptions = DEFAULTS,
    *,
    generator: np.random.Generator | None = None,
    measured: Mapping[int, FloatArray] | None = None,
    latency: Mapping[str, LatencyTable] | None = None,
    backends: Sequence[str] = (),
    progress: Progress | None = None,
) -> Plan:
    """The plan alone, a latency budget held by building and timing the planned network.

    Args:
        options: how to decide.
        backends: predicted and measured on these, too.
        progress: told how far the measurements are.
        model, budget, generator, measured, latency: as in `prune`.

    Raises:
        SeyoloError: as in `prune`.
    """
    progress = progress or Silent()
    draft = Draft(
        model,
        parse_budgets(budget),
        options,
        generator=generator,
        measured=measured,
        latency=latency,
        backends=backends,
        progress=progress,
    )
    if any(budget.kind == "latency" for budget in draft.budgets):
        plan = plan_by_measurement(draft, progress)
    else:
        plan = timed(draft.plan(draft.budgets, {}), draft.file, draft.tables)
    _require_cut(plan)
    return plan


def timed_plan(
    model: DarknetModel,
    plan: Plan,
    backends: Sequence[str],
    progress: Progress | None = None,
) -> Plan:
    """A plan made before, with what its network is predicted to take on backends, and what it takes.

    Raises:
        PlanError: the plan is for another network, or was edited into something impossible.
        BackendError: a backend does not run this network.
    """
    file = to_checkpoint(model)
    tables = {backend: latency_table(model, backend, progress=progress) for backend in backends}
    predicted = predictions(plan, find_groups(file.network), tables)
    return timed(replace(plan, latency_ms=predicted), file, backends)


def _require_cut(plan: Plan) -> None:
    """Refuses a plan that would only copy the network."""
    if not plan.removes_nothing:
        return
    has = [f"{format_count(plan.dense_params)} parameters", f"{format_count(plan.dense_macs)} MACs"]
    has += [f"{ms:.3g} ms on {backend}" for backend, ms in (plan.dense_ms or plan.latency_ms).items()]
    raise BudgetError(
        f"budget {plan.budget} is met already: the network has {', '.join(has)}; there is nothing to cut"
    )


def prune_by(model: DarknetModel, plan: Plan) -> DarknetModel:
    """The slim model of a plan, in evaluation mode; budget and scope are noted in its provenance.

    What is not trained in the model (`requires_grad`) is not trained in the slim one.

    Raises:
        PlanError: the plan is for another network, or was edited into something impossible.
    """
    dense = to_checkpoint(model)
    slim = cut(dense, plan.masks(dense.network), plan.blocks_removed)
    provenance = {**dense.provenance, "pruned": {"budget": plan.budget, "scope": plan.scope}}
    result = from_checkpoint(replace(slim, provenance=provenance))
    layer_map = remove_blocks(dense.network, plan.blocks_removed).layer_map
    trained = moved_state({name: p.requires_grad for name, p in model.named_parameters()}, layer_map)
    for name, parameter in result.named_parameters():
        parameter.requires_grad_(trained[name])
    return result
