"""Batches for evaluation, made ahead by a thread. No torch."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import cv2
import numpy as np
from jaxtyping import Float32, UInt8

from seyolo.data.samples import Sample
from seyolo.letterbox import Fit, Placement
from seyolo.media.ahead import in_background

Levels = UInt8[np.ndarray, "b h w c"] | Float32[np.ndarray, "b h w c"]  # float32 as `Fit.dtype` says
EvaluationBatch = tuple[Levels, list[Placement], Sequence[Sample]]


def evaluation_batches(samples: Sequence[Sample], fit: Fit, batch_size: int) -> Iterator[EvaluationBatch]:
    """Returns batches in the order of `samples`, without augmentation; the last one may be smaller.

    A batch is RGB or grey images in levels of 0 to 255, their placements in the network input, and their
    samples. The iterator raises DataError for an image that cannot be decoded.
    """

    def make_batch(start: int) -> EvaluationBatch:
        batch = samples[start : start + batch_size]
        return *image_batch((sample.read() for sample in batch), len(batch), fit), batch

    return in_background(make_batch, range(0, len(samples), batch_size), threads=1, prefetch=2)


def image_batch(
    images: Iterable[UInt8[np.ndarray, "H W 3"]], num: int, fit: Fit
) -> tuple[Levels, list[Placement]]:
    """Fits this number of BGR images to a network's input; returns levels and placements as above."""
    batch = np.empty((num, *fit.size, fit.channels), dtype=fit.dtype)
    placements = []
    for row, pixels in zip(range(num), images, strict=True):
        image, placement = fit.image(pixels)
        batch[row] = cv2.cvtColor(image, cv2.COLOR_BGR2RGB) if image.ndim == 3 else image[..., None]
        placements.append(placement)
    return batch, placements
