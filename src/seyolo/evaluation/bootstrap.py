"""Paired bootstrap of COCO AP: the interval of the difference between two detectors.

Units, by default images, are drawn with replacement. Both detectors are evaluated on every draw, so the
difficulty of a draw cancels. Detections are matched once and a draw only weights the matches: a thousand
draws take seconds.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int

from seyolo.detections import Detections
from seyolo.errors import DataError
from seyolo.evaluation.ap import Truth
from seyolo.evaluation.matching import class_matches, precision_at_recalls
from seyolo.results import Difference

IOU_THRESHOLDS = np.linspace(0.5, 0.95, 10)


@dataclass(frozen=True, eq=False)
class _Matches:
    """Detections of one class over all images, best first, by IoU threshold, and their units."""

    hits: Bool[np.ndarray, "10 d"]
    counted: Bool[np.ndarray, "10 d"] | None  # true and false positives; None: all
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
) -> Difference:
    """Returns COCO AP of `first` minus that of `second` with its interval; arguments as in `ap_draws`."""
    ours, theirs = (
        ap_draws(truths, found, num_classes, draws=draws, seed=seed, units=units) for found in (first, second)
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
) -> Float[np.ndarray, " 1+draws"]:
    """Returns COCO AP on the original images, then on every draw of the bootstrap.

    Equal seed and units mean equal draws for every detector, so differences of the results are paired and can
    be averaged over several training runs. Ignored regions are treated as in `average_precision`.

    Args:
        units: per image and object of the ground truth the number (from 0) of its unit; by default the image.
            Needed where images share content, as mosaics of the same photos do.

    Raises:
        DataError: the ground truth has no objects.
    """
    if not any(len(truth.class_ids) for truth in truths):
        raise DataError("a bootstrap needs labelled objects; there are none")
    own = _own_units(truths) if units is None else _with_fallback(units)
    num_units = 1 + max(int(unit.max()) for unit in own)
    matches = [_match(truths, found, own, label) for label in range(num_classes)]
    labelled = [match for match in matches if len(match.truth_units)]
    rng = np.random.default_rng(seed)
    drawn = rng.multinomial(num_units, np.full(num_units, 1 / num_units), size=draws).astype(np.float64)
    return np.array(
        [np.mean([_class_ap(match, row) for match in labelled]) for row in (np.ones(num_units), *drawn)]
    )


def interval_of(differences: Float[np.ndarray, " 1+draws"]) -> Difference:
    """Returns the 95 % interval of a difference of `ap_draws`, or of a mean of several differences."""
    low, high = np.quantile(differences[1:], [0.025, 0.975])  # percentile interval
    return Difference(float(differences[0]), float(low), float(high))


def _own_units(truths: Sequence[Truth]) -> list[Int[np.ndarray, " n"]]:
    """Returns the number of the image for each object; once for an image without, for its false positives."""
    return [np.full(max(1, len(truth.class_ids)), number) for number, truth in enumerate(truths)]


def _with_fallback(units: Sequence[Int[np.ndarray, " n"]]) -> list[Int[np.ndarray, " n"]]:
    """Gives every image without objects a unit of its own."""
    count = 1 + max((int(unit.max()) for unit in units if len(unit)), default=-1)
    return [unit if len(unit) else np.array([count + number]) for number, unit in enumerate(units)]


def _match(
    truths: Sequence[Truth], found: Sequence[Detections], units: Sequence[Int[np.ndarray, " n"]], label: int
) -> _Matches:
    hit_units, truth_units = [], []
    matched = list(class_matches(truths, found, label, IOU_THRESHOLDS.tolist()))
    for one, truth, own in zip(matched, truths, units, strict=True):
        hit_units.append(_unit_of_each(one.found.boxes, truth.boxes_xyxy, own))
        truth_units.append(own[: len(one.is_object)][one.is_object])
    best_first = np.argsort(-np.concatenate([one.found.scores for one in matched]), kind="stable")
    ignored = np.concatenate([one.ignored for one in matched], axis=1)[:, best_first]
    return _Matches(
        np.concatenate([one.hits for one in matched], axis=1)[:, best_first],
        ~ignored if ignored.any() else None,
        np.concatenate(hit_units)[best_first],
        np.concatenate(truth_units).astype(np.int64),
    )


def _unit_of_each(
    boxes: Float[np.ndarray, "d 4"], truth_boxes: Float[np.ndarray, "t 4"], own: Int[np.ndarray, " u"]
) -> Int[np.ndarray, " d"]:
    """Returns for each box the unit of the ground-truth object with the nearest centre."""
    if len(truth_boxes) == 0:
        return np.full(len(boxes), own[0])
    centres, truth_centres = (b[:, :2] + b[:, 2:] for b in (boxes, truth_boxes))
    # Twice the centres: the nearest is the same.
    nearest = ((centres[:, None] - truth_centres[None]) ** 2).sum(axis=2).argmin(axis=1)
    units: Int[np.ndarray, " d"] = own[nearest]
    return units


def _class_ap(match: _Matches, weights: Float[np.ndarray, " units"]) -> float:
    """Returns the AP of one class, mean over the IoU thresholds, at the 101 recall points of COCO."""
    total = weights[match.truth_units].sum()
    if total == 0 or not match.hits.shape[1]:
        return 0.0
    weight = weights[match.units]
    found = np.cumsum(match.hits * weight, axis=1)  # weighted true positives among the best 1, 2, ...
    counted = weight if match.counted is None else match.counted * weight
    precision = found / np.maximum(np.cumsum(counted, axis=-1), 1e-12)
    levels = zip(found / total, precision, strict=True)
    return float(np.mean([precision_at_recalls(*level).mean() for level in levels]))
