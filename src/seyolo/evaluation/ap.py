"""COCO average precision of boxes, with ignored regions in the ground truth.

faster-coco-eval matches and accumulates (Lin et al. 2014: IoU 0.50 to 0.95 in steps of 0.05, 101 recall
points, the best 100 detections of an image).

An ignored region is no false negative, and a detection that matches it counts neither as true nor as false
positive. An object that counts is matched first. There are two kinds of ignored regions:

Crowds follow COCO's `iscrowd`: any number of detections match one, and the overlap is the intersection
divided by the area of the detection, so a small box anywhere inside matches.

Single objects (`difficult` in VOC, small hands in the official Oxford protocol) keep the plain IoU: they get
an area outside every range. COCO ignores unmatched detections by *their* area, which suits pixel masks but
not hands measured by a rotated quadrilateral. Instead a detection without match is also ignored when the
object that it overlaps most is an ignored one with an IoU of at least 0.5, at every IoU threshold. So a
second detection of an ignored hand, or one below IoU 0.75, is no false positive. At IoU 0.5 this is the rule
of the PASCAL VOC development kit for `difficult` objects.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import NamedTuple

import numpy as np
from faster_coco_eval.core.coco import COCO
from faster_coco_eval.core.faster_eval_api import COCOeval_faster
from jaxtyping import Bool, Float, Int

from seyolo.boxes import area_xyxy, inside_matrix, iou_matrix
from seyolo.detections import Detections
from seyolo.errors import DataError, counted

AREA_RANGES_PX2 = {"all": (0.0, 1e10), "small": (0.0, 32.0**2)}  # those of COCO, ends included
OUTSIDE_PX2 = -1.0  # an area in no range, which COCO ignores
FORGIVING_IOU = 0.5

_LOGGER = logging.getLogger(__name__)


@dataclass(frozen=True)
class Regions:
    """Ignored regions of one image, in its pixels; those that are no crowds are single objects."""

    boxes_xyxy: Float[np.ndarray, "m 4"]
    class_ids: Int[np.ndarray, " m"]
    is_crowd: Bool[np.ndarray, " m"]

    def __len__(self) -> int:
        return len(self.class_ids)

    def overlap(self, found: Detections) -> Float[np.ndarray, "d m"]:
        """Returns IoU with single objects and the share inside crowds; 0 for regions of another class."""
        boxes = found.boxes, self.boxes_xyxy
        overlap = np.where(self.is_crowd, inside_matrix(*boxes), iou_matrix(*boxes))
        same_class: Float[np.ndarray, "d m"] = overlap * (found.class_ids[:, None] == self.class_ids)
        return same_class


NO_REGIONS = Regions(np.empty((0, 4), np.float32), np.empty(0, np.int64), np.empty(0, bool))


@dataclass(frozen=True)
class Truth:
    """Ground truth of one image, in its pixels."""

    boxes_xyxy: Float[np.ndarray, "n 4"]  # objects that count
    class_ids: Int[np.ndarray, " n"]
    height: int
    width: int
    ignored: Regions = NO_REGIONS
    stated_areas_px2: Float[np.ndarray, " n"] | None = None  # nan, and None for all: the area of the box

    def areas_px2(self) -> Float[np.ndarray, " n"]:
        """Returns the areas of the objects that count."""
        areas_px2: Float[np.ndarray, " n"] = area_xyxy(self.boxes_xyxy.astype(np.float64))
        if self.stated_areas_px2 is None:
            return areas_px2
        return np.where(np.isnan(self.stated_areas_px2), areas_px2, self.stated_areas_px2)


@dataclass(frozen=True)
class ClassMetrics:
    """AP of one class; nan without objects in the ground truth."""

    ap: float
    ap50: float
    num_objects: int


@dataclass(frozen=True, repr=False)
class Metrics:
    """AP and recall of a detector, in [0, 1], as means over the classes with objects in the ground truth.

    Without objects that count they are nan; with objects and without detections they are 0.

    Attributes:
        ap: COCO AP, mean over the IoU thresholds 0.50 to 0.95; `ap50` and `ap75` at one of them.
        ap_small: COCO AP of objects of at most 32² pixels in the source image, of their outlines where labels
            state areas.
        recall: COCO AR, the recall of all detections, mean over the thresholds; `recall50` at 0.50.
        num_objects: without ignored regions.
        per_class: by class id.
        names: of the classes by id; empty where they are unknown.
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
    names: tuple[str, ...] = ()

    def __repr__(self) -> str:
        shares = (f"{name}={getattr(self, name):.4f}" for name in ("ap", "ap50", "ap75", "recall"))
        return f"Metrics({', '.join(shares)}, num_images={self.num_images}, num_objects={self.num_objects})"

    def by_class(self) -> dict[str, ClassMetrics]:
        """Returns the metrics of the classes with objects by name; none where there is only one class."""
        if len(self.names) < 2:
            return {}
        named = zip(self.names, self.per_class, strict=True)
        return {name: metrics for name, metrics in named if metrics.num_objects}

    def to_dict(self) -> dict[str, object]:
        """Returns plain values for JSON, with None for nan, and `names` where there are several classes."""
        values = _without_nan(asdict(self))
        values["per_class"] = [_without_nan(asdict(metrics)) for metrics in self.per_class]
        values["names"] = list(self.names)
        return values if len(self.names) > 1 else {k: v for k, v in values.items() if k != "names"}


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
    labels = _annotations(map(_of_truth, truths))
    found = _annotations(map(_of_detections, truths, predictions))
    for row, score in zip(found, (score for p in predictions for score in p.scores.tolist()), strict=True):
        row["score"] = score
    data, results = ({**common, "annotations": rows} for rows in (labels, found))
    precision, recall = _run_coco(data, results, max_detections)
    return _summarise(precision, recall, len(truths), counts)


