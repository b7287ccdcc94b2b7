"""Matching and mistakes, worked by hand."""

from __future__ import annotations

import numpy as np

from helpers.boxes import found, truth
from seyolo.evaluation.matching import greedy_matches, mistakes


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
