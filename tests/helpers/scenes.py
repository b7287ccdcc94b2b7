"""A drawn scene: ground truth and a detector that finds it more or less exactly."""

from __future__ import annotations

import numpy as np

from helpers.boxes import found, truth
from seyolo.evaluation.ap import Truth


def scene(rng: np.random.Generator, num_images: int, num_classes: int = 1, jitter: float = 6.0):
    """Objects on a grid, detections near most of them and some anywhere."""
    truths, predictions = [], []
    for _ in range(num_images):
        corners = rng.choice(16, size=rng.integers(0, 6), replace=False)
        boxes = np.array(
            [[x % 4 * 50, x // 4 * 50, x % 4 * 50 + 40, x // 4 * 50 + 40] for x in corners]
        ).reshape(-1, 4)
        ids = rng.integers(0, num_classes, len(boxes))
        seen = rng.random(len(boxes)) < 0.8
        false = rng.uniform(0, 150, (rng.integers(0, 4), 2))
        all_boxes = np.concatenate(
            [boxes[seen] + rng.normal(0, jitter, (int(seen.sum()), 4)), np.hstack([false, false + 40])]
        )
        labels = np.concatenate([ids[seen], rng.integers(0, num_classes, len(false))])
        truths.append(truth(boxes, ids))
        predictions.append(found(all_boxes, rng.random(len(all_boxes)), labels))
    return truths, predictions


def with_ignored(rng: np.random.Generator, truths: list[Truth]) -> list[Truth]:
    """Marks a third of the objects as ignored, half of these as crowds."""
    marked = []
    for one in truths:
        kind = rng.integers(0, 6, len(one.class_ids))
        marked.append(truth(one.boxes_xyxy, one.class_ids, ignore=kind == 0, crowd=kind == 1))
    return marked
