"""A model that finds the same two things in every image, when it is let."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import cv2
import numpy as np

from seyolo.letterbox import Mode
from seyolo.web.detection import ServedModel

SIZE_PX = 64
# cx, cy, w, h, objectness, hand, face: a hand of 0.9 and a face of 0.4.
ROWS = np.array([[32, 32, 20, 10, 0.9, 1.0, 0.0], [20, 40, 8, 8, 0.5, 0.0, 0.8]], np.float32)
HAND_BOX, FACE_BOX = [44.0, 38.0, 84.0, 58.0], [32.0, 56.0, 48.0, 72.0]
"""Where they are in `image()`: its 128x96 pixels become 64x48, eight rows from the top."""


class FixedBackend:
    """Gives `ROWS`; `held()` makes it wait, and it counts how many threads are in it."""

    input_size = (SIZE_PX, SIZE_PX)
    names = ("hand", "face")
    letterbox_mode: Mode = "letterbox"

    def __init__(self, name: str = "onnxruntime") -> None:
        self.name = name
        self.most_at_once = 0
        self._inside = 0
        self._count = threading.Lock()
        self._open = threading.Event()
        self._open.set()

    def infer(self, batch: np.ndarray) -> np.ndarray:
        with self._count:
            self._inside += 1
            self.most_at_once = max(self.most_at_once, self._inside)
        assert self._open.wait(timeout=60)
        with self._count:
            self._inside -= 1
        return np.repeat(ROWS[None], len(batch), axis=0)

    @contextmanager
    def held(self) -> Iterator[None]:
        self._open.clear()
        try:
            yield
        finally:
            self._open.set()


class BrokenBackend(FixedBackend):
    """Runs once, for the warm-up, and then is a bug of ours."""

    def __init__(self) -> None:
        super().__init__()
        self._has_run = False

    def infer(self, batch: np.ndarray) -> np.ndarray:
        if self._has_run:
            raise ZeroDivisionError("/home/somebody/secret.onnx")
        self._has_run = True
        return super().infer(batch)


def served(backend: FixedBackend, name: str = "fixed") -> ServedModel:
    return ServedModel(name, backend)


def image(ending: str = ".jpg", height: int = 96, width: int = 128) -> bytes:
    """An image file of noise."""
    pixels = np.random.default_rng(0).integers(0, 255, (height, width, 3), dtype=np.uint8)
    return bytes(cv2.imencode(ending, pixels)[1])
