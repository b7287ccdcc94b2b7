"""Is one detector better than another, or did the images happen to suit it? Paired bootstrap of COCO AP.

Images (or whatever else the labelled objects came from) are drawn anew with replacement; both detectors are
judged on every draw, so what is hard for both cancels. Matching happens once, a draw only weighs its
outcome: a thousand draws take seconds.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int

from seyolo.boxes import iou_matrix
from seyolo.detections import Detections
from seyolo.errors import DataError
from seyolo.evaluation.ap import Truth
from seyolo.evaluation.matching import NOTHING, greedy_matches
from seyolo.results import Difference

IOU_THRESHOLDS = np.linspace(0.5, 0.95, 10)
RECALL_POINTS = np.linspace(0, 1, 101)


@dataclass(frozen=True, eq=False)
class _Matches:
    """Detections of one class over all images, best first: hit per IoU threshold, and their unit."""

    hits: Bool[np.ndarray, "10 d"]
    units: Int[np.ndarray, " d"]
    truth_units: Int[np.ndarray, " t"]


def bootstrap_difference(
    truths: Sequence[Truth],
    first: Sequence[Detections],
    second: Sequence[Detections],
    num_classes: int,
    *,
    draws: int = 1000,
    seed: int = 0,
    units: Sequence[Int[np.ndarray, " n"]] | None = None,
    max_detections: int = 100,
) -> Difference:
    """COCO AP of `first` minus that of `second`, with a 95 % interval; arguments else as in `ap_draws`."""
    ours, theirs = (
        ap_draws(
            truths,
            found,
            num_classes,
            draws=draws,
            seed=seed,
            units=units,
            max_detections=max_detections,
        )
        for found in (first, second)
    )
    return interval_of(ours - theirs)


def ap_draws(
    truths: Sequence[Truth],
    found: Sequence[Detections],
    num_classes: int,
    *,
    draws: int = 1000,
    seed: int = 0,
    units: Sequence[Int[np.ndarray, " n"]] | None = None,
    max_detections: int = 100,
) -> Float[np.ndarray, " 1+draws"]:
    """COCO AP of a detector on the images as they are, then on every draw of the bootstrap.

    Draws of the same seed and units are the same for every detector, so differences of what this returns are
    paired, and may be averaged over several training runs.

    Args:
        truths: one per image; ignored objects count like any other here.
        found: detections, one per image.
        num_classes: every class id is below it.
        draws: of the bootstrap.
        seed: of the draws.
        units: per image and labelled object the number (from 0) of what is drawn; by default the image.
            Give it where images share content, for mosaics of the same photos.
        max_detections: the best of an image and class that count.

    Raises:
        DataError: no labelled object at all.
    """
    if not any(len(truth.class_ids) for truth in truths):
        raise DataError("a bootstrap needs labelled objects; there are none")
    own = _own_units(truths) if units is None else _with_fallback(units)
    num_units = 1 + max(int(unit.max()) for unit in own)
    matched = [_match(truths, found, own, label, max_detections) for label in range(num_classes)]
    rng = np.random.default_rng(seed)
    drawn = rng.multinomial(num_units, np.full(num_units, 1 / num_units), size=draws).astype(np.float64)
    return np.array([_ap(matched, weights) for weights in (np.ones(num_units), *drawn)])


def interval_of(differences: Float[np.ndarray, " 1+draws"]) -> Difference:
    """A difference of `ap_draws`, or a mean of several, with its 95 % interval."""
    low, high = np.quantile(differences[1:], [0.025, 0.975])
    return Difference(float(differences[0]), float(low), float(high))


def _own_units(truths: Sequence[Truth]) -> list[Int[np.ndarray, " n"]]:
    """The number of the image for each of its objects; once where it has none, for its false positives."""
    return [np.full(max(1, len(truth.class_ids)), number) for number, truth in enumerate(truths)]


def _with_fallback(units: Sequence[Int[np.ndarray, " n"]]) -> list[Int[np.ndarray, " n"]]:
    """An image without objects becomes a unit of its own."""
    count = 1 + max((int(unit.max()) for unit in units if len(unit)), default=-1)
    return [unit if len(unit) else np.array([count + number]) for number, unit in enumerate(units)]


def _match(
    truths: Sequence[Truth],
    found: Sequence[Detections],
    units: Sequence[Int[np.ndarray, " n"]],
    label: int,
    max_detections: int,
) -> _Matches:
    scores, hits, hit_units, truth_units = [], [], [], []
    for truth, detections, own in zip(truths, found, units, strict=True):
        mine, theirs = detections.class_ids == label, truth.class_ids == label
        order = np.argsort(-detections.scores[mine], kind="stable")[:max_detections]
        boxes = detections.boxes[mine][order]
        scores.append(detections.scores[mine][order])
        overlap = iou_matrix(boxes, truth.boxes_xyxy[theirs])
        hits.append(np.stack([greedy_matches(overlap, iou) != NOTHING for iou in IOU_THRESHOLDS]))
        hit_units.append(_unit_of_each(boxes, truth.boxes_xyxy, own))
        truth_units.append(own[: len(theirs)][theirs])
    best_first = np.argsort(-np.concatenate(scores), kind="stable")
    return _Matches(
        np.concatenate(hits, axis=1)[:, best_first],
        np.concatenate(hit_units)[best_first],
        np.concatenate(truth_units).astype(np.int64),
    )


def _unit_of_each(
    boxes: Float[np.ndarray, "d 4"], truth_boxes: Float[np.ndarray, "t 4"], own: Int[np.ndarray, " u"]
) -> Int[np.ndarray, " d"]:
    """The unit of the labelled object whose centre is nearest."""
    if len(truth_boxes) == 0:
        return np.full(len(boxes), own[0])
    centres, truth_centres = (b[:, :2] + b[:, 2:] for b in (boxes, truth_boxes))
    nearest = ((centres[:, None] - truth_centres[None]) ** 2).sum(axis=2).argmin(axis=1)
    units: Int[np.ndarray, " d"] = own[nearest]
    return units


def _ap(matches: Sequence[_Matches], weights: Float[np.ndarray, " units"]) -> float:
    values = [_class_ap(match, weights) for match in matches if len(match.truth_units)]
    return float(np.mean(values))


def _class_ap(match: _Matches, weights: Float[np.ndarray, " units"]) -> float:
    """AP of one class, mean over the IoU thresholds, 101 recall points as COCO reads them."""
    total = weights[match.truth_units].sum()
    if total == 0 or not match.hits.shape[1]:
        return 0.0
    weight = weights[match.units]
    found = np.cumsum(match.hits * weight, axis=1)
    precision = found / np.maximum(np.cumsum(weight), 1e-12)
    envelope = np.maximum.accumulate(precision[:, ::-1], axis=1)[:, ::-1]
    recall = found / total
    aps = []
    for level in range(len(IOU_THRESHOLDS)):
        at = np.searchsorted(recall[level], RECALL_POINTS, side="left")
        reached = at < recall.shape[1]
        aps.append(np.where(reached, envelope[level][np.minimum(at, recall.shape[1] - 1)], 0.0).mean())
    return float(np.mean(aps))
