"""Box arithmetic: hand-worked cases, properties, and suppression against a naive loop."""

from __future__ import annotations

import numpy as np
from hypothesis import example, given, settings
from hypothesis import strategies as st

from seyolo.boxes import area_xyxy, clip_xyxy, cxcywh_to_xyxy, iou_matrix, suppress, xyxy_to_cxcywh

SEEDS = st.integers(0, 2**32 - 1)


def random_boxes(num_boxes: int, generator: np.random.Generator) -> np.ndarray:
    """Boxes on a grid of quarter pixels, exact in float32, some negative, some without area."""
    corners = generator.integers(-20, 60, (num_boxes, 2, 2)).astype(np.float32) / 4
    return np.concatenate([corners.min(axis=1), corners.max(axis=1)], axis=1)


def naive_iou(a: np.ndarray, b: np.ndarray) -> float:
    width = max(0.0, min(a[2], b[2]) - max(a[0], b[0]))
    height = max(0.0, min(a[3], b[3]) - max(a[1], b[1]))
    union = (a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - width * height
    return width * height / union if union > 0 else 0.0


def naive_suppress(
    boxes: np.ndarray, scores: np.ndarray, class_ids: np.ndarray, iou_threshold: float
) -> list[int]:
    kept: list[int] = []
    for candidate in sorted(range(len(boxes)), key=lambda index: -scores[index]):
        rivals = [index for index in kept if class_ids[index] == class_ids[candidate]]
        if all(naive_iou(boxes[index], boxes[candidate]) <= iou_threshold for index in rivals):
            kept.append(candidate)
    return kept


def test_formats_worked_by_hand() -> None:
    # Left 2, top 3, right 8, bottom 13: centre (5, 8), size 6 x 10.
    assert xyxy_to_cxcywh(np.array([[2.0, 3, 8, 13]])).tolist() == [[5, 8, 6, 10]]
    assert cxcywh_to_xyxy(np.array([[5.0, 8, 6, 10]])).tolist() == [[2, 3, 8, 13]]
    assert area_xyxy(np.array([[2.0, 3, 8, 13], [8.0, 3, 2, 13]])).tolist() == [60, 0]


@given(SEEDS)
def test_formats_are_inverse_and_keep_float32(seed: int) -> None:
    boxes = random_boxes(20, np.random.default_rng(seed))
    back = cxcywh_to_xyxy(xyxy_to_cxcywh(boxes))
    assert back.dtype == np.float32
    np.testing.assert_array_equal(back, boxes)


def test_clip_worked_by_hand() -> None:
    boxes = np.array([[-4, 2, 30, 9], [25, 12, 40, 15]], dtype=np.float32)
    # An image 20 wide and 10 high: the second box lies outside and collapses to a corner.
    assert clip_xyxy(boxes, height=10, width=20).tolist() == [[0, 2, 20, 9], [20, 10, 20, 10]]


def test_iou_worked_by_hand() -> None:
    a = np.array([[0, 0, 4, 4]], dtype=np.float32)
    b = np.array([[2, 2, 6, 6], [0, 0, 4, 4], [4, 0, 8, 4], [1, 1, 1, 1]], dtype=np.float32)
    # 2*2 / (16 + 16 - 4) = 1/7; itself; only touching; a point.
    np.testing.assert_allclose(iou_matrix(a, b), [[1 / 7, 1, 0, 0]], rtol=1e-6)


@settings(max_examples=30)
@given(SEEDS, st.integers(0, 8), st.integers(0, 8))
def test_iou_agrees_with_a_loop(seed: int, num_rows: int, num_columns: int) -> None:
    generator = np.random.default_rng(seed)
    a, b = random_boxes(num_rows, generator), random_boxes(num_columns, generator)
    ious = iou_matrix(a, b)
    assert ious.shape == (num_rows, num_columns)
    expected = np.array([[naive_iou(one, other) for other in b] for one in a]).reshape(ious.shape)
    np.testing.assert_allclose(ious, expected, atol=1e-6)


@settings(max_examples=60)
# Boxes on the grid can have an IoU of exactly 0.1 or 0.45, which OpenCV compares in float32: no ties here.
@given(SEEDS, st.integers(1, 25), st.sampled_from([0.1037, 0.4519, 0.6123, 0.9011]))
@example(seed=0, num_boxes=60, iou_threshold=0.45)
def test_suppress_agrees_with_a_loop(seed: int, num_boxes: int, iou_threshold: float) -> None:
    generator = np.random.default_rng(seed)
    boxes = random_boxes(num_boxes, generator)
    boxes = boxes[area_xyxy(boxes) > 0]
    # Few distinct scores, 0 among them, so that ties and the lowest possible score are tried.
    scores = generator.choice(np.array([0, 0.25, 0.5, 1], dtype=np.float32), len(boxes))
    class_ids = generator.integers(0, 3, len(boxes))
    kept = suppress(boxes, scores, class_ids, iou_threshold)
    assert kept.tolist() == naive_suppress(boxes, scores, class_ids, iou_threshold)


def test_suppress_keeps_classes_apart_left_of_the_image() -> None:
    # Class offsets of the largest coordinate alone would lay the second box over the first.
    boxes = np.array([[0, 0, 10, 10], [-11, -11, -1, -1]], dtype=np.float32)
    assert suppress(boxes, np.array([0.9, 0.8], np.float32), np.array([0, 1])).tolist() == [0, 1]


def test_suppress_returns_the_best_first_up_to_the_limit() -> None:
    boxes = np.array([[20 * i, 0, 20 * i + 10, 10] for i in range(5)], dtype=np.float32)
    scores = np.array([0.1, 0.5, 0.3, 0.9, 0.2], dtype=np.float32)
    kept = suppress(boxes, scores, np.zeros(5, np.int64), max_detections=3)
    assert kept.dtype == np.int64
    assert kept.tolist() == [3, 1, 2]


def test_suppress_of_nothing_is_nothing() -> None:
    nothing = suppress(np.zeros((0, 4), np.float32), np.zeros(0, np.float32), np.zeros(0, np.int64))
    assert nothing.shape == (0,)
