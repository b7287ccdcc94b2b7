"""`prune_file` and `export_file`: a MODEL in, files out."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Unpack

from seyolo.api.opening import ModelKeywords, input_size, open_model, resized
from seyolo.data.datasets import Dataset
from seyolo.described import CHECKPOINT
from seyolo.errors import UsageError
from seyolo.exporting.formats import export
from seyolo.models import save
from seyolo.pipeline import recalibrate_on
from seyolo.pruning.allocate import Scope
from seyolo.pruning.plan import Plan
from seyolo.pruning.prune import prune
from seyolo.runtime.torch_backend import torch_device


def prune_file(
    model: str | Path,
    out: Path,
    *,
    budget: str | Sequence[str],
    scope: Scope = "all",
    multiple: int | None = None,
    dataset: Dataset | None = None,
    size: int | None = None,
    seed: int = 0,
    device: str = "cpu",
    **options: Unpack[ModelKeywords],
) -> Plan:
    """Cuts a MODEL with weights, recalibrates it on a data set if there is one, and writes it.

    Args:
        model, options: as in `open_model`.
        out: a `.safetensors` or `.cfg` file.
        budget, scope, multiple: as in `seyolo.prune`.
        dataset: its `train` split gives the pictures for recalibration.
        size: side of the square input in pixels; by default the model's.
        seed: of the choice of those pictures.
        device: where recalibration runs.
    """
    if out.suffix not in (CHECKPOINT, ".cfg"):
        raise UsageError(f"{out}: a slim model is written as {CHECKPOINT} or .cfg")
    if out.resolve() == Path(model).resolve():
        raise UsageError(f"{out}: is the model to be cut; write the slim one to another file")
    dense = resized(open_model(model, device=device, **options), size)
    slim_model, plan = prune(dense, budget, scope=scope, multiple=multiple)
    slim_model = slim_model.to(torch_device(device))
    if dataset is not None:
        recalibrate_on(slim_model, dataset, input_size(slim_model, None), seed)
    save(slim_model, out)
    return plan


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
