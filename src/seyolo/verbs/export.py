"""`export_file`: a MODEL in, a file for other programs out."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from seyolo.data.datasets import Dataset
from seyolo.errors import UsageError
from seyolo.evaluation.ap import Metrics
from seyolo.exporting.formats import export
from seyolo.exporting.quantize import calibration_images
from seyolo.opening.description import CHECKPOINT
from seyolo.opening.model import open_model, resized
from seyolo.opening.network import save
from seyolo.options.model import ModelOptions
from seyolo.progress import Progress
from seyolo.runtime.choice import open_backend
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
    *,
    nms: bool = False,
    dynamic_batch: bool = False,
    half: bool = False,
    int8: bool = False,
    dataset: Dataset | None = None,
    num_images: int | None = None,
    size: int | None = None,
    device: str = "cpu",
    random: bool = False,
    progress: Progress | None = None,
    start: ModelOptions = ModelOptions(),  # noqa: B008 (frozen)
) -> Exported:
    """Writes a MODEL for other programs, or as a checkpoint.

    Args:
        model, start, random: as in `open_model`.
        out: `.onnx`, `.xml`, `.cfg` or `.safetensors`.
        nms, dynamic_batch, half, int8: as in `seyolo.export`.
        dataset: its `train` split gives the images for int8, its `val` split is evaluated before and after.
        num_images: so many of them, spread over the split; 128 by default.
        size: side of the square input in pixels; by default the model's.
        device: where the model runs to which a file is compared.
        progress: where to tell how far the evaluation is.
    """
    if out.suffix != ".onnx" and (nms or dynamic_batch):
        raise UsageError(f"{out}: non-maximum suppression and a dynamic batch are for .onnx")
    if out.suffix == CHECKPOINT and (half or int8):
        raise UsageError(f"{out}: checkpoints hold float32 only; export int8 and half to .onnx or .xml")
    if int8 != (dataset is not None):
        raise UsageError("int8 is measured on images, and they are for nothing else: --int8 --data DATA")
    if num_images is not None and not int8:
        raise UsageError("a number of images is for int8; leave --pictures out")
    if int8 and random:
        raise UsageError(f"{model}: has no trained weights, so int8 has nothing to measure; give --weights")
    opened = resized(open_model(model, start, device=device, random=random), size)
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
        pictures=[] if dataset is None else calibration_images(dataset.images("train"), num_images),
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
