"""A network or a runtime backend over a whole split: detections, and their average precision.

Both kinds of model become one small function from a batch of images to raw predictions, so that a figure
means the same whichever runs. Images are letterboxed by the loader and the boxes come back through each
image's own placement: AP is measured in the pixels of the source image, as COCO does it. A backend needs
no PyTorch here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from typing import TYPE_CHECKING, TypedDict, Unpack

import numpy as np
from jaxtyping import Float32, UInt8

from seyolo.boxes import cxcywh_to_xyxy
from seyolo.data.batches.evaluation import evaluation_batches
from seyolo.data.datasets import Sample
from seyolo.detections import Detections
from seyolo.evaluation.ap import Metrics, Truth, average_precision
from seyolo.letterbox import Mode, Placement
from seyolo.progress import Progress, Silent
from seyolo.runtime.backend import Backend

if TYPE_CHECKING:
    from seyolo.torchnet.build import DarknetModel

Infer = Callable[[UInt8[np.ndarray, "B H W 3"]], Float32[np.ndarray, "B P columns"]]
"""From RGB images to raw predictions: cx, cy, w, h in input pixels, objectness, class probabilities."""


Judgement = dict[str, tuple[list[Truth], list[Detections]]]
"""By split: the labels and the detections of every image."""


class JudgeOptions(TypedDict, total=False):
    """The options of `predict`."""

    batch_size: int
    confidence: float
    iou_threshold: float
    max_detections: int
    bfloat16: bool
    progress: Progress | None


def predict(
    model: DarknetModel | Backend,
    samples: Sequence[Sample],
    size_hw: tuple[int, int],
    *,
    batch_size: int = 16,
    confidence: float = 0.001,
    iou_threshold: float = 0.65,
    max_detections: int = 300,
    bfloat16: bool = False,
    progress: Progress | None = None,
) -> list[Detections]:
    """Detections of every image, in the order of `samples`, in pixels of the source images.

    Args:
        model: a network, which runs on the device it is on, or a runtime backend.
        samples: images; their labels are not looked at.
        size_hw: the network's input.
        batch_size: images at a time.
        confidence: detections below are dropped; 0.001 keeps the tail AP needs.
        iou_threshold: of non-maximum suppression.
        max_detections: per image.
        bfloat16: a network runs under autocast; no effect on a backend, whose precision is in its file.
        progress: told after every batch; None says nothing.
    """
    outputs = _raw_outputs(
        model, samples, size_hw, batch_size=batch_size, bfloat16=bfloat16, progress=progress
    )
    return [
        Detections.from_raw(raw, placement, confidence, iou_threshold, max_detections)
        for raw, placement, _ in outputs
    ]


def evaluate(
    model: DarknetModel | Backend,
    samples: Sequence[Sample],
    size_hw: tuple[int, int],
    **options: Unpack[JudgeOptions],
) -> Metrics:
    """COCO AP of a model on labelled images; arguments as in `predict`.

    Raises:
        DataError: a label's class is not one of the model's.
    """
    truths, predictions = judged(model, samples, size_hw, **options)
    return average_precision(truths, predictions, len(model.names))


def judged(
    model: DarknetModel | Backend,
    samples: Sequence[Sample],
    size_hw: tuple[int, int],
    *,
    batch_size: int = 16,
    confidence: float = 0.001,
    iou_threshold: float = 0.65,
    max_detections: int = 300,
    bfloat16: bool = False,
    progress: Progress | None = None,
) -> tuple[list[Truth], list[Detections]]:
    """Labels and detections of every image, for AP and its bootstrap; arguments as in `predict`."""
    truths: list[Truth] = []
    predictions: list[Detections] = []
    outputs = _raw_outputs(
        model, samples, size_hw, batch_size=batch_size, bfloat16=bfloat16, progress=progress
    )
    for raw, placement, sample in outputs:
        predictions.append(Detections.from_raw(raw, placement, confidence, iou_threshold, max_detections))
        truths.append(truth_of(sample, placement.source_height, placement.source_width))
    return truths, predictions


def truth_of(sample: Sample, height: int, width: int) -> Truth:
    """A sample's labels in pixels of its image, which has the given height and width."""
    scale = np.array([width, height, width, height], dtype=np.float32)
    boxes_xyxy = cxcywh_to_xyxy(sample.boxes_cxcywh * scale)
    return Truth(boxes_xyxy, sample.class_ids, None, height, width)


def _raw_outputs(
    model: DarknetModel | Backend,
    samples: Sequence[Sample],
    size_hw: tuple[int, int],
    *,
    batch_size: int,
    bfloat16: bool,
    progress: Progress | None,
) -> Iterator[tuple[Float32[np.ndarray, "P columns"], Placement, Sample]]:
    report = Silent() if progress is None else progress
    batches = evaluation_batches(samples, size_hw, batch_size, _letterbox_mode(model))
    with _inferring(model, bfloat16) as infer, report.task("evaluating", len(samples)) as advance:
        for images, placements, batch in batches:
            yield from zip(infer(images), placements, batch, strict=True)
            advance(len(batch), "")


def _letterbox_mode(model: DarknetModel | Backend) -> Mode:
    """How the model wants images fitted: its description's or its file's word, as in detection."""
    if isinstance(model, Backend):
        return model.letterbox_mode
    return "letterbox" if model.network.net.letter_box else "stretch"


def _inferring(model: DarknetModel | Backend, bfloat16: bool) -> AbstractContextManager[Infer]:
    """The model as a function of a batch."""
    if isinstance(model, Backend):
        return nullcontext(partial(_infer_on_backend, model))
    # Only here is PyTorch needed, and then whoever built the network has imported it.
    from seyolo.evaluation.network import inferring  # noqa: PLC0415

    return inferring(model, bfloat16)


def _infer_on_backend(
    backend: Backend, images: UInt8[np.ndarray, "B H W 3"]
) -> Float32[np.ndarray, "B P columns"]:
    planes = np.multiply(images.transpose(0, 3, 1, 2), np.float32(1 / 255), order="C", dtype=np.float32)
    return backend.infer(planes)
