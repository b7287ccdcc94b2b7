"""Evaluation of a model on the splits of a data set: detections, AP, AP differences and curves.

The loader letterboxes the images in background threads; the network and non-maximum suppression follow as in
`runtime/inference.py`. Each image's own placement maps the boxes back: AP is measured in pixels of the source
image, as in COCO. A runtime backend needs no PyTorch here.
"""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import asdict, replace
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from jaxtyping import Float, Float32, UInt8

from seyolo.boxes import cxcywh_to_xyxy
from seyolo.class_names import listed, same_classes
from seyolo.data.batches.evaluation import evaluation_batches, image_batch
from seyolo.data.datasets import Dataset, evaluated_splits
from seyolo.data.samples import Sample
from seyolo.data.small_boxes import warn_of_small_boxes
from seyolo.detections import Detections
from seyolo.errors import DataError, counted
from seyolo.evaluation.ap import Metrics, Regions, Truth, average_precision
from seyolo.evaluation.bootstrap import bootstrap_difference
from seyolo.evaluation.curves import Curves, detection_curves
from seyolo.evaluation.matching import mistakes
from seyolo.letterbox import Fit
from seyolo.media.ahead import in_background
from seyolo.progress import Progress, Silent
from seyolo.results import SHOWN_FROM, ClassResult, Difference, SplitMetrics
from seyolo.runtime.inference import Thresholds, suppressed
from seyolo.runtime.protocol import Backend
from seyolo.tiling.detecting import detect_in_tiles
from seyolo.tiling.merging import merged

if TYPE_CHECKING:
    from seyolo.evaluation.network import Infer
    from seyolo.torchnet.build import DarknetModel

AP_THRESHOLDS = Thresholds(confidence=0.001, iou_threshold=0.65)
"""A confidence of 0.001 keeps the low-scored detections that AP needs."""

AS_DETECTED = Thresholds()


class Judged(NamedTuple):
    """Ground truth and detections of every image."""

    truths: list[Truth]
    found: list[Detections]  # for AP, at `AP_THRESHOLDS`
    detected: list[Detections]  # what `detect` finds by default


Judgement = dict[str, Judged]
"""By split."""


def evaluate(
    model: DarknetModel | Backend, samples: Sequence[Sample], size_hw: tuple[int, int], batch_size: int = 16
) -> Metrics:
    """Returns the COCO AP of a model on labelled images; arguments as in `judged`.

    Raises:
        DataError: the class of a label is not one of the model's.
    """
    truths, found, _ = judged(model, samples, size_hw, batch_size=batch_size)
    return average_precision(truths, found, len(model.names))


def judge_splits(
    model: DarknetModel | Backend,
    dataset: Dataset,
    split: str | None,
    size_hw: tuple[int, int],
    progress: Progress | None = None,
    *,
    batch: int = 16,
) -> Judgement:
    """Returns ground truth and detections of the named split, or of every split but `train`.

    Where there is no split but `train`, that one is evaluated; other arguments are as in `judged`. Class ids
    are those of the data set: classes are the same by name, see `class_order`.

    Raises:
        DataError: no class in common, or no such split.
    """
    order = class_order(model.names, dataset)
    splits = {name: dataset.split(name) for name in evaluated_splits(dataset, split)}
    for samples in splits.values():
        warn_of_small_boxes(samples, size_hw, _fit_of(model, size_hw).mode)
    return {
        name: judged(model, samples, size_hw, batch_size=batch, progress=progress, order=order)
        for name, samples in splits.items()
    }


