"""Reading of videos, cameras and streams, and writing of videos, by OpenCV with FFmpeg."""

from __future__ import annotations

import errno
import math
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

import cv2
import numpy as np
from jaxtyping import UInt8

from seyolo.errors import DataError, counted
from seyolo.files import replacing
from seyolo.media.frame_times import is_variable, set_times
from seyolo.media.sources import is_live, kind_of

WAIT_MS = 10_000  # timeout of a stream that does not answer
DEFAULT_FPS = 30.0
MISSING_SHARE = 0.02  # of frames, accepted: containers often estimate their number from the duration
FULL_BYTES = 1 << 20  # a disk with less free space counts as full
CODEC = "mp4v"  # MPEG-4 part 2, which all builds of OpenCV can write


@contextmanager
def quiet_opencv() -> Iterator[None]:
    """Switches off the messages of OpenCV and its FFmpeg on stderr; our errors replace them."""
    # FFmpeg reads the variable once, when the process opens its first video.
    os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")
    level = cv2.utils.logging.getLogLevel()
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
    try:
        yield
    finally:
        cv2.utils.logging.setLogLevel(level)


@dataclass(frozen=True)
class VideoFrame:
    """One image of a video."""

    number: int  # from 0; a live source may have gaps
    time_s: float  # since the video's beginning, or since the live source was opened
    image: UInt8[np.ndarray, "H W 3"]  # BGR


class VideoReader:
    """A video file, camera or stream, opened; raises DataError where it cannot be."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._capture = _open(name)
        fps = self._capture.get(cv2.CAP_PROP_FPS)
        self.fps = fps if math.isfinite(fps) and 0 < fps <= 1000 else DEFAULT_FPS
        width, height = (
            self._capture.get(prop) for prop in (cv2.CAP_PROP_FRAME_WIDTH, cv2.CAP_PROP_FRAME_HEIGHT)
        )
        self.size = int(width), int(height)  # as declared
        self.num_declared = max(0, int(self._capture.get(cv2.CAP_PROP_FRAME_COUNT)))  # 0: not declared
        self.is_live = is_live(name) and self.num_declared == 0  # drops frames that are not read in time

    def frames(self) -> Iterator[VideoFrame]:
        """Yields the frames; at the end raises DataError for none, or clearly fewer than declared."""
        number, start, last_s, longest_s = 0, time.monotonic(), 0.0, 0.0
        while True:
            is_there, image = self._capture.read()
            if not is_there:
                break
            seconds = self._capture.get(cv2.CAP_PROP_POS_MSEC) / 1000
            time_s = time.monotonic() - start if self.is_live else seconds
            yield VideoFrame(number, time_s, np.asarray(image, dtype=np.uint8))
            longest_s, last_s = max(longest_s, seconds - last_s), seconds
            number += 1
        if number == 0:
            raise DataError(f"{_described(self.name)}: opened, but gives no frame")
        # A container without the number declares one for a constant rate; then the time tells.
        is_short = last_s + longest_s < self.num_declared / self.fps * (1 - MISSING_SHARE)
        if is_short and number < self.num_declared * (1 - MISSING_SHARE) - 1:
            frames = f"{number} of {counted(self.num_declared, 'frame')}"
            raise DataError(f"{self.name}: ends after {frames}; the rest is missing or damaged")

    def close(self) -> None:
        """Closes the file or device."""
        self._capture.release()


def _described(name: str) -> str:
    return f"camera {name}" if kind_of(name) == "camera" else name


def _open(name: str) -> cv2.VideoCapture:
    with quiet_opencv():
        if kind_of(name) == "camera":
            capture = cv2.VideoCapture(int(name))
        else:
            waits = [cv2.CAP_PROP_OPEN_TIMEOUT_MSEC, WAIT_MS, cv2.CAP_PROP_READ_TIMEOUT_MSEC, WAIT_MS]
            capture = cv2.VideoCapture(name, cv2.CAP_FFMPEG, waits)
    if capture.isOpened():
        return capture
    reasons = {
        "camera": "cannot be opened; is it plugged in, and does no other program use it?",
        "stream": "cannot be opened; is the address right, and does it answer?",
    }
    reason = reasons.get(kind_of(name), "cannot be opened as a video; it is damaged, incomplete or none")
    raise DataError(f"{_described(name)}: {reason}")


class VideoWriter:
    """An .mp4 that gets its name when it is complete; a context manager, opened with the first frame.

    Raises OSError when the file cannot be written, or is incomplete.
    """

    def __init__(self, path: Path, fps: float) -> None:
        self.path = path
        self._fps = fps
        self._stack = ExitStack()
        self._num_written = 0
        self._times_s: list[float] = []

    def __enter__(self) -> Self:
        return self

    def write(self, number: int, image: UInt8[np.ndarray, "H W 3"], time_s: float | None = None) -> None:
        """Writes the frame of this number, repeated for the frames before it that a live source dropped.

        Where every frame has a `time_s` and they come at a variable rate, the file keeps their times.
        """
        if self._num_written == 0:
            self._size = image.shape[1], image.shape[0]
            self._writer = self._stack.enter_context(self._opened())
        if image.shape[1::-1] != self._size:
            image = cv2.resize(image, self._size)
        while self._num_written <= number:
            self._writer.write(image)
            self._num_written += 1
            self._times_s += [] if time_s is None else [time_s]

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.__exit__(kind, error, trace)

    @contextmanager
    def _opened(self) -> Iterator[cv2.VideoWriter]:
        """Opens the file; at the end counts its frames, since OpenCV does not report a full disk."""
        with replacing(self.path) as temporary:
            with quiet_opencv():
                codec = cv2.VideoWriter.fourcc(*CODEC)
                writer = cv2.VideoWriter(str(temporary), codec, self._fps, self._size)
            if not writer.isOpened():
                raise self._refused()
            try:
                yield writer
            finally:
                writer.release()
            if len(self._times_s) == self._num_written and is_variable(self._times_s, self._fps):
                set_times(temporary, self._times_s, self._fps)
            with quiet_opencv():
                capture = cv2.VideoCapture(str(temporary), cv2.CAP_FFMPEG)
            num_frames = capture.get(cv2.CAP_PROP_FRAME_COUNT)
            capture.release()
            if num_frames < self._num_written:
                raise self._refused()

    def _refused(self) -> OSError:
        is_full = shutil.disk_usage(self.path.parent).free < FULL_BYTES
        number = errno.ENOSPC if is_full else errno.EIO
        return OSError(number, os.strerror(number), str(self.path))
