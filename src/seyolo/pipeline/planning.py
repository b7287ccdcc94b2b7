"""The plan a run cuts by.

How evenly groups should narrow depends on the budget: importance alone is best where much stays, and starves
the trunks that many blocks add to where little does. What is left open is tried out: each plan is cut and
repaired, and the one whose network is best on validation pictures before any training is taken. That tells
well enough which will be best after it, as in EagleEye (Li 2020), at the cost of seconds.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from seyolo.data.datasets import Dataset
from seyolo.errors import UsageError
from seyolo.evaluation.evaluate import evaluate
from seyolo.network.build import DarknetModel, from_file, to_file
from seyolo.pipeline.config import Repair, SlimConfig
from seyolo.pipeline.readiness import validation_pictures
from seyolo.pipeline.repair import repair_on, taylor_on
from seyolo.progress import Progress, Silent
from seyolo.pruning.options import PlanOptions
from seyolo.pruning.plan import Plan
from seyolo.pruning.prune import measured_plan, prune_by

TRIED_EVENNESS = (0.0, 0.5, 1.0)


def plan_on(
    model: DarknetModel,
    budget: str | Sequence[str],
    options: PlanOptions,
    dataset: Dataset | None,
    *,
    seed: int,
    repair: Repair = "none",
    backends: Sequence[str] = (),
    progress: Progress | None = None,
) -> Plan:
    """The plan of a cut, with what its importance needs: training pictures or a seed.

    Args:
        model: the dense network; its mode stays as it is.
        budget, options, backends, progress: as in `measured_plan`. Open evenness is tried out where there
            are validation pictures and the cut is repaired.
        dataset: its `train` split gives the pictures for `taylor` importance and the repair.
        seed: of `random` importance and of the choice of pictures.
        repair: what will follow the cut, see `repair_on`.

    Raises:
        UsageError: `taylor` without pictures.
        SeyoloError: as in `measured_plan`.
    """
    measured = None
    if options.method == "taylor":
        if dataset is None:
            raise UsageError("importance 'taylor' is measured on pictures; give --data")
        was_training, net = model.training, model.network.net
        measured = taylor_on(model, dataset, max(net.height, net.width), seed)
        model.train(was_training)

    def plan_of_evenness(evenness: float | None) -> Plan:
        return measured_plan(
            model,
            budget,
            replace(options, evenness=evenness),
            generator=np.random.default_rng(seed),
            measured=measured,
            backends=backends,
            progress=progress,
        )

    # Uniform importance narrows all groups alike already.
    is_open = options.evenness is None and options.method != "uniform"
    if not is_open or repair == "none" or dataset is None or not validation_pictures(dataset):
        return plan_of_evenness(options.evenness)
    plans = [plan_of_evenness(evenness) for evenness in TRIED_EVENNESS]
    return _best(model, plans, dataset, repair=repair, seed=seed, progress=progress or Silent())


def _best(
    model: DarknetModel,
    plans: Sequence[Plan],
    dataset: Dataset,
    *,
    repair: Repair,
    seed: int,
    progress: Progress,
) -> Plan:
    """Of several plans the one whose network, cut and repaired, has the best AP on validation pictures."""
    device = next(model.parameters()).device
    dense = from_file(to_file(model)).to(device)
    size_hw = (model.network.net.height, model.network.net.width)
    splits = validation_pictures(dataset).values()
    found: list[float] = []
    with progress.task("trying plans", len(plans)) as advance:
        for plan in plans:
            pruned = prune_by(dense, plan).to(device)
            repair_on(pruned, dense, plan, dataset, size_hw, how=repair, seed=seed)
            ap = [evaluate(pruned, pictures, size_hw, batch_size=32).ap for pictures in splits]
            found.append(float(np.mean(ap)))
            advance(1, f"evenness {plan.evenness:g}: AP {found[-1]:.3f}")
    best = plans[int(np.argmax(found))]
    told = ", ".join(f"{plan.evenness:g}: {ap:.3f}" for plan, ap in zip(plans, found, strict=True))
    progress.message(f"AP on val after cut and repair by evenness {told}; the cut takes {best.evenness:g}")
    return best


def plan_of(
    model: DarknetModel, config: SlimConfig, dataset: Dataset, progress: Progress | None = None
) -> Plan:
    """What a run cuts out of a model; latency holds as measured."""
    return plan_on(
        model,
        config.budget,
        config.plan_options(),
        dataset,
        seed=config.seed,
        repair=config.repair,
        progress=progress,
    )


def rough_plan(model: DarknetModel, config: SlimConfig, progress: Progress | None = None) -> Plan:
    """A plan of about the right cost before anything is trained, when channels are all alike.

    Raises:
        BudgetError: a budget that cannot be met is refused before hours go into training.
    """
    options = config.plan_options()
    if options.method == "taylor":
        options = replace(options, method="norm")
    return plan_on(model, config.budget, options, None, seed=config.seed, progress=progress)
