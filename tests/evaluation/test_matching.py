"""Matching and mistakes, worked by hand."""

from __future__ import annotations

import numpy as np
import pytest

from helpers.boxes import found, truth
from seyolo.evaluation.matching import greedy_matches, mistakes, precision_at_recalls


def test_the_best_detection_takes_the_object_it_overlaps_most() -> None:
    # The first takes object 1, so the second has to be content with object 0, and the third gets nothing.
    overlap = np.array([[0.6, 0.9], [0.55, 0.8], [0.4, 0.95]])
    assert greedy_matches(overlap, 0.5).tolist() == [1, 0, -1]
    assert greedy_matches(overlap, 0.7).tolist() == [1, -1, -1]
    assert greedy_matches(np.zeros((2, 0)), 0.5).tolist() == [-1, -1]


def test_mistakes_at_a_confidence() -> None:
    labels = truth(np.array([[0, 0, 10, 10], [20, 20, 30, 30], [50, 50, 60, 60]]), np.array([0, 0, 1]))
    boxes = np.array([[0, 0, 10, 9], [20, 20, 30, 30], [50, 50, 60, 60], [0, 0, 10, 10]], np.float32)
    # The second is too faint to be shown, the third is of the wrong class, the last finds what is taken.
    detections = found(boxes, np.array([0.9, 0.2, 0.8, 0.5]), np.array([0, 0, 0, 0]))
    wrong = mistakes(labels, detections, confidence=0.25)
    assert wrong.shown.scores.tolist() == np.float32([0.9, 0.8, 0.5]).tolist()
    assert wrong.false.tolist() == [False, True, True]
    assert wrong.missed.tolist() == [False, True, True]


def test_a_match_of_an_ignored_region_is_no_mistake() -> None:
    # Objects of class 0: one that counts, one ignored, a crowd of 100 px.
    labels = truth([[0, 0, 10, 10], [20, 20, 30, 30], [100, 0, 200, 100]], ignore=[0, 1, 0], crowd=[0, 0, 1])
    boxes = [
        [20, 20, 30, 30],  # the ignored one
        [20, 20, 30, 29],  # again, as VOC's rule allows
        [120, 20, 130, 30],  # inside the crowd
        [150, 20, 160, 30],  # also
        [190, 20, 220, 30],  # a third inside the crowd: a mistake
        [0, 0, 10, 10],
    ]
    wrong = mistakes(labels, found(boxes, np.linspace(0.9, 0.5, 6)), confidence=0.25)
    assert wrong.false.tolist() == [False, False, False, False, True, False]
    assert wrong.missed.tolist() == [False]
    other_class = mistakes(labels, found(boxes, np.linspace(0.9, 0.5, 6), [1] * 6), confidence=0.25)
    assert other_class.false.all()


@pytest.mark.parametrize(
    ("hits", "expected"),
    [
        # Of 4 objects the detections find 1, none, 2: precision 1, 1/2, 2/3; the 1/2 counts as 2/3.
        ([1, 0, 1], [1.0] * 26 + [2 / 3] * 25 + [0.0] * 50),
        # A false positive first: precision 0, 1/2, 2/3, 3/4, raised to 3/4 everywhere it is reached.
        ([0, 1, 1, 1], [0.75] * 76 + [0.0] * 25),
        # All found, then a false positive, which costs nothing.
        ([1, 1, 1, 1, 0], [1.0] * 101),
        # The best of the last three is the last: 3/5 holds from recall 2/4 on.
        ([1, 1, 0, 0, 1], [1.0] * 51 + [0.6] * 25 + [0.0] * 25),
    ],
)
def test_precision_at_the_recalls_of_coco_by_hand(hits: list[int], expected: list[float]) -> None:
    found = np.cumsum(hits)
    measured = precision_at_recalls(found / 4, found / np.arange(1, len(hits) + 1))
    np.testing.assert_allclose(measured, expected)