def class_order(names: Sequence[str], dataset: Dataset) -> tuple[int | None, ...] | None:
    """Returns for each class of a data set its number in a model with these class names; None: the same.

    A class that the model lacks is never found, so its AP is 0; detections of a class that the data set lacks
    are left out. Warnings name both. Where no name is in common, classes are the same by number, with a
    warning, if they are as many.

    Raises:
        DataError: no name is in common, and the classes are not as many.
    """
    order = same_classes(dataset.names, names)
    source, lists = dataset.source, f"{listed(dataset.names)} here, {listed(names)} in the model"
    if all(index is None for index in order):
        if len(names) != len(dataset.names):
            raise DataError(
                f"{source}: has {counted(len(dataset.names), 'class')} ({listed(dataset.names)}), "
                f"the model {len(names)} ({listed(names)}); train it on these classes first: "
                f"seyolo train --data {source} --model MODEL --weights WEIGHTS"
            )
        warnings.warn(f"{source}: other class names, counted by number: {lists}", stacklevel=4)
        return None
    missing = [name for name, index in zip(dataset.names, order, strict=True) if index is None]
    extra = [name for index, name in enumerate(names) if index not in order]
    if missing:
        advice = f"classes that the model does not have are never found: {listed(missing)}"
        warnings.warn(f"{source}: {advice}", stacklevel=4)
    if extra:
        advice = f"detections of classes that the data set lacks are left out: {listed(extra)}"
        warnings.warn(f"{source}: {advice}", stacklevel=4)
    return None if order == tuple(range(len(names))) else order


def judged(
    model: DarknetModel | Backend,
    samples: Sequence[Sample],
    size_hw: tuple[int, int],
    *,
    batch_size: int = 16,
    progress: Progress | None = None,
    order: Sequence[int | None] | None = None,
) -> Judged:
    """Returns ground truth and detections of every image, in pixels of the source images.

    A network runs on its own device; `size_hw` is height and width of its input, `order` as in `class_order`.
    """
    if samples and samples[0].tiling is not None:
        return _judged_in_tiles(model, samples, size_hw, batch_size, progress, order=order)
    result = Judged([], [], [])
    fit = _fit_of(model, size_hw)
    with (
        _inferring(model, order) as infer,
        (progress or Silent()).task("evaluating", len(samples)) as advance,
    ):
        for images, placements, batch in evaluation_batches(samples, fit, batch_size):
            raw = infer(images)
            result.found.extend(suppressed(raw, placements, AP_THRESHOLDS.of(model)))
            result.detected.extend(suppressed(raw, placements, AS_DETECTED.of(model)))
            result.truths.extend(
                truth_of(sample, placement.source_height, placement.source_width)
                for sample, placement in zip(batch, placements, strict=True)
            )
            advance(len(batch), "")
    return result


def in_order(
    raw: Float32[np.ndarray, "B P columns"], order: Sequence[int | None]
) -> Float32[np.ndarray, "B P 5+classes"]:
    """Returns raw predictions with the columns of classes in this order; None is one of probability 0."""
    unknown = raw.shape[-1]
    columns = [*range(5), *(unknown if index is None else 5 + index for index in order)]
    padded: Float32[np.ndarray, "B P more"] = np.concatenate([raw, np.zeros_like(raw[..., :1])], axis=-1)
    return padded[..., columns]


def _fit_of(model: DarknetModel | Backend, size_hw: tuple[int, int]) -> Fit:
    return Fit.of(model if isinstance(model, Backend) else model.network.net, size_hw)


def _judged_in_tiles(
    model: DarknetModel | Backend,
    samples: Sequence[Sample],
    size_hw: tuple[int, int],
    batch_size: int,
    progress: Progress | None,
    *,
    order: Sequence[int | None] | None,
) -> Judged:
    """Returns what `judged` does, of images that are cut into tiles; a batch is tiles of one image."""
    result = Judged([], [], [])
    likely: list[Detections] = []
    fit = _fit_of(model, size_hw)
    images = in_background(lambda sample: (sample, sample.read()), samples, threads=1, prefetch=2)
    with (
        _inferring(model, order) as infer,
        (progress or Silent()).task("evaluating", len(samples)) as advance,
    ):

        def detect(tiles: Sequence[UInt8[np.ndarray, "h w 3"]]) -> list[Detections]:
            batch, placements = image_batch(tiles, len(tiles), fit)
            raw = infer(batch)
            likely.extend(suppressed(raw, placements, AS_DETECTED.of(model)))
            return suppressed(raw, placements, AP_THRESHOLDS.of(model))

        for sample, image in images:
            tiling, size = sample.tiling, (image.shape[0], image.shape[1])
            assert tiling is not None  # all samples of a data set have the same
            likely.clear()
            result.found.append(
                detect_in_tiles(image, tiling, detect, AP_THRESHOLDS.iou_threshold, batch_size)
            )
            result.detected.append(merged(likely, tiling.views(*size), size, AS_DETECTED.iou_threshold))
            result.truths.append(truth_of(sample, *size))
            advance(1, "")
    return result


