"""`prune`: groups, importance, allocation, folding and surgery in one call, and each half by itself.

`make_plan` decides and cuts nothing; `prune_by` cuts what a plan says, also one that was read from JSON.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from seyolo.network.build import DarknetModel, from_file, to_file
from seyolo.pruning.allocate import FLOOR, Scope, allocate
from seyolo.pruning.blocks import find_blocks
from seyolo.pruning.budget import parse_budgets
from seyolo.pruning.cut import cut
from seyolo.pruning.groups import find_groups
from seyolo.pruning.importance import FloatArray, Method, Tied, importance
from seyolo.pruning.latency import LatencyTable, latency_table
from seyolo.pruning.plan import Plan, describe_cut


def prune(
    model: DarknetModel,
    budget: str | Sequence[str],
    *,
    scope: Scope = "all",
    multiple: int | None = None,
    least_share: float = 0.0,
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
            that hold together.
        scope: `all`, or `plain` for convolutions that no shortcut touches.
        multiple: kept channels are multiples of this, or the whole width; by default 8, and 16 in groups of
            128 channels and more.
        least_share: every group keeps at least this share of its channels.
        blocks: whether residual blocks may go as a whole; in scope `plain` and with `channels=` none does.
        method: the importance: `bn`, `norm`, `group`, `taylor`, or the controls `uniform` and `random`.
        tied: how tied scores become one, as in `importance`.
        generator: the source of `random`.
        measured: what `taylor` needs, see `training.taylor`.
        latency: tables of the backends a latency budget names; measured (or read from the cache) otherwise.
            Predictions are also made for every other table given.
        size: (height, width) in pixels at which MACs count; by default the model's `[net]` size.

    Raises:
        UsageError: a budget or option that makes no sense.
        BudgetError: the budget cannot be met, with the nearest that can.
        BackendError: the backend of a latency budget does not run this network.
    """
    plan = make_plan(
        model,
        budget,
        scope=scope,
        multiple=multiple,
        least_share=least_share,
        blocks=blocks,
        method=method,
        tied=tied,
        generator=generator,
        measured=measured,
        latency=latency,
        size=size,
    )
    return prune_by(model, plan), plan


def make_plan(
    model: DarknetModel,
    budget: str | Sequence[str],
    *,
    scope: Scope = "all",
    multiple: int | None = None,
    least_share: float = 0.0,
    blocks: bool = True,
    method: Method = "bn",
    tied: Tied | None = None,
    generator: np.random.Generator | None = None,
    measured: Mapping[int, FloatArray] | None = None,
    latency: Mapping[str, LatencyTable] | None = None,
    size: tuple[int, int] | None = None,
) -> Plan:
    """The plan alone; arguments and errors as in `prune`."""
    budgets = parse_budgets(budget)
    dense = to_file(model)
    groups = find_groups(dense.network)
    scores = importance(groups, dense.state, method, tied=tied, generator=generator, measured=measured)
    counted_by_width = any(budget.kind == "channels" for budget in budgets)
    removable = (
        find_blocks(dense.network, groups) if blocks and scope == "all" and not counted_by_width else ()
    )
    tables = dict(latency or {})
    for backend in {budget.backend for budget in budgets if budget.backend} - set(tables):
        tables[backend] = latency_table(model, backend, size, multiple=multiple)
    kept = allocate(
        dense.network,
        groups,
        scores,
        budgets,
        scope=scope,
        multiple=multiple,
        least_share=least_share,
        blocks=removable,
        latency={backend: table.cautious for backend, table in tables.items()},
        size=size,
    )
    plan = describe_cut(
        dense.network,
        groups,
        kept,
        budget=",".join(str(budget) for budget in budgets),
        scope=scope,
        multiple=multiple or FLOOR,
        blocks=removable,
        size=size,
    )
    counts = np.array([len(indices) for indices in kept])
    predicted = {backend: round(table.predict(counts), 3) for backend, table in tables.items()}
    return replace(plan, latency_ms=predicted)


def prune_by(model: DarknetModel, plan: Plan) -> DarknetModel:
    """The slim model of a plan, in evaluation mode; budget and scope are noted in its provenance.

    Raises:
        PlanError: the plan is for another network, or was edited into something impossible.
    """
    dense = to_file(model)
    slim = cut(dense, plan.masks(dense.network), plan.blocks_removed)
    provenance = {**dense.provenance, "pruned": {"budget": plan.budget, "scope": plan.scope}}
    return from_file(replace(slim, provenance=provenance))
