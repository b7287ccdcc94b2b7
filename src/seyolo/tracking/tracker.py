"""Ids of the objects in a video, by the package trackers.

The method is ByteTrack (Zhang et al. 2022, arXiv 2110.06864).
"""

from __future__ import annotations

import importlib
import re
from importlib import metadata
from typing import Any

import numpy as np

from seyolo.arguments import checked
from seyolo.detections import Detections
from seyolo.errors import BackendError, UsageError
from seyolo.installing import pip_install

PACKAGE = "trackers"
OLDEST = (2, 6)
# The package asks for opencv-python, which overwrites opencv-python-headless and needs a desktop's libraries.
WITHOUT_OPENCV = 'pip install --no-deps "trackers>=2.6"'
WEAK_SHARE = 0.4
"""Score of the weakest box that keeps a known object alive, as a share of the confidence threshold."""
LOST_S = 1.0  # an object that is not found for longer gets a new id


def check_installed(asked: str = "Tracker") -> None:
    """Raises BackendError where the package is missing or too old; the message names the command."""
    advice = f"get it with: {pip_install('seyolo[track]')} && {WITHOUT_OPENCV}"
    try:
        version = metadata.version(PACKAGE)
        metadata.version("supervision")
    except metadata.PackageNotFoundError as error:
        raise BackendError(f"{asked} needs {error.name}, which is not installed; {advice}") from None
    if tuple(map(int, re.findall(r"\d+", version)[:2])) < OLDEST:
        raise BackendError(f"{asked} needs {PACKAGE} 2.6 or newer, this is {version}; {advice}")


class Tracker:
    """Gives the objects of one video ids that they keep from frame to frame.

    A box of at least `confidence` begins an object, which has its id from the second frame in a row on. A
    weaker box, down to `weak_confidence`, keeps a known object alive, and is left out of the result: detect
    with that lower threshold. An object that is not found for a second gets a new id; so may one that is
    missed while its size changes fast. Boxes of all classes are followed together.

    Args:
        confidence: smallest score of the result, in [0, 1].
        fps: frames per second of the video; frames with times may come at any rate.

    Raises:
        BackendError: trackers is not installed; the message names the command that installs it.
        UsageError: a confidence outside [0, 1], or a rate that is not above 0.

    Example:
        >>> tracker = seyolo.Tracker(confidence=0.25, fps=30)
        >>> found = seyolo.Detections([[10, 20, 50, 80]], [0.9], [0], ["hand"])
        >>> [tracker.update(found).track_ids.tolist() for frame in range(3)]
        [[-1], [1], [1]]
    """

    @checked
    def __init__(self, confidence: float = 0.25, fps: float = 30.0) -> None:
        if not 0 <= confidence <= 1:
            raise UsageError(f"confidence must be from 0 to 1, got {confidence:g}")
        if not 0 < fps < float("inf"):
            raise UsageError(f"fps must be above 0, got {fps:g}")
        check_installed()
        self.confidence = confidence
        self.fps = fps
        self.time_s = 0.0  # of the last frame; grows with each
        self._supervision: Any = importlib.import_module("supervision")
        tracker: Any = importlib.import_module("trackers").ByteTrackTracker
        # The defaults give no id to what stays under a score of 0.7.
        self._tracker = tracker(
            lost_track_buffer=round(30 * LOST_S),
            frame_rate=fps,
            track_activation_threshold=confidence,
            high_conf_det_threshold=confidence,
        )

    @property
    def weak_confidence(self) -> float:
        """The threshold for the detector, below `confidence`."""
        return self.confidence * WEAK_SHARE

    @checked
    def update(self, found: Detections, time_s: float | None = None) -> Detections:
        """Returns the detections of the next frame that reach `confidence`, with `track_ids`, in their order.

        Args:
            found: those of the frame, from `weak_confidence` on.
            time_s: of the frame, in seconds; by default a frame of `fps` after the last one.

        Example:
            >>> tracker = seyolo.Tracker(confidence=0.5)
            >>> weak = seyolo.Detections([[10, 20, 50, 80]], [0.4], [0], ["hand"])
            >>> len(tracker.update(weak))
            0
        """
        self.time_s = _after(self.time_s, time_s, self.fps)
        theirs = self._supervision.Detections(
            xyxy=found.boxes, confidence=found.scores, data={"row": np.arange(len(found))}
        )
        tracked = self._tracker.update(theirs, timestamp=self.time_s)
        track_ids = np.full(len(found), -1, np.int64)
        if len(tracked):  # rows come back in another order
            ids = tracked.tracker_id
            track_ids[tracked.data["row"]] = np.where(ids >= 0, ids + 1, -1)
        whole = Detections(found.boxes, found.scores, found.class_ids, found.names, track_ids=track_ids)
        return whole[whole.scores >= self.confidence]


def _after(last_s: float, time_s: float | None, fps: float) -> float:
    """Returns the time of the next frame; a video without usable times advances by a frame."""
    return time_s if time_s is not None and last_s < time_s < float("inf") else last_s + 1 / fps
