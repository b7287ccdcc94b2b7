"""Detections and average precision of a network or a runtime backend over a split.

The loader letterboxes the images in background threads; the network and non-maximum suppression follow as in
`runtime/inference.py`. Each image's own placement maps the boxes back: AP is measured in pixels of the source
image, as in COCO. A backend needs no PyTorch here.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float32, UInt8

from seyolo.boxes import cxcywh_to_xyxy
from seyolo.data.batches.evaluation import evaluation_batches
from seyolo.data.datasets import Sample
from seyolo.detections import Detections
from seyolo.evaluation.ap import Metrics, Truth, average_precision
from seyolo.letterbox import Placement
from seyolo.progress import Progress, Silent
from seyolo.runtime.inference import Thresholds, suppressed
from seyolo.runtime.protocol import Backend

if TYPE_CHECKING:
    from seyolo.evaluation.network import Infer
    from seyolo.torchnet.build import DarknetModel

AP_THRESHOLDS = Thresholds(confidence=0.001, iou_threshold=0.65)
"""A confidence of 0.001 keeps the low-scored detections that AP needs."""

Judgement = dict[str, tuple[list[Truth], list[Detections]]]
"""Ground truth and detections of every image, by split."""


def evaluate(
    model: DarknetModel | Backend, samples: Sequence[Sample], size_hw: tuple[int, int], batch_size: int = 16
) -> Metrics:
    """Returns the COCO AP of a model on labelled images; arguments as in `judged`.

    Raises:
        DataError: the class of a label is not one of the model's.
    """
    return average_precision(*judged(model, samples, size_hw, batch_size=batch_size), len(model.names))


def judged(
    model: DarknetModel | Backend,
    samples: Sequence[Sample],
    size_hw: tuple[int, int],
    *,
    batch_size: int = 16,
    thresholds: Thresholds = AP_THRESHOLDS,
    progress: Progress | None = None,
) -> tuple[list[Truth], list[Detections]]:
    """Returns ground truth and detections of every image, in pixels of the source images.

    Args:
        model: a network, which runs on its own device, or a runtime backend.
        samples: images with their labels.
        size_hw: height and width of the network's input.
        batch_size: images at a time.
        thresholds: of non-maximum suppression.
        progress: updated after every batch.
    """
    truths: list[Truth] = []
    predictions: list[Detections] = []
    for raw, placements, batch in _raw_outputs(model, samples, size_hw, batch_size, progress):
        predictions += suppressed(raw, placements, thresholds)
        truths += [
            truth_of(sample, placement.source_height, placement.source_width)
            for sample, placement in zip(batch, placements, strict=True)
        ]
    return truths, predictions


def truth_of(sample: Sample, height: int, width: int) -> Truth:
    """Returns a sample's labels in pixels of its image of this height and width."""
    scale = np.array([width, height, width, height], dtype=np.float32)
    boxes_xyxy = cxcywh_to_xyxy(sample.boxes_cxcywh * scale)
    return Truth(boxes_xyxy, sample.class_ids, None, height, width)


def _raw_outputs(
    model: DarknetModel | Backend,
    samples: Sequence[Sample],
    size_hw: tuple[int, int],
    batch_size: int,
    progress: Progress | None,
) -> Iterator[tuple[Float32[np.ndarray, "B P columns"], list[Placement], Sequence[Sample]]]:
    report = Silent() if progress is None else progress
    mode = (model if isinstance(model, Backend) else model.network.net).letterbox_mode
    batches = evaluation_batches(samples, size_hw, batch_size, mode)
    with _inferring(model) as infer, report.task("evaluating", len(samples)) as advance:
        for images, placements, batch in batches:
            yield infer(images), placements, batch
            advance(len(batch), "")


def _inferring(model: DarknetModel | Backend) -> AbstractContextManager[Infer]:
    """Returns the model as a function of a batch."""
    if isinstance(model, Backend):
        return nullcontext(partial(_infer_on_backend, model))
    # A caller that has built a network has imported PyTorch.
    from seyolo.evaluation.network import inferring  # noqa: PLC0415

    return inferring(model)


def _infer_on_backend(
    backend: Backend, images: UInt8[np.ndarray, "B H W 3"]
) -> Float32[np.ndarray, "B P columns"]:
    planes = np.multiply(images.transpose(0, 3, 1, 2), np.float32(1 / 255), order="C", dtype=np.float32)
    return backend.infer(planes)
