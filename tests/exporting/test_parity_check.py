"""The gate itself: what it lets through and what it stops."""

from __future__ import annotations

import numpy as np
import pytest

from seyolo.detections import Detections
from seyolo.errors import ExportError
from seyolo.exporting.parity import (
    box_agreement,
    found_again,
    relative_error,
    require_agreement,
    require_parity,
    sample_image,
)

RAW = np.array([[[100.0, 50, 30, 20, 0.01, 0.5], [10, 20, 30, 40, 0.02, 0.25]]], np.float32)


def changed(column: int, by: float) -> np.ndarray:
    raw = RAW.copy()
    raw[0, 0, column] += by
    return raw


def test_error_is_relative_to_the_largest_value_of_its_kind() -> None:
    assert relative_error(RAW, RAW) == 0
    assert relative_error(changed(0, 1.0), RAW) == pytest.approx(0.01)  # 1 of 100 pixels
    assert relative_error(changed(4, 0.05), RAW) == pytest.approx(0.1, rel=1e-5)  # 0.05 of 0.5


def test_a_wrong_score_is_not_hidden_by_pixels() -> None:
    with pytest.raises(ExportError, match="ONNX Runtime gives another output"):
        require_parity(changed(4, 1e-3), RAW, "ONNX Runtime")
    assert require_parity(changed(4, 1e-6), RAW, "ONNX Runtime") < 1e-4


@pytest.mark.parametrize("raw", [RAW[:, :1], np.full_like(RAW, np.nan), np.full_like(RAW, np.inf)])
def test_other_shapes_and_values_that_are_not_finite_never_pass(raw: np.ndarray) -> None:
    assert relative_error(raw, RAW) == float("inf")
    assert relative_error(raw, raw) == (0.0 if np.isfinite(raw).all() else float("inf"))


def test_the_image_is_seeded_and_looks_like_one() -> None:
    first, again = (sample_image(64, 96, np.random.default_rng(1), 2) for _ in range(2))
    assert first.shape == (2, 3, 64, 96)
    assert first.dtype == np.float32
    np.testing.assert_array_equal(first, again)
    assert first.min() >= 0
    assert first.max() <= 1
    neighbours = np.corrcoef(first[..., 1:].ravel(), first[..., :-1].ravel())[0, 1]
    assert 0.9 < neighbours < 1


def found(*boxes: tuple[float, float, float, float, float, int]) -> Detections:
    """Detections from left, top, right, bottom, score, class."""
    rows = np.array(boxes, np.float32).reshape(-1, 6)
    return Detections(rows[:, :4], rows[:, 4], rows[:, 5].astype(np.int64))


def test_boxes_agree_when_both_find_them() -> None:
    one = found((0, 0, 10, 10, 0.9, 0), (20, 20, 30, 30, 0.5, 1))
    assert box_agreement([one], [one]) == 1
    # IoU 80/120 = 0.67 is another box, 90/110 = 0.82 the same.
    assert box_agreement([one], [found((0, 2, 10, 12, 0.9, 0), (20, 20, 30, 30, 0.5, 1))]) == 0.5
    assert box_agreement([one], [found((0, 1, 10, 11, 0.9, 0), (20, 20, 30, 30, 0.5, 1))]) == 1
    # Another class; and one of three boxes that only one side has.
    assert box_agreement([one], [found((0, 0, 10, 10, 0.9, 1), (20, 20, 30, 30, 0.5, 1))]) == 0.5
    assert box_agreement([one], [found((0, 0, 10, 10, 0.9, 0))]) == pytest.approx(2 / 3)
    assert box_agreement([one, found()], [one, found((0, 0, 5, 5, 0.9, 0))]) == 0.8


def test_a_score_may_fall_to_the_other_side_of_the_threshold() -> None:
    sure, unsure, gone = (found((0, 0, 10, 10, score, 0)) for score in (0.26, 0.16, 0.14))
    assert box_agreement([sure], [unsure]) == 1
    assert np.isnan(box_agreement([unsure], [gone]))


def test_boxes_of_the_first_side_are_counted_that_the_other_has() -> None:
    two, other = found((0, 0, 10, 10, 0.9, 0), (20, 20, 30, 30, 0.26, 1)), found((20, 20, 30, 30, 0.16, 1))
    assert found_again([two, found()], [other, two]) == (1, 2)
    assert found_again([other], [two]) == (0, 0)


def test_agreement_is_required() -> None:
    one, none = found((0, 0, 10, 10, 0.9, 0)), found()
    assert require_agreement([one], [one], "OpenVINO") == 1
    told = (
        r"OpenVINO in int8 shares 66\.7% of its boxes with the model on 2 images, .* int8 \(\.onnx\); nothing"
    )
    with pytest.raises(ExportError, match=told):
        require_agreement([one, one], [one, none], "OpenVINO", ".onnx")
    with pytest.raises(ExportError, match="nothing was found on 2 images"):
        require_agreement([none, none], [none, none], "OpenVINO")
