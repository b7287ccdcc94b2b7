"""`export_file`: a MODEL in, a file for other programs out."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Unpack

from seyolo.data.datasets import Dataset, load_dataset
from seyolo.errors import UsageError
from seyolo.evaluation.ap import Metrics
from seyolo.exporting.formats import export
from seyolo.exporting.quantize import calibration_images
from seyolo.opening.description import CHECKPOINT
from seyolo.opening.network import save
from seyolo.opening.on_torch import model_keywords, open_model, resized
from seyolo.options.build import build
from seyolo.options.export import ExportOptions
from seyolo.options.keywords import ExportKeywords
from seyolo.progress import Progress
from seyolo.runtime.backend import open_backend
from seyolo.torchnet.build import DarknetModel
from seyolo.verbs.evaluate import evaluate


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
    options: ExportOptions | None = None,
    *,
    dataset: Dataset | None = None,
    random: bool = False,
    progress: Progress | None = None,
    **keywords: Unpack[ExportKeywords],
) -> Exported:
    """Writes a MODEL for other programs, or as a checkpoint.

    Args:
        model: a checkpoint, a `.cfg` or a zoo name.
        out: `.onnx`, `.xml`, `.cfg` or `.safetensors`.
        options: all options at once; `keywords` take the place of their values.
        dataset: its `train` split gives the images for int8, its `val` split is evaluated before and after;
            it may also be named by the option `data`.
        random: random weights are welcome where none are given.
        progress: receives how far the evaluation is.
        keywords: the fields of `seyolo.options.export.ExportOptions`, where each is explained.
    """
    chosen = build(ExportOptions, "export_file", options, {**keywords})
    if dataset is None and chosen.data is not None:
        dataset = load_dataset(chosen.data)
    _check(model, out, chosen, has_images=dataset is not None, random=random)
    opened = open_model(model, device=chosen.device, random=random, **model_keywords(chosen))
    opened = resized(opened, chosen.size)
    if out.suffix == CHECKPOINT:
        save(opened, out)
        return Exported((out,))
    before = {}
    if dataset is not None and "val" in dataset.splits and not chosen.nms:
        before = {"float32": _metrics_of_float(opened, dataset, progress)}
    files = export(
        opened,
        out,
        nms=chosen.nms,
        dynamic_batch=chosen.dynamic_batch,
        half=chosen.half,
        int8=chosen.int8,
        pictures=[] if dataset is None else calibration_images(dataset.images("train"), chosen.pictures),
    )
    if dataset is None or not before:
        return Exported(files)
    after = evaluate(open_backend(out), dataset, "val", progress=progress)["val"]
    return Exported(files, before | {"int8": after})


def _check(
    model: str | Path, out: Path, options: ExportOptions, *, has_images: bool, random: bool
) -> None:
    """Refuses options that contradict each other or the format.

    Raises:
        UsageError: they do.
    """
    if out.suffix != ".onnx" and (options.nms or options.dynamic_batch):
        raise UsageError(f"{out}: non-maximum suppression and a dynamic batch are for .onnx")
    if out.suffix == CHECKPOINT and (options.half or options.int8):
        raise UsageError(f"{out}: checkpoints hold float32 only; export int8 and half to .onnx or .xml")
    if options.int8 != has_images:
        raise UsageError("int8 is measured on images, and they are for nothing else: --int8 --data DATA")
    if options.pictures is not None and not options.int8:
        raise UsageError("a number of images is for int8; leave --pictures out")
    if options.int8 and random:
        raise UsageError(f"{model}: has no trained weights, so int8 has nothing to measure; give --weights")


def _metrics_of_float(model: DarknetModel, dataset: Dataset, progress: Progress | None) -> Metrics:
    """Of the model as it is, on the runtime that int8 is for."""
    with tempfile.TemporaryDirectory() as folder:
        (path,) = export(model, Path(folder) / "float.onnx")
        return evaluate(open_backend(path), dataset, "val", progress=progress)["val"]
