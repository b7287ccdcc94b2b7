"""A runtime that finds the visible part of every bright rectangle on black, as an ideal detector would."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from seyolo.letterbox import Mode


class SquareFinder:
    """Boxes of connected bright pixels in inputs of 100x100 px; counts its runs and the images in each."""

    name = "squares"
    names = ("square",)
    letterbox_mode: Mode = "letterbox"

    def __init__(self, input_size: tuple[int, int] = (100, 100), least_px: int = 1) -> None:
        self.input_size = input_size
        self.batches: list[int] = []
        self._least_px = least_px  # it finds nothing with a shorter side

    def infer(self, batch: np.ndarray) -> np.ndarray:
        self.batches.append(len(batch))
        return np.stack([self._find(image) for image in batch])

    def _find(self, image: np.ndarray) -> np.ndarray:
        rows = np.zeros((50, 6), np.float32)
        _, _, stats, _ = cv2.connectedComponentsWithStats((image.max(axis=0) > 0.6).astype(np.uint8))
        for row, (left, top, width, height, _) in zip(rows, stats[1:].tolist(), strict=False):
            if min(width, height) >= self._least_px:
                row[:] = left + width / 2, top + height / 2, width, height, 0.9, 1.0
        return rows


def bright_box(image: np.ndarray) -> list[float]:
    """The box cx, cy, w, h of what is brighter than half in all channels of an image (3, h, w)."""
    rows, columns = np.nonzero(image.min(axis=0) > 0.5)
    left, top, right, bottom = columns.min(), rows.min(), columns.max() + 1, rows.max() + 1
    return [(left + right) / 2, (top + bottom) / 2, right - left, bottom - top]


def squares_image(size: tuple[int, int], boxes_xyxy: Sequence[Sequence[int]]) -> np.ndarray:
    """A black BGR image of this height and width with white rectangles."""
    image = np.zeros((*size, 3), np.uint8)
    for left, top, right, bottom in boxes_xyxy:
        image[top:bottom, left:right] = 255
    return image
