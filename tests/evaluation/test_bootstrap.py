"""Bootstrap: its AP is COCO's, its interval covers, images that share content widen it."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers.boxes import found, truth
from helpers.scenes import scene, with_ignored
from seyolo.detections import Detections
from seyolo.errors import DataError
from seyolo.evaluation.ap import Truth, average_precision
from seyolo.evaluation.bootstrap import ap_draws, bootstrap_difference, interval_of


@settings(max_examples=30)
@given(seed=st.integers(0, 2**16), num_classes=st.integers(1, 3), ignored=st.booleans())
def test_ap_is_that_of_coco(seed: int, num_classes: int, ignored: bool) -> None:
    rng = np.random.default_rng(seed)
    truths, predictions = scene(rng, 12, num_classes)
    truths = with_ignored(rng, truths) if ignored else truths
    expected = average_precision(truths, predictions, num_classes).ap
    if not np.isnan(expected):
        assert ap_draws(truths, predictions, num_classes, draws=0)[0] == pytest.approx(expected, abs=2e-3)


def detected(num_truths: int) -> tuple[list[Truth], list[Detections]]:
    """Objects in a row; a hit (0.9), a false positive (0.8), another hit (0.7); boxes of hits are exact."""
    boxes = [[100 * i, 0, 100 * i + 50, 50] for i in range(num_truths)]
    return [truth(boxes)], [found([boxes[0], [0, 500, 50, 550], boxes[1]], [0.9, 0.8, 0.7])]


def test_ap_of_two_objects_worked_by_hand() -> None:
    # Recall 1/2, 1/2, 1 and precision 1, 1/2, 2/3, whose envelope is 1, 2/3, 2/3. Recall 0.00 to 0.50 are 51
    # points of precision 1, the other 50 have 2/3.
    truths, predictions = detected(2)
    expected = (51 + 50 * 2 / 3) / 101
    assert ap_draws(truths, predictions, 1, draws=0)[0] == pytest.approx(expected, abs=1e-12)
    assert average_precision(truths, predictions, 1).ap == pytest.approx(expected, abs=1e-9)


def test_ap_of_three_objects_worked_by_hand() -> None:
    # Recall 1/3, 1/3, 2/3: 34 points (0.00 to 0.33) of precision 1, 33 points (0.34 to 0.66) of 2/3, then 0.
    truths, predictions = detected(3)
    expected = (34 + 33 * 2 / 3) / 101
    assert ap_draws(truths, predictions, 1, draws=0)[0] == pytest.approx(expected, abs=1e-12)
    assert average_precision(truths, predictions, 1).ap == pytest.approx(expected, abs=1e-9)


def test_a_draw_is_a_data_set_with_images_repeated() -> None:
    truths, predictions = scene(np.random.default_rng(4), 8)
    draws = ap_draws(truths, predictions, 1, draws=20, seed=5)[1:]
    counts = np.random.default_rng(5).multinomial(8, np.full(8, 1 / 8), size=20)
    for draw, count in zip(draws, counts, strict=True):
        repeated = np.repeat(np.arange(8), count)
        again = [truths[i] for i in repeated], [predictions[i] for i in repeated]
        if any(len(one.class_ids) for one in again[0]):
            assert draw == pytest.approx(ap_draws(*again, 1, draws=0)[0], abs=1e-12)


def test_the_interval_of_101_draws_worked_by_hand() -> None:
    # 2.5 % of the way from the first of the sorted draws 0 to 100 is 2.5, between two of them.
    draws = np.random.default_rng(0).permutation(101).astype(float)
    interval = interval_of(np.array([-7.0, *draws]))
    assert (interval.difference, interval.low, interval.high) == pytest.approx((-7, 2.5, 97.5))


def test_a_better_detector_is_better_on_every_draw() -> None:
    rng = np.random.default_rng(0)
    truths, good = scene(rng, 80, jitter=2.0)
    bad = [found(d.boxes + rng.normal(0, 5, d.boxes.shape), d.scores) for d in good]
    interval = bootstrap_difference(truths, good, bad, 1, draws=200)
    assert 0 < interval.low < interval.difference < interval.high
    turned = bootstrap_difference(truths, bad, good, 1, draws=200)
    assert (turned.difference, turned.low, turned.high) == pytest.approx(
        (-interval.difference, -interval.high, -interval.low)
    )


def test_a_detector_does_not_differ_from_itself() -> None:
    truths, predictions = scene(np.random.default_rng(1), 20)
    interval = bootstrap_difference(truths, predictions, predictions, 1, draws=50)
    assert (interval.difference, interval.low, interval.high) == (0, 0, 0)


def test_draws_are_the_same_for_every_detector_and_may_be_averaged() -> None:
    rng = np.random.default_rng(3)
    truths, first = scene(rng, 40)
    others = [
        [found(d.boxes + rng.normal(0, jitter, d.boxes.shape), d.scores) for d in first]
        for jitter in (2.0, 6.0)
    ]
    ours, *theirs = (ap_draws(truths, detections, 1, draws=100) for detections in (first, *others))
    assert ours.shape == (101,)
    assert ours[0] == ap_draws(truths, first, 1, draws=0)[0]
    alone = [bootstrap_difference(truths, first, other, 1, draws=100) for other in others]
    assert interval_of(ours - theirs[0]) == alone[0]
    mean = interval_of(ours - np.mean(theirs, axis=0))
    assert mean.difference == pytest.approx(np.mean([one.difference for one in alone]))
    assert mean.low < mean.difference < mean.high


def test_copies_of_the_same_images_teach_nothing_new() -> None:
    rng = np.random.default_rng(2)
    truths, first = scene(rng, 30)
    second = [found(d.boxes + rng.normal(0, 3, d.boxes.shape), d.scores) for d in first]
    once = bootstrap_difference(truths, first, second, 1, draws=300)
    units = [np.full(len(t.class_ids), number) for number, t in enumerate(truths)] * 4
    copies = bootstrap_difference(truths * 4, first * 4, second * 4, 1, draws=300, units=units)
    naive = bootstrap_difference(truths * 4, first * 4, second * 4, 1, draws=300)
    assert copies.high - copies.low == pytest.approx(once.high - once.low, rel=0.25)
    assert naive.high - naive.low < 0.7 * (copies.high - copies.low)


def test_nothing_labelled() -> None:
    with pytest.raises(DataError, match="needs labelled objects"):
        bootstrap_difference([truth([])], [found([], [])], [found([], [])], 1)
