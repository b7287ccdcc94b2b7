"""The gate itself: what it lets through and what it stops."""

from __future__ import annotations

import numpy as np
import pytest

from seyolo.errors import ExportError
from seyolo.exporting.parity import relative_error, require_parity, sample_picture

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


def test_the_picture_is_seeded_and_looks_like_one() -> None:
    first, again = (sample_picture(64, 96, np.random.default_rng(1), 2) for _ in range(2))
    assert first.shape == (2, 3, 64, 96)
    assert first.dtype == np.float32
    np.testing.assert_array_equal(first, again)
    assert first.min() >= 0
    assert first.max() <= 1
    neighbours = np.corrcoef(first[..., 1:].ravel(), first[..., :-1].ravel())[0, 1]
    assert 0.9 < neighbours < 1
