"""Curves: their mean is COCO's AP at that IoU, and the shares over confidence are counted by hand."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers.boxes import found, truth
from helpers.scenes import scene, with_ignored
from seyolo.evaluation.ap import average_precision
from seyolo.evaluation.curves import CONFIDENCES, Curves, CurveValues, detection_curves
from seyolo.evaluation.evaluate import Judged, split_metrics
from seyolo.json_files import from_json
from seyolo.results import ClassResult


@settings(max_examples=30)
@given(seed=st.integers(0, 2**16), num_classes=st.integers(1, 3), ignored=st.booleans())
def test_the_mean_of_precision_is_ap(seed: int, num_classes: int, ignored: bool) -> None:
    rng = np.random.default_rng(seed)
    truths, predictions = scene(rng, 12, num_classes)
    truths = with_ignored(rng, truths) if ignored else truths
    curves = detection_curves(truths, predictions, num_classes)
    metrics = average_precision(truths, predictions, num_classes)
    if curves is None:
        assert np.isnan(metrics.ap50)
    else:
        assert curves.precision50.mean() == pytest.approx(metrics.ap50, abs=2e-3)
        assert curves.precision75.mean() == pytest.approx(metrics.ap75, abs=2e-3)


def test_shares_over_confidence_by_hand() -> None:
    square = np.array([[0, 0, 10, 10]], np.float32)
    truths = [truth(square, np.array([0])), truth(square, np.array([0]))]
    # A hit at 0.8 and a false alarm at 0.5; the object of the second image is never found.
    predictions = [
        found(np.concatenate([square, square + 50]), np.array([0.8, 0.5]), np.array([0, 0])),
        found(np.zeros((0, 4)), np.zeros(0), np.zeros(0, int)),
    ]
    curves = detection_curves(truths, predictions, 1)
    assert curves is not None
    at = {confidence: round(100 * confidence) for confidence in (0.3, 0.6, 0.9)}
    assert [curves.precision[at[c]] for c in at] == [0.5, 1.0, 1.0]
    assert [curves.recall[at[c]] for c in at] == [0.5, 0.5, 0.0]
    # 2·P·R / (P + R): 2·0.5·0.5 / 1, then 2·1·0.5 / 1.5
    assert [curves.f1[at[c]] for c in at] == pytest.approx([0.5, 2 / 3, 0.0])
    assert 0.5 < curves.best_confidence <= 0.8
    assert curves.best_confidence in CONFIDENCES


def test_a_detection_of_an_ignored_region_is_in_no_curve() -> None:
    square, crowd = [0, 0, 10, 10], [100, 100, 180, 180]
    predictions = [found([square, [110, 110, 130, 130], [140, 110, 160, 130]], [0.5, 0.9, 0.8])]
    curves = detection_curves([truth([square, crowd], crowd=[0, 1])], predictions, 1)
    assert curves is not None
    np.testing.assert_array_equal(curves.precision, 1)
    assert (curves.f1[:50] == 1).all()
    assert curves.precision50.mean() == curves.precision75.mean() == 1


def test_they_survive_json() -> None:
    truths, predictions = scene(np.random.default_rng(0), 12)
    curves = detection_curves(truths, predictions, 1)
    assert curves is not None
    values = curves.to_dict()
    assert "classes" not in values  # as in files of versions that did not keep them
    again = Curves.from_dict(from_json(json.loads(json.dumps(values)), CurveValues))
    assert again.classes == {}
    for name in values:
        points = getattr(again, name)
        np.testing.assert_allclose(points, getattr(curves, name), atol=5e-5)
        assert points.shape == (101,)


def test_classes_count_what_is_found_at_the_confidence_of_pages() -> None:
    squares = [[0, 0, 10, 10], [50, 50, 60, 60], [100, 100, 110, 110]]
    truths = [truth(squares, [0, 0, 2])]
    # Of class 0 one of two is found; class 2 is found below 0.25 only, and class 1 has no objects.
    predictions = [found([*squares[:1], squares[2], squares[2]], [0.9, 0.24, 0.9], [0, 2, 1])]
    metrics = split_metrics({"val": Judged(truths, predictions, predictions)}, ["RBC", "none", "Platelets"])[
        "val"
    ]
    assert metrics.classes == {
        "RBC": ClassResult(pytest.approx(51 / 101), pytest.approx(51 / 101), 2, 1),
        "Platelets": ClassResult(pytest.approx(1), pytest.approx(1), 1, 0),
    }
    curves = detection_curves(truths, predictions, 3)
    assert curves is not None
    values = json.loads(json.dumps(replace(curves, classes=metrics.classes).to_dict()))
    assert Curves.from_dict(from_json(values, CurveValues)).classes == metrics.classes


def test_one_class_with_objects_has_no_results_by_class() -> None:
    square = [[0, 0, 10, 10]]
    judgement = {"val": Judged([truth(square, [1])], *[[found(square, [0.9], [1])]] * 2)}
    assert split_metrics(judgement, ["face", "hand"])["val"].classes == {}
    judgement = {"val": Judged([truth(square)], *[[found(square, [0.9])]] * 2)}
    assert split_metrics(judgement, ["hand"])["val"].classes == {}
