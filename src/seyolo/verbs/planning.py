"""The plan a run cuts by."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from seyolo.data.datasets import Dataset
from seyolo.errors import UsageError
from seyolo.progress import Progress
from seyolo.pruning.importance.scores import MEASURED
from seyolo.pruning.planning.options import PlanOptions
from seyolo.pruning.planning.plan import Plan
from seyolo.pruning.prune import measured_plan
from seyolo.torchnet.build import DarknetModel
from seyolo.verbs.calibration import obs_on, taylor_on
from seyolo.verbs.slim_config import SlimConfig


def plan_on(
    model: DarknetModel,
    budget: str | Sequence[str],
    options: PlanOptions,
    dataset: Dataset | None,
    *,
    seed: int,
    backends: Sequence[str] = (),
    progress: Progress | None = None,
) -> Plan:
    """The plan of a cut, with what its importance needs: training images or a seed.

    Args:
        model: the dense network; its mode stays as it is.
        budget, options, backends, progress: as in `measured_plan`.
        dataset: its `train` split gives the images on which importance is measured.
        seed: of `random` importance and of the choice of images.

    Raises:
        UsageError: `taylor` or `obs` without images.
        SeyoloError: as in `measured_plan`.
    """
    if options.importance is None and dataset is not None:
        options = replace(options, importance="obs")
    measured = None
    if options.importance in MEASURED:
        if dataset is None:
            raise UsageError(f"importance {options.importance!r} is measured on images; give --data")
        was_training, net = model.training, model.network.net
        measure = taylor_on if options.importance == "taylor" else obs_on
        measured = measure(model, dataset, (net.height, net.width), seed)
        model.train(was_training)
    return measured_plan(
        model,
        budget,
        options,
        generator=np.random.default_rng(seed),
        measured=measured,
        backends=backends,
        progress=progress,
    )


def plan_of(
    model: DarknetModel, config: SlimConfig, dataset: Dataset, progress: Progress | None = None
) -> Plan:
    """What a run cuts out of a model; latency holds as measured."""
    return plan_on(model, config.budget, config.plan_options(), dataset, seed=config.seed, progress=progress)


def rough_plan(model: DarknetModel, config: SlimConfig, progress: Progress | None = None) -> Plan:
    """A plan of about the right cost before anything is trained, when channels are all alike.

    Raises:
        BudgetError: a budget that cannot be met is refused before hours go into training.
    """
    options = config.plan_options()
    if options.importance in MEASURED:
        options = replace(options, importance=None)
    return plan_on(model, config.budget, options, None, seed=config.seed, progress=progress)
