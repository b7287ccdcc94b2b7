"""COCO AP: against a naive loop, by hand, and what must hold for any boxes."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers.boxes import found, truth
from seyolo.detections import Detections
from seyolo.errors import DataError
from seyolo.evaluation.ap import average_precision

HAND = [10.0, 10.0, 50.0, 50.0]
OTHER = [60.0, 60.0, 100.0, 100.0]
NOWHERE = [110.0, 0.0, 150.0, 40.0]


def naive_iou(a, b) -> float:
    width = min(a[2], b[2]) - max(a[0], b[0])
    height = min(a[3], b[3]) - max(a[1], b[1])
    if width <= 0 or height <= 0:
        return 0.0
    inner = width * height
    return inner / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - inner)


def naive_ap(truths, predictions, class_id: int, threshold: float, max_detections: int) -> float:
    """One class at one threshold, written from the COCO paper's description: loops and lists only."""
    rows, num_truths = [], 0
    for sample, detections in zip(truths, predictions, strict=True):
        boxes = [
            b for b, c in zip(sample.boxes_xyxy.tolist(), sample.class_ids, strict=True) if c == class_id
        ]
        num_truths += len(boxes)
        own = [
            (float(score), box)
            for score, box, c in zip(
                detections.scores, detections.boxes.tolist(), detections.class_ids, strict=True
            )
            if c == class_id
        ]
        own.sort(key=lambda row: -row[0])
        taken: set[int] = set()
        for score, box in own[:max_detections]:
            overlaps = [0.0 if i in taken else naive_iou(box, b) for i, b in enumerate(boxes)]
            best = max(range(len(boxes)), key=lambda i: overlaps[i], default=None)
            hit = best is not None and overlaps[best] >= threshold
            if hit:
                taken.add(best)
            rows.append((score, hit))
    if num_truths == 0:
        return math.nan
    rows.sort(key=lambda row: -row[0])
    curve, hits = [], 0
    for rank, (_, hit) in enumerate(rows, start=1):
        hits += hit
        curve.append((hits / num_truths, hits / rank))
    points = [max((p for r, p in curve if r >= i / 100), default=0.0) for i in range(101)]
    return sum(points) / 101


def random_scene(rng: np.random.Generator, num_images: int, num_classes: int):
    truths, predictions = [], []
    for _ in range(num_images):
        num = int(rng.integers(0, 6))
        corner, size = rng.uniform(0, 120, (num, 2)), rng.uniform(8, 60, (num, 2))
        boxes = np.concatenate([corner, corner + size], axis=1)
        ids = rng.integers(0, num_classes, num)
        copies = rng.integers(0, num, 3 * num) if num else np.zeros(0, np.int64)
        guesses = boxes[copies] + rng.normal(0, 5, (len(copies), 4))
        stray = rng.uniform(0, 60, (4, 2))
        guesses = np.concatenate([guesses, np.concatenate([stray, stray + 30], axis=1)])
        guess_ids = np.concatenate([ids[copies], rng.integers(0, num_classes, 4)])
        truths.append(truth(boxes, ids))
        predictions.append(
            found(guesses, rng.permutation(len(guesses)) / 97 + rng.uniform(0, 0.01), guess_ids)
        )
    return truths, predictions


@pytest.mark.parametrize("max_detections", [100, 5])
@pytest.mark.parametrize("num_classes", [1, 3])
def test_parity_with_a_naive_loop(num_classes: int, max_detections: int) -> None:
    truths, predictions = random_scene(np.random.default_rng(num_classes), 25, num_classes)
    metrics = average_precision(truths, predictions, num_classes, max_detections)
    thresholds = [0.5 + 0.05 * i for i in range(10)]
    table = [
        [naive_ap(truths, predictions, c, t, max_detections) for t in thresholds] for c in range(num_classes)
    ]
    assert 0.05 < metrics.ap < 0.9
    assert metrics.ap == pytest.approx(np.mean(table), abs=1e-6)
    assert metrics.ap50 == pytest.approx(np.mean([row[0] for row in table]), abs=1e-6)
    assert metrics.ap75 == pytest.approx(np.mean([row[5] for row in table]), abs=1e-6)
    for class_metrics, row in zip(metrics.per_class, table, strict=True):
        assert class_metrics.ap == pytest.approx(np.mean(row), abs=1e-6)


def test_classes_with_objects_by_name() -> None:
    # Of the first class one of two objects is found: 51 of 101 recall points; of the second none.
    sample = truth([HAND, OTHER, NOWHERE], class_ids=[0, 0, 2])
    unnamed = average_precision([sample], [found([HAND], [0.9])], 3)
    metrics = replace(unnamed, names=("hand", "never", "face"))
    assert metrics.by_class() == {"hand": metrics.per_class[0], "face": metrics.per_class[2]}
    hand, face = metrics.by_class().values()
    assert (hand.ap, hand.ap50, hand.num_objects) == (pytest.approx(51 / 101), pytest.approx(51 / 101), 2)
    assert (face.ap, face.ap50, face.num_objects) == (0, 0, 1)
    assert metrics.to_dict()["names"] == ["hand", "never", "face"]
    assert len(metrics.to_dict()["per_class"]) == 3  # type: ignore[arg-type]
    assert unnamed.by_class() == {}
    assert "names" not in unnamed.to_dict()


