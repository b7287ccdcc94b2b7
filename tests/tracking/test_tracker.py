"""Ids that objects keep: weak boxes, gaps, order of rows, times."""

from __future__ import annotations

import subprocess
import sys
from importlib import metadata

import numpy as np
import pytest

from seyolo.detections import Detections
from seyolo.errors import BackendError, UsageError
from seyolo.tracking.tracker import Tracker

pytest.importorskip("trackers", reason="needs trackers and seyolo[track]")


def found(*rows: tuple[float, float]) -> Detections:
    """Boxes of 20 px at these left sides, with these scores."""
    boxes = np.array([[left, 10, left + 20, 30] for left, _ in rows], np.float32).reshape(-1, 4)
    scores = np.array([score for _, score in rows], np.float32)
    return Detections(boxes, scores, np.zeros(len(rows), np.int64), ["hand"])


def ids(found: Detections) -> list[int]:
    assert found.track_ids is not None
    return found.track_ids.tolist()


def test_a_score_far_under_the_packages_default_has_an_id_from_its_second_frame_on() -> None:
    tracker = Tracker(confidence=0.25)
    assert [ids(tracker.update(found((10 + frame, 0.3)))) for frame in range(4)] == [[-1], [1], [1], [1]]


def test_rows_keep_their_order_and_ids_their_objects() -> None:
    tracker = Tracker(confidence=0.25)
    tracker.update(found((10, 0.9), (100, 0.3)))
    assert ids(tracker.update(found((11, 0.9), (101, 0.3)))) == [1, 2]
    # In another order, and with one that is new between them.
    third = tracker.update(found((102, 0.3), (200, 0.5), (12, 0.9)))
    assert ids(third) == [2, -1, 1]
    np.testing.assert_array_equal(third.boxes[:, 0], [102, 200, 12])


def test_a_weak_box_keeps_the_id_and_is_not_in_the_result() -> None:
    tracker = Tracker(confidence=0.5)
    assert tracker.weak_confidence == pytest.approx(0.2)
    for frame in range(2):
        tracker.update(found((10 + frame, 0.9)))
    for frame in range(2, 40):  # longer than a lost object is remembered
        assert len(tracker.update(found((10 + frame, 0.25)))) == 0
    assert ids(tracker.update(found((50, 0.9)))) == [1]
    # Alone, weak boxes never become an object.
    other = Tracker(confidence=0.5)
    assert [len(other.update(found((10, 0.4)))) for _ in range(5)] == [0] * 5
    assert ids(other.update(found((10, 0.6)))) == [-1]


@pytest.mark.parametrize(("gap_s", "expected"), [(0.5, 1), (1.5, 2)])
def test_an_object_is_remembered_for_a_second_at_any_frame_rate(gap_s: float, expected: int) -> None:
    for fps in (5.0, 30.0, 120.0):
        tracker = Tracker(fps=fps)
        for number in range(3):
            tracker.update(found((10, 0.9)), number / fps)
        tracker.update(found(), 2 / fps + gap_s / 2)
        tracker.update(found((10, 0.9)), 2 / fps + gap_s)
        assert ids(tracker.update(found((10, 0.9)), 3 / fps + gap_s)) == [expected]


def test_times_that_do_not_grow_count_as_a_frame() -> None:
    tracker = Tracker(fps=10)
    for time_s in (0.0, 0.0, 0.0, float("nan")):
        tracker.update(found((10, 0.9)), time_s)
    assert tracker.time_s == pytest.approx(0.4)
    assert ids(tracker.update(found((10, 0.9)), 0.2)) == [1]


def test_every_tracker_counts_from_one() -> None:
    for _ in range(2):
        tracker = Tracker()
        tracker.update(found((10, 0.9)))
        assert ids(tracker.update(found((10, 0.9)))) == [1]


def test_values_that_make_no_sense_are_refused() -> None:
    for values in ({"confidence": 1.5}, {"fps": 0.0}, {"fps": float("nan")}):
        with pytest.raises(UsageError, match=next(iter(values))):
            Tracker(**values)


def test_a_missing_or_old_package_names_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metadata, "version", lambda name: "2.5.9")
    with pytest.raises(
        BackendError, match=r"needs trackers 2\.6 or newer, this is 2\.5\.9; get it with: pip"
    ):
        Tracker()

    def missing(name: str) -> str:
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "version", missing)
    with pytest.raises(BackendError, match=r'trackers, which is not installed; get it with: pip install "'):
        Tracker()


def test_pytorch_stays_out() -> None:
    program = "import sys, seyolo; seyolo.Tracker(); print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    assert done.stdout == "False\n"
