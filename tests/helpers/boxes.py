"""Ground truth and detections from box corners."""

from __future__ import annotations

import numpy as np

from seyolo.detections import Detections
from seyolo.evaluation.ap import Regions, Truth


def truth(boxes, class_ids=None, ignore=None, crowd=None) -> Truth:
    """Ground truth; `ignore` and `crowd` mark the boxes that are ignored regions."""
    boxes = np.array(boxes, dtype=np.float32).reshape(-1, 4)
    ids = np.zeros(len(boxes), np.int64) if class_ids is None else np.array(class_ids, dtype=np.int64)
    is_single, is_crowd = (
        np.zeros(len(boxes), bool) if marks is None else np.array(marks, dtype=bool)
        for marks in (ignore, crowd)
    )
    out = is_single | is_crowd
    return Truth(boxes[~out], ids[~out], 200, 200, Regions(boxes[out], ids[out], is_crowd[out]))


def found(boxes, scores, class_ids=None) -> Detections:
    ids = np.zeros(len(scores), np.int64) if class_ids is None else np.array(class_ids, dtype=np.int64)
    boxes = np.array(boxes, dtype=np.float32).reshape(-1, 4)
    return Detections(boxes, np.array(scores, dtype=np.float32), ids)
