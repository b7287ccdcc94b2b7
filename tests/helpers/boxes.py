"""Ground truth and detections from box corners."""

from __future__ import annotations

import numpy as np

from seyolo.detections import Detections
from seyolo.evaluation.ap import Truth


def truth(boxes, class_ids=None, ignore=None) -> Truth:
    boxes = np.array(boxes, dtype=np.float32).reshape(-1, 4)
    ids = np.zeros(len(boxes), np.int64) if class_ids is None else np.array(class_ids, dtype=np.int64)
    return Truth(boxes, ids, None if ignore is None else np.array(ignore, dtype=bool), 200, 200)


def found(boxes, scores, class_ids=None) -> Detections:
    ids = np.zeros(len(scores), np.int64) if class_ids is None else np.array(class_ids, dtype=np.int64)
    boxes = np.array(boxes, dtype=np.float32).reshape(-1, 4)
    return Detections(boxes, np.array(scores, dtype=np.float32), ids)
