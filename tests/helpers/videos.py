"""A small video whose frames can be told apart, and a detector that finds what is bright in them."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np

from seyolo.letterbox import Mode

WIDTH_PX, HEIGHT_PX = 96, 64


def frame_image(number: int) -> np.ndarray:
    """Black, with a white square of 16 px that moves on by a pixel per frame."""
    image = np.zeros((HEIGHT_PX, WIDTH_PX, 3), np.uint8)
    image[24:40, number % 64 : number % 64 + 16] = 255
    return image


def write_video(path: Path, num_frames: int = 12, fps: float = 20.0, codec: str = "MJPG") -> Path:
    """The video of that square."""
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*codec), fps, (WIDTH_PX, HEIGHT_PX))
    assert writer.isOpened()
    for number in range(num_frames):
        writer.write(frame_image(number))
    writer.release()
    return path


def read_video(path: Path) -> list[np.ndarray]:
    """All frames, by OpenCV itself."""
    capture, frames = cv2.VideoCapture(str(path)), []
    while (read := capture.read())[0]:
        frames.append(read[1])
    capture.release()
    return frames


def write_variable(path: Path, times_s: Sequence[float], codec: str = "libx264") -> Path:
    """A video whose frames have these times."""
    av = importlib.import_module("av")
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=25)
        stream.width, stream.height, stream.pix_fmt = WIDTH_PX, HEIGHT_PX, "yuv420p"
        stream.codec_context.time_base = Fraction(1, 90_000)
        for number, time_s in enumerate(times_s):
            frame = av.VideoFrame.from_ndarray(frame_image(number), format="bgr24")
            frame.pts, frame.time_base = round(time_s * 90_000), Fraction(1, 90_000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def times_by_pyav(path: Path) -> list[float]:
    """The times of its frames."""
    av = importlib.import_module("av")
    with av.open(str(path)) as container:
        return [float(frame.pts * frame.time_base) for frame in container.decode(video=0)]


class BrightSquare:
    """A backend that boxes what is brighter than half, if anything is."""

    name = "bright"
    input_size = (HEIGHT_PX, WIDTH_PX)
    names = ("square",)
    letterbox_mode: Mode = "letterbox"

    def infer(self, batch: np.ndarray) -> np.ndarray:
        """One box for each image; of an all-black one with objectness 0."""
        return np.array([[self._box(image)] for image in batch], np.float32)

    @staticmethod
    def _box(image: np.ndarray) -> list[float]:
        rows, columns = np.nonzero(image.min(axis=0) > 0.5)
        if len(rows) == 0:
            return [1.0, 1.0, 1.0, 1.0, 0.0, 0.0]
        left, top, right, bottom = columns.min(), rows.min(), columns.max() + 1, rows.max() + 1
        return [(left + right) / 2, (top + bottom) / 2, right - left, bottom - top, 0.8, 1.0]
