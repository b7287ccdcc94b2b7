"""`prune_file`, `plan_file` and `export_file`: a MODEL in, files out."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Unpack

import numpy as np

from seyolo.api.measuring import evaluate
from seyolo.api.opening import ModelKeywords, input_size, open_model, resized
from seyolo.data.datasets import Dataset
from seyolo.described import CHECKPOINT
from seyolo.errors import PlanError, UsageError
from seyolo.evaluation.ap import Metrics
from seyolo.exporting.formats import export
from seyolo.models import save
from seyolo.network.build import DarknetModel
from seyolo.pipeline import Repair, repair_on, taylor_on
from seyolo.progress import Progress
from seyolo.pruning.allocate import Scope
from seyolo.pruning.importance import Method
from seyolo.pruning.latency import latency_table
from seyolo.pruning.plan import Plan
from seyolo.pruning.prune import make_plan, prune_by
from seyolo.runtime.backend import open_backend
from seyolo.runtime.torch_backend import torch_device

CALIBRATION_PICTURES = 128


@dataclass(frozen=True)
class CutOptions:
    """How `prune_file` decides what goes, and what it does afterwards.

    Attributes:
        scope, multiple, least_share, blocks, method: as in `seyolo.prune`.
        repair: what makes up for the cut when there are pictures, see `pipeline.repair_on`.
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


@dataclass(frozen=True)
class Exported:
    """What `export_file` wrote.

    Attributes:
        files: their paths.
        metrics: of an int8 file, where the data has a split `val`: its AP there, `float32` and `int8`.
    """

    files: tuple[Path, ...]
    metrics: Mapping[str, Metrics] = field(default_factory=dict)


def export_file(
    model: str | Path,
    out: Path,
    *,
    nms: bool = False,
    dynamic_batch: bool = False,
    half: bool = False,
    int8: bool = False,
    dataset: Dataset | None = None,
    num_pictures: int | None = None,
    size: int | None = None,
    device: str = "cpu",
    random: bool = False,
    progress: Progress | None = None,
    **options: Unpack[ModelKeywords],
) -> Exported:
    """Writes a MODEL for other programs, or as a checkpoint.

    Args:
        model, options, random: as in `open_model`.
        out: `.onnx`, `.xml`, `.cfg` or `.safetensors`.
        nms, dynamic_batch, half, int8: as in `seyolo.export`.
        dataset: its `train` split gives the pictures for int8, its `val` split is evaluated before and after.
        num_pictures: so many of them, spread over the split; `CALIBRATION_PICTURES` by default.
        size: side of the square input in pixels; by default the model's.
        device: where the model runs to which a file is compared.
        progress: where to tell how far the evaluation is.
    """
    if out.suffix != ".onnx" and (nms or dynamic_batch):
        raise UsageError(f"{out}: non-maximum suppression and a dynamic batch are for .onnx")
    if out.suffix == CHECKPOINT and (half or int8):
        raise UsageError(f"{out}: checkpoints hold float32 only; export int8 and half to .onnx or .xml")
    if int8 != (dataset is not None):
        raise UsageError("int8 is measured on pictures, and they are for nothing else: --int8 --data DATA")
    if num_pictures is not None and not int8:
        raise UsageError("a number of pictures is for int8; leave --pictures out")
    if int8 and random:
        raise UsageError(f"{model}: has no trained weights, so int8 has nothing to measure; give --weights")
    opened = resized(open_model(model, device=device, random=random, **options), size)
    if out.suffix == CHECKPOINT:
        save(opened, out)
        return Exported((out,))
    before = {}
    if dataset is not None and "val" in dataset.splits and not nms:
        before = {"float32": _metrics_of_float(opened, dataset, progress)}
    files = export(
        opened,
        out,
        nms=nms,
        dynamic_batch=dynamic_batch,
        half=half,
        int8=int8,
        pictures=[] if dataset is None else _spread(dataset.images("train"), num_pictures),
    )
    if dataset is None or not before:
        return Exported(files)
    after = evaluate(open_backend(out), dataset, "val", progress=progress)["val"]
    return Exported(files, before | {"int8": after})


def _metrics_of_float(model: DarknetModel, dataset: Dataset, progress: Progress | None) -> Metrics:
    """Of the model as it is, on the runtime that int8 is for."""
    with tempfile.TemporaryDirectory() as folder:
        (path,) = export(model, Path(folder) / "float.onnx")
        return evaluate(open_backend(path), dataset, "val", progress=progress)["val"]


def _spread(images: Sequence[Path], count: int | None) -> list[Path]:
    """At most `count` of the images, evenly spread."""
    count = CALIBRATION_PICTURES if count is None else count
    chosen = np.linspace(0, len(images) - 1, max(0, min(count, len(images)))).astype(int)
    return [images[index] for index in chosen]
