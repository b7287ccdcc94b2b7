"""Box formats, intersection over union, candidates and non-maximum suppression in numpy.

`xyxy` is left, top, right, bottom and `cxcywh` is centre x, centre y, width, height, both in continuous
coordinates: an image of width w spans 0 to w, so widths are differences without a "+ 1". Every function
is pure and keeps the dtype of its input. The differentiable IoU of the loss lives in `training/loss.py`.
"""

from __future__ import annotations

import cv2
import numpy as np
from jaxtyping import Float, Float32, Int, Int64

MAX_CANDIDATES = 30_000
"""Most (box, class) pairs that are suppressed, the best ones; the time grows with their square."""


def cxcywh_to_xyxy(boxes_cxcywh: Float[np.ndarray, "*n 4"]) -> Float[np.ndarray, "*n 4"]:
    """Converts centre and size to corners."""
    centre, half = boxes_cxcywh[..., :2], boxes_cxcywh[..., 2:] / 2
    return np.concatenate([centre - half, centre + half], axis=-1)


def xyxy_to_cxcywh(boxes_xyxy: Float[np.ndarray, "*n 4"]) -> Float[np.ndarray, "*n 4"]:
    """Converts corners to centre and size."""
    low, high = boxes_xyxy[..., :2], boxes_xyxy[..., 2:]
    return np.concatenate([(low + high) / 2, high - low], axis=-1)


def clip_xyxy(
    boxes_xyxy: Float[np.ndarray, "*n 4"], height: float, width: float
) -> Float[np.ndarray, "*n 4"]:
    """Clips boxes to an image; a box outside has no area afterwards."""
    limit = np.array([width, height, width, height], dtype=boxes_xyxy.dtype)
    clipped: Float[np.ndarray, "*n 4"] = np.clip(boxes_xyxy, 0, limit)
    return clipped


def area_xyxy(boxes_xyxy: Float[np.ndarray, "*n 4"]) -> Float[np.ndarray, "*n"]:
    """Returns width times height; 0 for a box whose corners are in the wrong order."""
    sides = np.maximum(boxes_xyxy[..., 2:] - boxes_xyxy[..., :2], 0)
    product: Float[np.ndarray, "*n"] = np.prod(sides, axis=-1)
    return product


def iou_matrix(
    a_xyxy: Float[np.ndarray, "n 4"], b_xyxy: Float[np.ndarray, "m 4"]
) -> Float[np.ndarray, "n m"]:
    """Returns the IoU of every box in `a_xyxy` with every box in `b_xyxy`, in [0, 1].

    A box without area has an IoU of 0, also with itself.
    """
    intersection = _intersection(a_xyxy, b_xyxy)
    union = area_xyxy(a_xyxy)[:, None] + area_xyxy(b_xyxy)[None] - intersection  # |A| + |B| - |A ∩ B|
    iou: Float[np.ndarray, "n m"] = np.divide(intersection, union, out=np.zeros_like(union), where=union > 0)
    return iou


def inside_matrix(
    a_xyxy: Float[np.ndarray, "n 4"], b_xyxy: Float[np.ndarray, "m 4"]
) -> Float[np.ndarray, "n m"]:
    """Returns the share of the area of every box in `a_xyxy` that lies in every box in `b_xyxy`."""
    area = np.broadcast_to(area_xyxy(a_xyxy)[:, None], (len(a_xyxy), len(b_xyxy)))
    inside: Float[np.ndarray, "n m"] = np.divide(
        _intersection(a_xyxy, b_xyxy), area, out=np.zeros_like(area), where=area > 0
    )
    return inside


def _intersection(
    a_xyxy: Float[np.ndarray, "n 4"], b_xyxy: Float[np.ndarray, "m 4"]
) -> Float[np.ndarray, "n m"]:
    low = np.maximum(a_xyxy[:, None, :2], b_xyxy[None, :, :2])
    high = np.minimum(a_xyxy[:, None, 2:], b_xyxy[None, :, 2:])
    product: Float[np.ndarray, "n m"] = np.prod(np.maximum(high - low, 0), axis=-1)
    return product


def candidates(
    raw: Float32[np.ndarray, "p columns"], confidence: float
) -> tuple[Int[np.ndarray, " m"], Int64[np.ndarray, " m"], Float32[np.ndarray, " m"]]:
    """Returns row, class and score of every pair that reaches `confidence`, at most `MAX_CANDIDATES`.

    Its cost grows with the number of cells above the threshold and not with the size of the output.
    """
    # A class probability is at most 1, so the objectness is an upper bound of the score.
    promising = np.flatnonzero(raw[:, 4] >= confidence)
    pair_scores = raw[promising, 5:] * raw[promising, 4:5]  # class probability times objectness
    positions, class_ids = np.nonzero(pair_scores >= confidence)
    scores = pair_scores[positions, class_ids]
    rows = promising[positions]
    if len(scores) > MAX_CANDIDATES:
        best = np.argpartition(-scores, MAX_CANDIDATES)[:MAX_CANDIDATES]
        best.sort()
        rows, class_ids, scores = rows[best], class_ids[best], scores[best]
    return rows, class_ids, scores


def suppress(
    boxes_xyxy: Float[np.ndarray, "n 4"],
    scores: Float[np.ndarray, " n"],
    class_ids: Int[np.ndarray, " n"],
    iou_threshold: float = 0.6,
    max_detections: int = 300,
) -> Int[np.ndarray, " kept"]:
    """Runs greedy non-maximum suppression within each class.

    A box is dropped when its IoU with a better kept box of its class is above `iou_threshold`. Boxes may be
    outside the image; equal scores keep their order.

    Returns:
        Indices (int64) of at most `max_detections` kept boxes, best score first.
    """
    if len(boxes_xyxy) == 0:
        return np.zeros(0, dtype=np.int64)
    best_first = np.argsort(-scores, kind="stable")
    # OpenCV drops scores of 0 and does not order ties; with ranks as scores all boxes keep our order.
    ranks = np.arange(len(scores), 0, -1, dtype=np.float32)
    boxes_xywh = boxes_xyxy[best_first].astype(np.float64)
    boxes_xywh[:, 2:] -= boxes_xywh[:, :2]
    # OpenCV separates classes by shifting each by the largest coordinate, which fails below zero.
    boxes_xywh[:, :2] -= boxes_xywh[:, :2].min(axis=0)
    labels = class_ids[best_first].astype(np.int32)
    # OpenCV's type stubs allow sequences only; arrays work and save a copy to Python numbers.
    kept = cv2.dnn.NMSBoxesBatched(boxes_xywh, ranks, labels, 0.0, iou_threshold)  # type: ignore[arg-type]
    indices: Int[np.ndarray, " kept"] = best_first[np.asarray(kept, dtype=np.int64)[:max_detections]]
    return indices
