"""Matching of detections with the ground truth, as COCO does; false positives and false negatives."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int

from seyolo.boxes import iou_matrix
from seyolo.detections import Detections
from seyolo.evaluation.ap import Truth

NOTHING = -1  # the match of a false positive
RECALLS = np.linspace(0, 1, 101)  # the recall points of COCO
MAX_DETECTIONS = 100
"""Most detections of an image and class that count, the best ones, as in COCO."""


@dataclass(frozen=True, eq=False)
class Mistakes:
    """Errors of a detector on one image at one confidence threshold."""

    shown: Detections  # at or above the threshold, best first
    false: Bool[np.ndarray, " d"]  # which of them are false positives
    missed: Bool[np.ndarray, " t"]  # which objects of the ground truth are false negatives

    def counts(self) -> tuple[int, int]:
        """Counts false negatives and false positives."""
        return int(self.missed.sum()), int(self.false.sum())


def greedy_matches(overlap: Float[np.ndarray, "d t"], threshold: float) -> Int[np.ndarray, " d"]:
    """Matches each detection, best first, with the unmatched object of the highest IoU, as COCO does.

    `overlap` is the IoU of the detections with the objects, `threshold` the least IoU of a match. The result
    is the index of the matched object per detection, `NOTHING` for none.
    """
    taken = np.full(len(overlap), NOTHING)
    if overlap.size == 0:
        return taken
    free = np.ones(overlap.shape[1], dtype=bool)
    for index in np.flatnonzero(overlap.max(axis=1) >= threshold):
        candidates = np.where(free, overlap[index], -1.0)
        best = int(candidates.argmax())
        if candidates[best] >= threshold:
            taken[index] = best
            free[best] = False
    return taken


def class_matches(
    truths: Sequence[Truth], found: Sequence[Detections], class_id: int, thresholds: Iterable[float]
) -> Iterator[tuple[Detections, Bool[np.ndarray, "k d"], Bool[np.ndarray, " t"]]]:
    """Yields per image the detections of a class, and which of them are hits by IoU threshold.

    Detections are best first, at most `MAX_DETECTIONS`; the mask of the objects of the class comes with them.
    """
    for truth, detections in zip(truths, found, strict=True):
        mine = detections[detections.class_ids == class_id]
        mine = mine[np.argsort(-mine.scores, kind="stable")[:MAX_DETECTIONS]]
        is_object = truth.class_ids == class_id
        overlap = iou_matrix(mine.boxes, truth.boxes_xyxy[is_object])
        yield mine, np.stack([greedy_matches(overlap, iou) != NOTHING for iou in thresholds]), is_object


def precision_at_recalls(
    recall: Float[np.ndarray, " d"], precision: Float[np.ndarray, " d"]
) -> Float[np.ndarray, " 101"]:
    """Returns the highest precision at each recall of `RECALLS` or above; 0 where it is not reached.

    `recall` and `precision` are those of the best 1, 2, ... detections; at least one.
    """
    envelope = np.maximum.accumulate(precision[::-1])[::-1]  # interpolated precision of PASCAL VOC and COCO
    points: Float[np.ndarray, " 101"] = np.append(envelope, 0.0)[np.searchsorted(recall, RECALLS)]
    return points


def mistakes(truth: Truth, found: Detections, confidence: float, iou: float = 0.5) -> Mistakes:
    """Returns false negatives and false positives at this confidence threshold."""
    shown = found[found.scores >= confidence]
    shown = shown[np.argsort(-shown.scores, kind="stable")]
    same_class = shown.class_ids[:, None] == truth.class_ids[None]
    taken = greedy_matches(iou_matrix(shown.boxes, truth.boxes_xyxy) * same_class, iou)
    missed = np.ones(len(truth.class_ids), dtype=bool)
    missed[taken[taken != NOTHING]] = False
    return Mistakes(shown, taken == NOTHING, missed)