def truth_of(sample: Sample, height: int, width: int) -> Truth:
    """Returns a sample's labels in pixels of its image of this height and width.

    Labels that state the size of the image were in pixels. Rounding to a thousandth of one undoes the error
    of their fractions in single precision.
    """
    corners = [_corners(labels.boxes_cxcywh, height, width) for labels in (sample, sample.ignored)]
    if sample.stated_size is not None:
        corners = [np.round(boxes_xyxy.astype(np.float64), 3) for boxes_xyxy in corners]
    ignored = Regions(corners[1], sample.ignored.class_ids, sample.ignored.is_crowd)
    return Truth(corners[0], sample.class_ids, height, width, ignored, sample.areas_px2)


def _corners(boxes_cxcywh: Float32[np.ndarray, "n 4"], height: int, width: int) -> Float[np.ndarray, "n 4"]:
    scale = np.array([width, height, width, height], dtype=np.float32)
    return cxcywh_to_xyxy(boxes_cxcywh * scale)


@contextmanager
def _inferring(
    model: DarknetModel | Backend, order: Sequence[int | None] | None
) -> Iterator[Callable[[UInt8[np.ndarray, "B H W 3"]], Float32[np.ndarray, "B P columns"]]]:
    """Yields the model as a function of a batch, its classes in an order as in `class_order`."""
    if isinstance(model, Backend):
        context: AbstractContextManager[Infer] = nullcontext(partial(_infer_on_backend, model))
    else:
        # A caller that has built a network has imported PyTorch.
        from seyolo.evaluation.network import inferring  # noqa: PLC0415

        context = inferring(model)
    with context as infer:
        yield infer if order is None else lambda images: in_order(infer(images), order)


def _infer_on_backend(
    backend: Backend, images: UInt8[np.ndarray, "B H W 3"]
) -> Float32[np.ndarray, "B P columns"]:
    planes = np.multiply(images.transpose(0, 3, 1, 2), np.float32(1 / 255), order="C", dtype=np.float32)
    return backend.infer(planes)


def metrics_of(judgement: Judgement, names: Sequence[str]) -> dict[str, Metrics]:
    """Returns COCO AP by split; `names` are those of the classes."""
    found = {split: average_precision(one.truths, one.found, len(names)) for split, one in judgement.items()}
    return {split: replace(metrics, names=tuple(names)) for split, metrics in found.items()}


def split_metrics(judgement: Judgement, names: Sequence[str]) -> dict[str, SplitMetrics]:
    """Computes AP and AP@0.5 by split, as results keep them; `names` are those of the classes."""
    return {
        split: SplitMetrics(metrics.ap, metrics.ap50, class_results(metrics, judgement[split]))
        for split, metrics in metrics_of(judgement, names).items()
    }


def class_results(metrics: Metrics, judged: Judged) -> dict[str, ClassResult]:
    """Returns the results of the classes with objects by name; none where that is only one class."""
    classes = metrics.by_class()
    if len(classes) < 2:
        return {}
    rows = zip(judged.truths, judged.detected, strict=True)
    hits = [truth.class_ids[~mistakes(truth, found, SHOWN_FROM).missed] for truth, found in rows]
    num_found = Counter(metrics.names[class_id] for of_image in hits for class_id in of_image)
    return {name: ClassResult(**asdict(one), found=num_found[name]) for name, one in classes.items()}


def ap_lead(first: Judgement, second: Judgement, num_classes: int) -> dict[str, Difference]:
    """Computes AP of `first` minus that of `second` with a 95 % bootstrap interval over images.

    Splits without labels are left out.
    """
    return {
        split: bootstrap_difference(one.truths, first[split].found, one.found, num_classes)
        for split, one in second.items()
        if any(len(truth.class_ids) for truth in one.truths)
    }


def curves_by_split(judgement: Judgement, num_classes: int) -> dict[str, Curves]:
    """Computes precision, recall and F1 by split; splits without labels are left out."""
    curves = {split: detection_curves(one.truths, one.found, num_classes) for split, one in judgement.items()}
    return {split: found for split, found in curves.items() if found is not None}
