"""COCO average precision of boxes, with ignored objects in the ground truth.

faster-coco-eval matches and accumulates (Lin et al. 2014: IoU 0.50 to 0.95 in steps of 0.05, 101 recall
points, the best 100 detections of an image).

Ignored objects differ from COCO's `iscrowd`, which divides the intersection by the area of the detection and
so accepts a small box anywhere inside the object. Here an ignored object gets an area outside every range,
which keeps the plain IoU: it is no false negative, and its detection is no true positive. COCO ignores
unmatched detections by *their* area, which suits pixel masks but not hands measured by a rotated
quadrilateral. Instead a detection is ignored when the object that it overlaps most is an ignored one with an
IoU of at least 0.5. So a second detection of an ignored hand, or one below IoU 0.75, is no false positive. At
IoU 0.5 this is the rule of PASCAL VOC for `difficult` objects.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np
from faster_coco_eval.core.coco import COCO
from faster_coco_eval.core.faster_eval_api import COCOeval_faster
from jaxtyping import Bool, Float, Int

from seyolo.boxes import area_xyxy, iou_matrix
from seyolo.detections import Detections
from seyolo.errors import DataError

AREA_RANGES_PX2 = {"all": (0.0, 1e10), "small": (0.0, 32.0**2)}  # those of COCO, ends included
OUTSIDE_PX2 = -1.0  # an area in no range, which COCO ignores
FORGIVING_IOU = 0.5

_LOGGER = logging.getLogger(__name__)


@dataclass(frozen=True)
class Truth:
    """Ground truth of one image, in its pixels.

    Objects of `ignore` count neither as false negatives nor as true positives; None means none.
    """

    boxes_xyxy: Float[np.ndarray, "n 4"]
    class_ids: Int[np.ndarray, " n"]
    ignore: Bool[np.ndarray, " n"] | None
    height: int
    width: int

    def ignored(self) -> Bool[np.ndarray, " n"]:
        """Returns `ignore` as an array, all False for None."""
        return np.zeros(len(self.class_ids), dtype=bool) if self.ignore is None else self.ignore


@dataclass(frozen=True)
class ClassMetrics:
    """AP of one class; nan without objects in the ground truth."""

    ap: float
    ap50: float
    num_objects: int


@dataclass(frozen=True)
class Metrics:
    """AP and recall of a detector, in [0, 1], as means over the classes with objects in the ground truth.

    Without objects that count they are nan; with objects and without detections they are 0.

    Attributes:
        ap: COCO AP, mean over the IoU thresholds 0.50 to 0.95; `ap50` and `ap75` at one of them.
        ap_small: COCO AP of objects of at most 32² pixels in the source image.
        recall: COCO AR, the recall of all detections, mean over the thresholds; `recall50` at 0.50.
        num_objects: objects that count; ignored ones do not.
        per_class: by class id.
    """

    ap: float
    ap50: float
    ap75: float
    ap_small: float
    recall: float
    recall50: float
    num_images: int
    num_objects: int
    per_class: tuple[ClassMetrics, ...]

    def to_dict(self) -> dict[str, object]:
        """Returns plain values for JSON, with None for nan."""
        per_class = [_without_nan(asdict(metrics)) for metrics in self.per_class]
        return {**_without_nan(asdict(self)), "per_class": per_class}


def average_precision(
    truths: Sequence[Truth], predictions: Sequence[Detections], num_classes: int, max_detections: int = 100
) -> Metrics:
    """Returns the COCO AP of `predictions`; they and `truths` are by image, in pixels of the source images.

    Of an image and class the best `max_detections` count, 100 in COCO. In an image without objects all
    detections are false positives.

    Raises:
        DataError: a class id is not below `num_classes`.
    """
    assert len(truths) == len(predictions), (len(truths), len(predictions))
    _check_classes(truths, predictions, num_classes)
    counts = _count_objects(truths, num_classes)
    if not truths:
        precision, recall = np.full((10, 101, num_classes, 2), -1.0), np.full((10, num_classes, 2), -1.0)
        return _summarise(precision, recall, 0, counts)
    common = {
        "images": [{"id": i, "height": t.height, "width": t.width} for i, t in enumerate(truths, start=1)],
        "categories": [{"id": i, "name": str(i)} for i in range(1, num_classes + 1)],
    }
    labels = _annotations([(t.boxes_xyxy, t.class_ids, t.ignored()) for t in truths])
    pairs = zip(truths, predictions, strict=True)
    found = _annotations([(p.boxes, p.class_ids, _forgiven(t, p)) for t, p in pairs])
    for row, score in zip(found, (score for p in predictions for score in p.scores.tolist()), strict=True):
        row["score"] = score
    data, results = ({**common, "annotations": rows} for rows in (labels, found))
    precision, recall = _run_coco(data, results, max_detections)
    return _summarise(precision, recall, len(truths), counts)


def _check_classes(truths: Sequence[Truth], predictions: Sequence[Detections], num_classes: int) -> None:
    for what, items in (("a label", truths), ("a detection", predictions)):
        highest = max((int(item.class_ids.max()) for item in items if len(item.class_ids)), default=0)
        if highest >= num_classes:
            raise DataError(
                f"{what} has class {highest}, but there are {num_classes} classes (0 to {num_classes - 1}): "
                "use a network trained for this data set's classes"
            )


def _count_objects(truths: Sequence[Truth], num_classes: int) -> list[int]:
    counted = [truth.class_ids[~truth.ignored()] for truth in truths]
    counts = np.bincount(np.concatenate([np.zeros(0, np.int64), *counted]), minlength=num_classes)
    return [int(count) for count in counts]


def _annotations(
    images: Sequence[tuple[Float[np.ndarray, "n 4"], Int[np.ndarray, " n"], Bool[np.ndarray, " n"]]],
) -> list[dict[str, object]]:
    """Returns COCO annotations of boxes (xyxy), class ids and what is ignored, image by image."""
    annotations: list[dict[str, object]] = []
    for image_id, (boxes_xyxy, class_ids, ignored) in enumerate(images, start=1):
        boxes_xywh = boxes_xyxy.astype(np.float64)
        boxes_xywh[:, 2:] -= boxes_xywh[:, :2]
        areas_px2 = np.where(ignored, OUTSIDE_PX2, area_xyxy(boxes_xyxy))
        columns = zip(boxes_xywh.tolist(), class_ids.tolist(), areas_px2.tolist(), strict=True)
        for box, class_id, area_px2 in columns:
            number = len(annotations) + 1  # in COCO's matcher an id of 0 means "not matched"
            row = {"id": number, "image_id": image_id, "category_id": class_id + 1}
            annotations.append({**row, "bbox": box, "area": area_px2, "iscrowd": 0})
    return annotations


def _forgiven(truth: Truth, found: Detections) -> Bool[np.ndarray, " n"]:
    """Returns which detections overlap an ignored object of their class most."""
    ignored = truth.ignored()
    if not ignored.any() or len(found) == 0:
        return np.zeros(len(found), dtype=bool)
    same_class = found.class_ids[:, None] == truth.class_ids[None]
    overlap = iou_matrix(found.boxes, truth.boxes_xyxy) * same_class
    best = overlap.argmax(axis=1)  # the object that each detection overlaps most
    forgiven: Bool[np.ndarray, " n"] = ignored[best] & (overlap.max(axis=1) >= FORGIVING_IOU)
    return forgiven


def _run_coco(
    truth: dict[str, object], predictions: dict[str, object], max_detections: int
) -> tuple[Float[np.ndarray, "10 101 classes ranges"], Float[np.ndarray, "10 classes ranges"]]:
    """Returns precision and recall by IoU threshold, recall, class and area range; -1 without objects."""
    say = _LOGGER.debug
    coco_truth, coco_predictions = COCO(truth, print_function=say), COCO(predictions, print_function=say)
    run = COCOeval_faster(coco_truth, coco_predictions, iouType="bbox", print_function=say)
    run.params.maxDets = [max_detections]
    run.params.areaRng = [list(limits) for limits in AREA_RANGES_PX2.values()]
    run.params.areaRngLbl = list(AREA_RANGES_PX2)
    run.evaluate()
    run.accumulate()
    return np.asarray(run.eval["precision"])[..., 0], np.asarray(run.eval["recall"])[..., 0]


def _summarise(
    precision: Float[np.ndarray, "10 101 classes ranges"],
    recall: Float[np.ndarray, "10 classes ranges"],
    num_images: int,
    counts: list[int],
) -> Metrics:
    every = precision[..., 0]  # areas of any size
    scores = [(_mean(every[:, :, i]), _mean(every[0, :, i])) for i in range(len(counts))]
    return Metrics(
        ap=_mean(every),
        ap50=_mean(every[0]),
        ap75=_mean(every[5]),  # thresholds are 0.50, 0.55, ..., 0.95
        ap_small=_mean(precision[..., 1]),
        recall=_mean(recall[..., 0]),  # AR of COCO
        recall50=_mean(recall[0, :, 0]),
        num_images=num_images,
        num_objects=sum(counts),
        per_class=tuple(ClassMetrics(*pair, count) for pair, count in zip(scores, counts, strict=True)),
    )


def _mean(values: Float[np.ndarray, "*any"]) -> float:
    counted = values[values > -1]
    return float(counted.mean()) if counted.size else math.nan


def _without_nan(values: dict[str, object]) -> dict[str, object]:
    return {k: None if isinstance(v, float) and math.isnan(v) else v for k, v in values.items()}