def test_the_only_class_is_not_named() -> None:
    metrics = average_precision([truth([HAND])], [found([HAND], [0.9])], 1)
    assert replace(metrics, names=("hand",)).by_class() == {}
    assert replace(metrics, names=("hand",)).to_dict() == metrics.to_dict()


def test_a_hit_then_a_miss_by_hand() -> None:
    # Two hands, one found exactly (0.9), then a false alarm (0.8). Recall 1/2 at precision 1: the recall
    # points 0.00 to 0.50 are 51 of 101, the rest is never reached.
    metrics = average_precision([truth([HAND, OTHER])], [found([HAND, NOWHERE], [0.9, 0.8])], 1)
    assert metrics.ap50 == pytest.approx(51 / 101)
    assert metrics.ap == pytest.approx(51 / 101)
    assert metrics.recall == pytest.approx(0.5)
    assert (metrics.num_images, metrics.num_objects) == (1, 2)


def test_a_miss_before_a_hit_by_hand() -> None:
    # The false alarm scores higher: precision is 1/2 at recall 1, over all 101 points.
    metrics = average_precision([truth([HAND])], [found([NOWHERE, HAND], [0.9, 0.8])], 1)
    assert metrics.ap50 == pytest.approx(0.5)


def test_a_loose_box_counts_at_loose_thresholds_only() -> None:
    # 40x40 against its own left 40x30: IoU 0.75, a hit at 0.50, 0.55, ..., 0.75: 6 of 10 thresholds.
    metrics = average_precision([truth([HAND])], [found([[10, 10, 40, 50]], [0.9])], 1)
    assert metrics.ap50 == pytest.approx(1)
    assert metrics.ap75 == pytest.approx(1)
    assert metrics.ap == pytest.approx(0.6)


def test_only_the_best_detections_of_a_image_count() -> None:
    detections = found([NOWHERE, HAND], [0.9, 0.8])
    assert average_precision([truth([HAND])], [detections], 1, max_detections=1).ap == 0
    assert average_precision([truth([HAND])], [detections], 1, max_detections=2).ap50 == pytest.approx(0.5)


def test_a_image_without_objects_still_counts_false_alarms() -> None:
    truths = [truth([]), truth([HAND])]
    metrics = average_precision(truths, [found([HAND], [0.9]), found([HAND], [0.8])], 1)
    assert metrics.ap50 == pytest.approx(0.5)


def test_small_objects_have_their_own_figure() -> None:
    # 20x20 = 400 px² is small, 40x40 is not; the large one is found, the small one missed.
    metrics = average_precision([truth([HAND, [60, 60, 80, 80]])], [found([HAND], [0.9])], 1)
    assert metrics.ap_small == 0
    assert metrics.ap50 == pytest.approx(51 / 101)


class TestIgnored:
    def test_a_missed_one_is_no_miss(self) -> None:
        metrics = average_precision([truth([HAND, OTHER], ignore=[0, 1])], [found([HAND], [0.5])], 1)
        assert metrics.ap == pytest.approx(1)
        assert metrics.num_objects == 1

    def test_its_detections_are_neither_hit_nor_miss(self) -> None:
        # Found twice, and once at IoU 0.6 (24/40), which fails from 0.65 on: none of them hurts.
        loose = [60, 60, 84, 100]
        detections = found([OTHER, OTHER, loose, HAND], [0.9, 0.8, 0.7, 0.6])
        metrics = average_precision([truth([HAND, OTHER], ignore=[0, 1])], [detections], 1)
        assert metrics.ap == pytest.approx(1)

    def test_a_small_box_inside_it_is_a_false_alarm(self) -> None:
        # COCO's iscrowd would forgive this one: it lies wholly inside the ignored box, but IoU is 1/16.
        detections = found([[60, 60, 70, 70], HAND], [0.9, 0.6])
        metrics = average_precision([truth([HAND, OTHER], ignore=[0, 1])], [detections], 1)
        assert metrics.ap50 == pytest.approx(0.5)

    def test_another_class_does_not_forgive(self) -> None:
        sample = truth([HAND, OTHER], class_ids=[0, 1], ignore=[0, 1])
        metrics = average_precision([sample], [found([OTHER, HAND], [0.9, 0.6])], 2)
        assert metrics.per_class[0].ap50 == pytest.approx(0.5)
        assert math.isnan(metrics.per_class[1].ap)

    def test_a_detection_of_a_counted_hand_beside_it_is_a_hit(self) -> None:
        shifted = [14.0, 10.0, 54.0, 50.0]
        metrics = average_precision([truth([HAND, shifted], ignore=[0, 1])], [found([HAND], [0.9])], 1)
        assert metrics.ap50 == pytest.approx(1)