def _check_classes(truths: Sequence[Truth], predictions: Sequence[Detections], num_classes: int) -> None:
    labels = [part for truth in truths for part in (truth, truth.ignored)]
    for what, items in (("a label", labels), ("a detection", predictions)):
        highest = max((int(item.class_ids.max()) for item in items if len(item.class_ids)), default=0)
        if highest >= num_classes:
            raise DataError(
                f"{what} has class {highest}, but there {'is' if num_classes == 1 else 'are'} "
                f"{counted(num_classes, 'class')} (0 to {num_classes - 1}): use a network trained for this "
                "data set's classes"
            )


def _count_objects(truths: Sequence[Truth], num_classes: int) -> list[int]:
    every = np.concatenate([np.zeros(0, np.int64), *(truth.class_ids for truth in truths)])
    counts = np.bincount(every, minlength=num_classes)
    return [int(count) for count in counts]


class _Boxes(NamedTuple):
    """Boxes of one image for COCO; an area of OUTSIDE_PX2 ignores them."""

    boxes_xyxy: Float[np.ndarray, "n 4"]
    class_ids: Int[np.ndarray, " n"]
    areas_px2: Float[np.ndarray, " n"]
    is_crowd: Bool[np.ndarray, " n"]


def _of_truth(truth: Truth) -> _Boxes:
    regions = truth.ignored
    return _Boxes(
        np.concatenate([truth.boxes_xyxy, regions.boxes_xyxy]),
        np.concatenate([truth.class_ids, regions.class_ids]),
        np.concatenate([truth.areas_px2(), np.full(len(regions), OUTSIDE_PX2)]),
        np.concatenate([np.zeros(len(truth.class_ids), bool), regions.is_crowd]),
    )


def _of_detections(truth: Truth, found: Detections) -> _Boxes:
    areas_px2 = np.where(forgiven(truth, found), OUTSIDE_PX2, area_xyxy(found.boxes.astype(np.float64)))
    return _Boxes(found.boxes, found.class_ids, areas_px2, np.zeros(len(found), bool))


def _annotations(images: Iterable[_Boxes]) -> list[dict[str, object]]:
    """Returns COCO annotations, image by image."""
    annotations: list[dict[str, object]] = []
    for image_id, boxes in enumerate(images, start=1):
        boxes_xywh = boxes.boxes_xyxy.astype(np.float64)
        boxes_xywh[:, 2:] -= boxes_xywh[:, :2]
        lists = (column.tolist() for column in (boxes_xywh, *boxes[1:3], boxes.is_crowd.astype(int)))
        for box, class_id, area_px2, is_crowd in zip(*lists, strict=True):
            number = len(annotations) + 1  # in COCO's matcher an id of 0 means "not matched"
            row = {"id": number, "image_id": image_id, "category_id": class_id + 1}
            annotations.append({**row, "bbox": box, "area": area_px2, "iscrowd": is_crowd})
    return annotations


def forgiven(truth: Truth, found: Detections) -> Bool[np.ndarray, " n"]:
    """Returns which detections overlap an ignored single object of their class most."""
    single = ~truth.ignored.is_crowd
    if not single.any() or len(found) == 0:
        return np.zeros(len(found), dtype=bool)
    boxes_xyxy = np.concatenate([truth.boxes_xyxy, truth.ignored.boxes_xyxy[single]])
    class_ids = np.concatenate([truth.class_ids, truth.ignored.class_ids[single]])
    overlap = iou_matrix(found.boxes, boxes_xyxy) * (found.class_ids[:, None] == class_ids)
    best = overlap.argmax(axis=1)  # the object that each detection overlaps most
    is_forgiven: Bool[np.ndarray, " n"] = best >= len(truth.class_ids)
    is_forgiven &= overlap.max(axis=1) >= FORGIVING_IOU
    return is_forgiven


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
