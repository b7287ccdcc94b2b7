"""Precision over recall; precision, recall and F1 over the confidence threshold."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, NamedTuple, NotRequired, TypedDict

import numpy as np
from jaxtyping import Bool, Float
from msgspec import Meta

from seyolo.detections import Detections
from seyolo.evaluation.ap import Truth
from seyolo.evaluation.matching import RECALLS, class_matches, precision_at_recalls
from seyolo.json_files import Share, to_json
from seyolo.results import ClassResult

CONFIDENCES = np.linspace(0, 1, 101)
DIGITS = 4  # decimal places in JSON: a hundredth of a point of AP

Points = Float[np.ndarray, " 101"]
Listed = Annotated[list[Share], Meta(min_length=101, max_length=101)]


class CurveValues(TypedDict):
    """`Curves` as JSON."""

    precision50: Listed
    precision75: Listed
    precision: Listed
    recall: Listed
    f1: Listed
    classes: NotRequired[Mapping[str, ClassResult]]


@dataclass(frozen=True, eq=False)
class Curves:
    """Curves of a detector on a split, each at 101 equidistant points from 0 to 1.

    `precision50` is the highest precision at each recall or above at IoU 0.5, mean over the classes; its mean
    is AP@0.5. The last three are by confidence threshold, at IoU 0.5, all classes together.
    """

    precision50: Points
    precision75: Points  # the same at IoU 0.75
    precision: Points  # 1 without detections
    recall: Points
    f1: Points  # harmonic mean of both
    classes: Mapping[str, ClassResult] = field(default_factory=dict)  # by name, where training kept them

    @property
    def best_confidence(self) -> float:
        """The confidence threshold with the highest F1."""
        return float(CONFIDENCES[int(self.f1.argmax())])

    def to_dict(self) -> dict[str, Any]:
        """Returns plain values for JSON, the points rounded to four digits."""
        arrays = ((name, found.tolist()) for name, found in vars(self).items() if name != "classes")
        values: dict[str, Any] = {name: [round(x, DIGITS) for x in points] for name, points in arrays}
        return values | ({"classes": to_json(self.classes)} if self.classes else {})

    @classmethod
    def from_dict(cls, values: CurveValues) -> Curves:
        """Inverts `to_dict`."""
        arrays = {name: np.array(found, dtype=float) for name, found in values.items() if name != "classes"}
        return cls(**arrays, classes=values.get("classes", {}))


def detection_curves(truths: Sequence[Truth], found: Sequence[Detections], num_classes: int) -> Curves | None:
    """Returns the curves of detections by image; None where the ground truth has no objects.

    Ignored regions are treated as in `average_precision`.
    """
    every = [_of_class(truths, found, label) for label in range(num_classes)]
    labelled = [found for found in every if found.num_objects]
    if not labelled:
        return None
    scores = np.concatenate([found.scores for found in every])
    hits = np.concatenate([found.hits[0] for found in every])  # at IoU 0.5
    ignored = np.concatenate([found.ignored[0] for found in every])
    shown = scores[None] >= CONFIDENCES[:, None]
    right, count = (shown & hits).sum(axis=1), (shown & ~ignored).sum(axis=1)
    num_objects = sum(found.num_objects for found in labelled)
    return Curves(
        precision50=np.mean([found.precision(0) for found in labelled], axis=0),
        precision75=np.mean([found.precision(1) for found in labelled], axis=0),
        precision=np.where(count, right / np.maximum(count, 1), 1.0),  # TP / (TP + FP)
        recall=right / num_objects,  # TP / (TP + FN)
        f1=2 * right / (count + num_objects),  # 2 TP / (2 TP + FP + FN)
    )


class _Found(NamedTuple):
    """Detections of one class, best first, and their matches at IoU 0.5 and 0.75."""

    scores: Float[np.ndarray, " d"]
    hits: Bool[np.ndarray, "2 d"]
    ignored: Bool[np.ndarray, "2 d"]
    num_objects: int

    def precision(self, level: int) -> Points:
        """Returns precision at `RECALLS`."""
        if not len(self.scores):
            return np.zeros(len(RECALLS))
        right = np.cumsum(self.hits[level])  # true positives among the best 1, 2, ...
        counted = np.maximum(np.cumsum(~self.ignored[level]), 1)
        return precision_at_recalls(right / self.num_objects, right / counted)


def _of_class(truths: Sequence[Truth], found: Sequence[Detections], label: int) -> _Found:
    matched = list(class_matches(truths, found, label, (0.5, 0.75)))
    scores = np.concatenate([np.zeros(0), *(one.found.scores for one in matched)])
    none = np.zeros((2, 0), dtype=bool)
    hits = np.concatenate([none, *(one.hits for one in matched)], axis=1)
    ignored = np.concatenate([none, *(one.ignored for one in matched)], axis=1)
    order = np.argsort(-scores, kind="stable")
    num_objects = sum(int(one.is_object.sum()) for one in matched)
    return _Found(scores[order], hits[:, order], ignored[:, order], num_objects)