class TestCrowds:
    CROWD = (60.0, 60.0, 160.0, 160.0)

    def test_any_number_of_detections_inside_are_neither_right_nor_wrong(self) -> None:
        inside = [[60 + 20 * i, 70, 75 + 20 * i, 90] for i in range(4)]
        detections = found([*inside, HAND], [0.9, 0.8, 0.7, 0.6, 0.5])
        metrics = average_precision([truth([HAND, self.CROWD], crowd=[0, 1])], [detections], 1)
        assert (metrics.ap, metrics.num_objects) == (pytest.approx(1), 1)

    def test_the_overlap_is_the_share_of_the_detection_inside(self) -> None:
        # 20 px wide, 14 inside: 0.7, ignored at 0.50 to 0.70, a false positive from 0.75 on.
        detections = found([[46 + 108, 70, 174, 90], HAND], [0.9, 0.5])
        crowd = [60.0, 60.0, 168.0, 160.0]
        metrics = average_precision([truth([HAND, crowd], crowd=[0, 1])], [detections], 1)
        assert metrics.ap == pytest.approx((5 * 1 + 5 * 0.5) / 10)

    def test_another_class_finds_nothing_in_it(self) -> None:
        detections = found([[70, 70, 90, 90], HAND], [0.9, 0.5], [1, 1])
        sample = truth([HAND, self.CROWD], [1, 0], crowd=[0, 1])
        assert average_precision([sample], [detections], 2).ap50 == pytest.approx(0.5)

    def test_an_object_inside_it_is_matched_first(self) -> None:
        inside = [70.0, 70.0, 90.0, 90.0]
        sample = truth([inside, self.CROWD], crowd=[0, 1])
        assert average_precision([sample], [found([inside], [0.9])], 1).ap == pytest.approx(1)


def test_stated_areas_decide_what_is_small() -> None:
    # 40x40 px, of an outline of 900 px², is small; 30x30 px without a stated area is, too; 1,025 px² is not.
    boxes = [HAND, [60, 60, 90, 90], [100, 100, 130, 130]]
    sample = replace(truth(boxes), stated_areas_px2=np.array([900, np.nan, 1025]))
    metrics = average_precision([sample], [found(boxes[:1], [0.9])], 1)
    assert metrics.ap_small == pytest.approx(51 / 101)
    assert metrics.ap50 == pytest.approx(34 / 101)


class TestNothing:
    def test_no_detections_score_zero(self) -> None:
        metrics = average_precision([truth([HAND])], [Detections.empty()], 1)
        assert (metrics.ap, metrics.ap50, metrics.recall) == (0, 0, 0)

    @pytest.mark.parametrize("num_images", [0, 2])
    def test_no_truths_leave_nothing_to_average(self, num_images: int) -> None:
        metrics = average_precision([truth([])] * num_images, [found([HAND], [0.9])] * num_images, 1)
        assert math.isnan(metrics.ap)
        assert metrics.num_images == num_images
        values = metrics.to_dict()
        assert values["ap"] is None
        json.dumps(values, allow_nan=False)

    def test_a_class_without_truths_does_not_drag_the_mean(self) -> None:
        metrics = average_precision([truth([HAND])], [found([HAND], [0.9])], 2)
        assert metrics.ap == pytest.approx(1)


@pytest.mark.parametrize("what", ["label", "detection"])
def test_a_class_out_of_range_is_refused(what: str) -> None:
    ids = {"label": [0], "detection": [0], what: [3]}
    with pytest.raises(DataError, match=f"{what} has class 3, but there are 2 classes"):
        average_precision([truth([HAND], ids["label"])], [found([HAND], [0.9], ids["detection"])], 2)


def test_nothing_is_printed(capfd: pytest.CaptureFixture[str]) -> None:
    average_precision([truth([HAND])], [found([HAND], [0.9])], 1)
    assert capfd.readouterr() == ("", "")


@settings(max_examples=30)
@given(st.integers(0, 2**32 - 1))
def test_bounds_order_and_false_alarms(seed: int) -> None:
    rng = np.random.default_rng(seed)
    truths, predictions = random_scene(rng, 4, 2)
    truths.append(truth([HAND, OTHER], [0, 1]))
    predictions.append(found([HAND], [0.5]))
    metrics = average_precision(truths, predictions, 2)
    assert 0 <= metrics.ap <= metrics.ap50 <= 1
    assert 0 <= metrics.recall <= metrics.recall50 <= 1
    order = rng.permutation(len(truths))
    shuffled = average_precision([truths[i] for i in order], [predictions[i] for i in order], 2)
    assert shuffled.recall == pytest.approx(metrics.recall)
    alarmed = average_precision([*truths, truth([])], [*predictions, found([HAND], [1.0])], 2)
    assert alarmed.ap <= metrics.ap + 1e-9
