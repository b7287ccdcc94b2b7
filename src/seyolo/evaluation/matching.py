"""Which detection found which labelled object: COCO's greedy matching, and the mistakes it leaves."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int

from seyolo.boxes import iou_matrix
from seyolo.detections import Detections
from seyolo.evaluation.ap import Truth

NOTHING = -1
"""Stands for the labelled object of a detection that found none."""


@dataclass(frozen=True, eq=False)
class Mistakes:
    """What a detector got wrong on one image at one confidence.

    Attributes:
        shown: the detections at or above the confidence, best first.
        false: which of them found no labelled object.
        missed: which labelled objects no detection found.
    """

    shown: Detections
    false: Bool[np.ndarray, " d"]
    missed: Bool[np.ndarray, " t"]


def greedy_matches(overlap: Float[np.ndarray, "d t"], threshold: float) -> Int[np.ndarray, " d"]:
    """COCO's matching: each detection, best first, takes the free object it overlaps most.

    Args:
        overlap: IoU of the detections, best first, with the labelled objects.
        threshold: the least IoU of a hit.

    Returns:
        The object that each detection takes, -1 for none.
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
    """What is missed and what is found for nothing when only detections from `confidence` on are shown."""
    shown = found[found.scores >= confidence]
    shown = shown[np.argsort(-shown.scores, kind="stable")]
    same_class = shown.class_ids[:, None] == truth.class_ids[None]
    taken = greedy_matches(iou_matrix(shown.boxes, truth.boxes_xyxy) * same_class, iou)
    missed = np.ones(len(truth.class_ids), dtype=bool)
    missed[taken[taken != NOTHING]] = False
    return Mistakes(shown, taken == NOTHING, missed)
