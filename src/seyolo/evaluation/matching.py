"""Matching of detections with the ground truth, as COCO does; false positives and false negatives."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

from seyolo.boxes import iou_matrix
from seyolo.detections import Detections
from seyolo.evaluation.ap import Truth, forgiven

NOTHING = -1  # the match of a false positive
RECALLS = np.linspace(0, 1, 101)  # the recall points of COCO
MAX_DETECTIONS = 100
"""Most detections of an image and class that count, the best ones, as in COCO."""


@dataclass(frozen=True, eq=False)
class Mistakes:
    """Errors of a detector on one image at one confidence threshold."""

    shown: Detections  # at or above the threshold, best first
    false: Bool[np.ndarray, " d"]  # which of them are false positives; matches of ignored regions are not
    missed: Bool[np.ndarray, " t"]  # which objects of the ground truth are false negatives

    def counts(self) -> tuple[int, int]:
        """Counts false negatives and false positives."""
        return int(self.missed.sum()), int(self.false.sum())


class ClassMatches(NamedTuple):
    """Detections of a class in one image, and their matches by IoU threshold."""

    found: Detections  # best first, at most MAX_DETECTIONS
    hits: Bool[np.ndarray, "k d"]  # true positives
    ignored: Bool[np.ndarray, "k d"]  # neither true nor false positives
    is_object: Bool[np.ndarray, " t"]  # objects of the class


def greedy_matches(
    overlap: Float[np.ndarray, "d t"], threshold: float, is_crowd: Bool[np.ndarray, " t"] | None = None
) -> Int[np.ndarray, " d"]:
    """Matches each detection, best first, with the unmatched object of the highest IoU, as COCO does.

    `overlap` is the IoU of the detections with the objects, `threshold` the least IoU of a match. A crowd is
    matched any number of times. The result is the index of the matched object per detection, `NOTHING` for
    none.
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
            free[best] = is_crowd is not None and is_crowd[best]
    return taken


def ignored_detections(
    truth: Truth, found: Detections, is_hit: Bool[np.ndarray, " d"], threshold: float
) -> Bool[np.ndarray, " d"]:
    """Returns which detections, best first, match an ignored region and no object, as in `ap`."""
    ignored = np.zeros(len(found), dtype=bool)
    if len(truth.ignored):
        overlap = truth.ignored.overlap(found[~is_hit])
        ignored[~is_hit] = greedy_matches(overlap, threshold, truth.ignored.is_crowd) != NOTHING
        ignored |= forgiven(truth, found) & ~is_hit
    return ignored


def class_matches(
    truths: Sequence[Truth], found: Sequence[Detections], class_id: int, thresholds: Sequence[float]
) -> Iterator[ClassMatches]:
    """Yields the matches of a class image by image."""
    for truth, detections in zip(truths, found, strict=True):
        mine = detections[detections.class_ids == class_id]
        mine = mine[np.argsort(-mine.scores, kind="stable")[:MAX_DETECTIONS]]
        is_object = truth.class_ids == class_id
        overlap = iou_matrix(mine.boxes, truth.boxes_xyxy[is_object])
        hits = [greedy_matches(overlap, iou) != NOTHING for iou in thresholds]
        ignored = [ignored_detections(truth, mine, *pair) for pair in zip(hits, thresholds, strict=True)]
        yield ClassMatches(mine, np.stack(hits), np.stack(ignored), is_object)


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
    is_hit = taken != NOTHING
    return Mistakes(shown, ~is_hit & ~ignored_detections(truth, shown, is_hit, iou), missed)
