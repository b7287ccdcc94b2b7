"""`prune_file`, `plan_file` and `export_file`: a MODEL in, files out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Unpack

import numpy as np

from seyolo.api.opening import ModelKeywords, input_size, open_model, resized
from seyolo.data.datasets import Dataset
from seyolo.described import CHECKPOINT
from seyolo.errors import PlanError, UsageError
from seyolo.exporting.formats import export
from seyolo.models import save
from seyolo.network.build import DarknetModel
from seyolo.pipeline.config import Repair
from seyolo.pipeline.repair import repair_on, taylor_on
from seyolo.pruning.allocate import Scope
from seyolo.pruning.importance import Method
from seyolo.pruning.latency import latency_table
from seyolo.pruning.plan import Plan
from seyolo.pruning.prune import make_plan, prune_by
from seyolo.runtime.torch_backend import torch_device


@dataclass(frozen=True)
class CutOptions:
    """How `prune_file` decides what goes, and what it does afterwards.

    Attributes:
        scope, multiple, least_share, blocks, method: as in `seyolo.prune`.
        repair: what makes up for the cut when there are pictures, see `pipeline.repair.repair_on`.
        seed: of `random` importance and of the choice of pictures.
    """

    scope: Scope = "all"
    multiple: int | None = None
    least_share: float = 0.0
    blocks: bool = True
    method: Method = "bn"
    repair: Repair = "reconstruct"
    seed: int = 0


def read_plan(path: Path) -> Plan:
    """A plan from its file.

    Raises:
        PlanError: no such file, or not a plan.
    """
    try:
        return Plan.from_json(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise PlanError(f"{path}: cannot be read as a plan ({error})") from None
    except PlanError as error:
        raise PlanError(f"{path}: {error}") from None


def plan_file(
    model: str | Path,
    budget: str | Sequence[str],
    options: CutOptions | None = None,
    *,
    dataset: Dataset | None = None,
    size: int | None = None,
    device: str = "cpu",
    backends: Sequence[str] = (),
    **model_options: Unpack[ModelKeywords],
) -> Plan:
    """The plan of a cut, with nothing cut and nothing written.

    Args:
        model, model_options: as in `open_model`.
        budget: as in `seyolo.prune`.
        options: how to decide.
        dataset: its `train` split gives the pictures for `taylor` importance.
        size: side of the square input in pixels; by default the model's.
        device: where importance is measured.
        backends: latency is predicted for these, besides those a budget names.
    """
    dense = resized(open_model(model, device=device, **model_options), size)
    return _plan(dense, budget, options or CutOptions(), dataset, backends)


def prune_file(
    model: str | Path,
    out: Path,
    *,
    budget: str | Sequence[str] = (),
    plan: Plan | None = None,
    options: CutOptions | None = None,
    dataset: Dataset | None = None,
    size: int | None = None,
    device: str = "cpu",
    **model_options: Unpack[ModelKeywords],
) -> Plan:
    """Cuts a MODEL with weights, makes up for the cut with pictures if there are any, and writes it.

    Args:
        model, model_options: as in `open_model`.
        out: a `.safetensors` or `.cfg` file.
        budget: as in `seyolo.prune`; none where a plan is given.
        plan: cut by this one, made or edited before.
        options: how to decide and repair.
        dataset: its `train` split gives the pictures.
        size: side of the square input in pixels; by default the model's.
        device: where pictures are run.
    """
    if out.suffix not in (CHECKPOINT, ".cfg"):
        raise UsageError(f"{out}: a slim model is written as {CHECKPOINT} or .cfg")
    if out.resolve() == Path(model).resolve():
        raise UsageError(f"{out}: is the model to be cut; write the slim one to another file")
    if (plan is None) == (not budget):
        raise UsageError("give either a budget (--budget macs=30%) or a plan made before (--plan)")
    options = options or CutOptions()
    dense = resized(open_model(model, device=device, **model_options), size)
    plan = plan or _plan(dense, budget, options, dataset)
    slim_model = prune_by(dense, plan)
    if dataset is not None:
        dense, slim_model = dense.to(torch_device(device)), slim_model.to(torch_device(device))
        size_hw = input_size(slim_model, None)
        repair_on(slim_model, dense, plan, dataset, size_hw, how=options.repair, seed=options.seed)
    save(slim_model, out)
    return plan


def _plan(
    dense: DarknetModel,
    budget: str | Sequence[str],
    options: CutOptions,
    dataset: Dataset | None,
    backends: Sequence[str] = (),
) -> Plan:
    measured = None
    if options.method == "taylor":
        if dataset is None:
            raise UsageError("importance 'taylor' is measured on pictures; give --data")
        measured = taylor_on(dense, dataset, max(input_size(dense, None)), options.seed)
    return make_plan(
        dense,
        budget,
        scope=options.scope,
        multiple=options.multiple,
        least_share=options.least_share,
        blocks=options.blocks,
        method=options.method,
        generator=np.random.default_rng(options.seed),
        measured=measured,
        latency={backend: latency_table(dense, backend, multiple=options.multiple) for backend in backends},
    )


def export_file(
    model: str | Path,
    out: Path,
    *,
    nms: bool = False,
    dynamic_batch: bool = False,
    size: int | None = None,
    device: str = "cpu",
    random: bool = False,
    **options: Unpack[ModelKeywords],
) -> tuple[Path, ...]:
    """Writes a MODEL for other programs, or as a checkpoint; returns the files.

    Args:
        model, options, random: as in `open_model`.
        out: `.onnx`, `.cfg` or `.safetensors`.
        nms, dynamic_batch: as in `seyolo.export`.
        size: side of the square input in pixels; by default the model's.
        device: where the model runs to which an `.onnx` file is compared.
    """
    if out.suffix != ".onnx" and (nms or dynamic_batch):
        raise UsageError(f"{out}: non-maximum suppression and a dynamic batch are for .onnx")
    opened = resized(open_model(model, device=device, random=random, **options), size)
    if out.suffix == CHECKPOINT:
        save(opened, out)
        return (out,)
    return export(opened, out, nms=nms, dynamic_batch=dynamic_batch)
