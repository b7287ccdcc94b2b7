"""Batches for evaluation, made ahead by a thread. No torch."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import cv2
import numpy as np
from jaxtyping import UInt8

from seyolo.data.datasets import Sample
from seyolo.letterbox import Mode, Placement, letterbox
from seyolo.media.ahead import in_background

EvaluationBatch = tuple[UInt8[np.ndarray, "b h w 3"], list[Placement], Sequence[Sample]]


def evaluation_batches(
    samples: Sequence[Sample], size_hw: tuple[int, int], batch_size: int, mode: Mode = "letterbox"
) -> Iterator[EvaluationBatch]:
    """Returns batches in the order of `samples`, without augmentation; the last one may be smaller.

    A batch is RGB images, their placements in the network input, and their samples. The iterator raises
    DataError for an image that cannot be decoded.
    """

    def make_batch(start: int) -> EvaluationBatch:
        batch = samples[start : start + batch_size]
        return *image_batch((sample.read() for sample in batch), len(batch), size_hw, mode), batch

    return in_background(make_batch, range(0, len(samples), batch_size), threads=1, prefetch=2)


def image_batch(
    images: Iterable[UInt8[np.ndarray, "H W 3"]], num: int, size_hw: tuple[int, int], mode: Mode
) -> tuple[UInt8[np.ndarray, "b h w 3"], list[Placement]]:
    """Fits this number of BGR images to a network's input; returns RGB and their placements."""
    batch = np.empty((num, *size_hw, 3), dtype=np.uint8)
    placements = []
    for row, pixels in zip(batch, images, strict=True):
        image, placement = letterbox(pixels, size_hw, mode)
        cv2.cvtColor(image, cv2.COLOR_BGR2RGB, dst=row)
        placements.append(placement)
    return batch, placements
