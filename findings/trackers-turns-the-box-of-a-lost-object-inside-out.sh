#!/usr/bin/env bash
# ByteTrack of trackers: an object that got smaller and is missed for a few frames has a box with x2 < x1, and loses
# its id.
#
# Seen with trackers 2.6.1, supervision 0.31.2, numpy 2.4.6, Python 3.11, 2026-11-30:
#   The Kalman filter moves each corner by itself. A box that shrank from 80 to 20 pixels, as that of somebody who
#   walks away, goes on shrinking while it is not found: after two missed frames it is a point, after three its corners
#   have changed places, and it grows again, inside out: tracked_objects returns it with positive area. One missed
#   frame suffices for a new id, though the object stays where it was last seen and lost_track_buffer is a second. An
#   object that did not shrink keeps its id after 20 missed frames.
# Expected before: boxes with x2 >= x1; a missed object that is found again at its last place keeps its id.
# What follows: check tracked_objects before its boxes are drawn or cropped; state_estimator_class=XCYCSRStateEstimator
#   keeps sides positive.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check trackers==2.6.1 supervision==0.31.2 numpy==2.4.6
cat > "$folder/check.py" <<'PY'
from importlib import metadata

import numpy as np
import supervision
from trackers import ByteTrackTracker
from trackers.utils.state_representations import XCYCSRStateEstimator, XYXYStateEstimator

SHRINKING, STEADY = (80, 70, 60, 50, 40, 30, 20), (20,) * 7


def found(*sides: float) -> supervision.Detections:
    """Squares around the point (100, 100), all of score 0.9."""
    boxes = np.array([[100 - s / 2, 100 - s / 2, 100 + s / 2, 100 + s / 2] for s in sides], float).reshape(-1, 4)
    return supervision.Detections(
        xyxy=boxes, confidence=np.full(len(sides), 0.9, np.float32), class_id=np.zeros(len(sides), int)
    )


def after(missed: int, sides: tuple[int, ...], estimator: type = XYXYStateEstimator) -> tuple[float, bool]:
    """Width that the tracker gives the object after its missed frames, and whether the id is the same again."""
    tracker = ByteTrackTracker(state_estimator_class=estimator)
    ids = [tracker.update(found(side)).tracker_id.tolist() for side in sides]
    for _ in range(missed):
        tracker.update(found())
    left, _, right, _ = tracker.tracked_objects.xyxy[0]
    later = [tracker.update(found(sides[-1])).tracker_id.tolist() for _ in range(3)]
    return round(float(right - left)), later[-1] == ids[-1]


shrinking = {missed: after(missed, SHRINKING) for missed in (0, 1, 2, 3, 4)}
steady = after(20, STEADY)
print("trackers", metadata.version("trackers"), "| missed frames: (width, keeps its id)")
print("shrinks by 10 a frame:", shrinking, "| steady, 20 frames missed:", steady)
other = after(4, SHRINKING, XCYCSRStateEstimator)
print("XCYCSRStateEstimator, 4 frames missed:", other)
same = (
    shrinking == {0: (20, True), 1: (10, False), 2: (0, False), 3: (-10, False), 4: (-20, False)}
    and steady == (20, True)
    and other[0] > 0
)
raise SystemExit(0 if same else "lost objects are kept otherwise now: the finding is out of date")
PY
cd "$folder"
venv/bin/python check.py
