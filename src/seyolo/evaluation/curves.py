"""Precision over recall; precision, recall and F1 over the confidence threshold."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, Float

from seyolo.boxes import iou_matrix
from seyolo.detections import Detections
from seyolo.evaluation.ap import Truth
from seyolo.evaluation.matching import NOTHING, greedy_matches

RECALLS = np.linspace(0, 1, 101)
CONFIDENCES = np.linspace(0, 1, 101)
DIGITS = 4
"""Decimal places in JSON: a hundredth of a point of AP."""

Points = Float[np.ndarray, " 101"]


@dataclass(frozen=True, eq=False)
class Curves:
    """Curves of a detector on a split, each at 101 equidistant points from 0 to 1.

    Attributes:
        precision50: highest precision at each recall or above, IoU 0.5, mean over the classes; its mean is
            AP@0.5.
        precision75: the same at IoU 0.75.
        precision: precision at each confidence threshold, IoU 0.5, all classes together; 1 without
            detections.
        recall: recall at each confidence threshold.
        f1: harmonic mean of both.
    """

    precision50: Points
    precision75: Points
    precision: Points
    recall: Points
    f1: Points

    @property
    def best_confidence(self) -> float:
        """The confidence threshold with the highest F1."""
        return float(CONFIDENCES[int(self.f1.argmax())])

    def to_dict(self) -> dict[str, list[float]]:
        """Returns lists for JSON, rounded to four digits."""
        return {
            name: [round(float(value), DIGITS) for value in points] for name, points in vars(self).items()
        }

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Curves:
        """The inverse of `to_dict`."""
        return cls(**{name: np.array(points, dtype=np.float64) for name, points in values.items()})


@dataclass(frozen=True, eq=False)
class _Found:
    """Detections of one class, best first: scores, hits at IoU 0.5 and 0.75, number of objects."""

    scores: Float[np.ndarray, " d"]
    hits: Bool[np.ndarray, "2 d"]
    num_objects: int


def detection_curves(
    truths: Sequence[Truth], found: Sequence[Detections], num_classes: int, max_detections: int = 100
) -> Curves | None:
    """Returns the curves of detections; None where the ground truth has no objects.

    Args:
        truths: one per image; ignored objects count as all others.
        found: detections, one per image.
        num_classes: every class id is below it.
        max_detections: most detections of an image and class that count, the best ones.
    """
    every = [_found(truths, found, label, max_detections) for label in range(num_classes)]
    labelled = [one for one in every if one.num_objects]
    if not labelled:
        return None
    scores = np.concatenate([one.scores for one in every])
    hits = np.concatenate([one.hits[0] for one in every])
    shown = scores[None] >= CONFIDENCES[:, None]
    right, count = (shown & hits).sum(axis=1), shown.sum(axis=1)
    num_objects = sum(one.num_objects for one in labelled)
    levels = [[_precision_at_recalls(one, level) for one in labelled] for level in (0, 1)]
    return Curves(
        precision50=np.mean(levels[0], axis=0),
        precision75=np.mean(levels[1], axis=0),
        precision=np.where(count, right / np.maximum(count, 1), 1.0),
        recall=right / num_objects,
        f1=2 * right / (count + num_objects),
    )


def _found(truths: Sequence[Truth], found: Sequence[Detections], label: int, max_detections: int) -> _Found:
    scores, hits = [np.zeros(0)], [np.zeros((2, 0), dtype=bool)]
    num_objects = 0
    for truth, detections in zip(truths, found, strict=True):
        mine = detections[detections.class_ids == label]
        mine = mine[np.argsort(-mine.scores, kind="stable")[:max_detections]]
        objects = truth.boxes_xyxy[truth.class_ids == label]
        overlap = iou_matrix(mine.boxes, objects)
        scores.append(mine.scores)
        hits.append(np.stack([greedy_matches(overlap, iou) != NOTHING for iou in (0.5, 0.75)]))
        num_objects += len(objects)
    order = np.argsort(-np.concatenate(scores), kind="stable")
    return _Found(np.concatenate(scores)[order], np.concatenate(hits, axis=1)[:, order], num_objects)


def _precision_at_recalls(found: _Found, level: int) -> Points:
    """Returns the highest precision at each recall or above; 0 where the recall is not reached."""
    if not len(found.scores):
        return np.zeros(len(RECALLS))
    right = np.cumsum(found.hits[level])
    precision = right / np.arange(1, len(right) + 1)
    envelope = np.maximum.accumulate(precision[::-1])[::-1]
    at = np.searchsorted(right / found.num_objects, RECALLS, side="left")
    points: Points = np.where(at < len(right), envelope[np.minimum(at, len(right) - 1)], 0.0)
    return points
