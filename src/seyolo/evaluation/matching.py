"""Matching of detections with the ground truth, as COCO does; false positives and false negatives."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int

from seyolo.boxes import iou_matrix
from seyolo.detections import Detections
from seyolo.evaluation.ap import Truth

NOTHING = -1
"""The match of a false positive."""


@dataclass(frozen=True, eq=False)
class Mistakes:
    """Errors of a detector on one image at one confidence threshold.

    Attributes:
        shown: detections at or above the threshold, best first.
        false: (d,) which of them are false positives.
        missed: (t,) which objects of the ground truth are false negatives.
    """

    shown: Detections
    false: Bool[np.ndarray, " d"]
    missed: Bool[np.ndarray, " t"]


def greedy_matches(overlap: Float[np.ndarray, "d t"], threshold: float) -> Int[np.ndarray, " d"]:
    """Matches each detection, best first, with the unmatched object of the highest IoU, as COCO does.

    Args:
        overlap: IoU of the detections, best first, with the objects of the ground truth.
        threshold: the least IoU of a match.

    Returns:
        The index of the matched object per detection, -1 for none.
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


def mistakes(truth: Truth, found: Detections, confidence: float, iou: float = 0.5) -> Mistakes:
    """Returns false negatives and false positives at this confidence threshold."""
    shown = found[found.scores >= confidence]
    shown = shown[np.argsort(-shown.scores, kind="stable")]
    same_class = shown.class_ids[:, None] == truth.class_ids[None]
    taken = greedy_matches(iou_matrix(shown.boxes, truth.boxes_xyxy) * same_class, iou)
    missed = np.ones(len(truth.class_ids), dtype=bool)
    missed[taken[taken != NOTHING]] = False
    return Mistakes(shown, taken == NOTHING, missed)
