"""`prune`: a pruned copy of a model and the plan that made it, in one call."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Unpack, cast

import numpy as np

from seyolo.errors import UsageError
from seyolo.options.budget import parse_budgets
from seyolo.options.cut import CutOptions
from seyolo.options.cut import Importance as ImportanceName
from seyolo.options.keywords import CutKeywords
from seyolo.options.parameters import build
from seyolo.pruning.groups.atoms import FloatArray
from seyolo.pruning.importance.built_in import Material, named_importance
from seyolo.pruning.importance.importance import Importance
from seyolo.pruning.planning.latency import LatencyTable
from seyolo.pruning.planning.plan import Plan
from seyolo.pruning.planning.planner import Planner
from seyolo.torchnet.build import DarknetModel


class PruneKeywords(CutKeywords, total=False):
    """`CutKeywords`, and two of them under their earlier names."""

    method: ImportanceName
    size: tuple[int, int] | None


def prune(
    model: DarknetModel,
    budget: str | Sequence[str],
    *,
    importance: ImportanceName | Importance | None = None,
    generator: np.random.Generator | None = None,
    measured: Mapping[int, FloatArray] | None = None,
    latency: Mapping[str, LatencyTable] | None = None,
    **options: Unpack[PruneKeywords],
) -> tuple[DarknetModel, Plan]:
    """Returns a pruned copy of a model, in evaluation mode, and its plan; the model stays as it is.

    Constants of removed channels are folded. Nothing is repaired, so it finds little or nothing until it is
    fine-tuned (`seyolo.train`); `seyolo.api.prune_file` with `data` prunes and repairs one on images.

    Args:
        model: the dense model.
        budget: such as `macs=30%` (`seyolo.options.budget` has all kinds), or several that hold together.
            Latency holds as measured on this machine.
        importance: name of a built-in importance (`bn` by default; also called `method`), or an object with
            the members of `seyolo.pruning.importance.importance.Importance`.
        generator: the source of `random`.
        measured: per convolution (filters,) scores, as `taylor_scores` and `obs_scores` return them.
        latency: latency tables by backend. The table of a latency budget is measured (or read from the cache)
            unless given; every plan is predicted and measured on all of them.
        options: fields of `seyolo.options.cut.CutOptions`; `size` is an earlier name of `size_hw`.

    Raises:
        UsageError: a budget or option that makes no sense.
        BudgetError: the budget cannot be met, with the nearest that can; or it is met already.
        BackendError: the backend of a latency budget does not run this network.

    Example:
        >>> model = seyolo.load("yolov3-tiny@0.25", num_classes=1)
        >>> slim, plan = seyolo.prune(model, budget="macs=50%", importance="norm")
        >>> plan.importance, plan.macs <= 0.5 * plan.dense_macs
        ('norm', True)
    """
    values: dict[str, Any] = {**options}
    chosen = importance or values.pop("method", None)
    name = cast(ImportanceName, chosen) if isinstance(chosen, str) else None
    if "size" in values:
        values["size_hw"] = _size_hw(values.pop("size"))
    cut_options = replace(build(CutOptions, "prune", None, values), importance=name)
    if name is None and chosen is not None:
        ranking = cast(Importance, chosen)
    else:
        ranking = named_importance(name or "bn", Material(cut_options.tied, generator, measured=measured))
    planner = Planner(model, cut_options, importance=ranking, latency=latency)
    plan = planner.plan(parse_budgets(budget))
    return planner.prune(plan), plan


def prune_by(model: DarknetModel, plan: Plan) -> DarknetModel:
    """Returns the pruned model of a plan, as `Planner.prune`.

    Raises:
        PlanError: the plan is for another network, or was edited into something impossible.
    """
    return Planner(model).prune(plan)


def _size_hw(size: object) -> object:
    """Returns the (height, width) of the keyword `size`; refuses anything else."""
    if size is None or (isinstance(size, tuple) and [type(side) for side in size] == [int, int]):
        return size
    raise UsageError(f"prune: size must be 2 values (int, int) or None, got {size!r}")
