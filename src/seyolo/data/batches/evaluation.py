"""Batches for evaluation, prepared by background threads. No torch."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import cv2
import numpy as np
from jaxtyping import UInt8

from seyolo.data.batches.background import in_background
from seyolo.data.datasets import Sample
from seyolo.letterbox import Mode, Placement, letterbox
from seyolo.media.images import read_image

EvaluationBatch = tuple[UInt8[np.ndarray, "b h w 3"], list[Placement], Sequence[Sample]]


class EvaluationLoader:
    """Batches of whole images in the order of `samples`, without augmentation.

    Args:
        samples: images with their labels.
        size_hw: height and width of the network input.
        batch_size: the last batch may be smaller.
        mode: how images are fitted to the input.
        workers: number of threads.

    Iterating yields RGB images, where each image lies in its input,
    and the samples of the batch; it raises DataError when an image cannot be decoded.
    """

    def __init__(
        self,
        samples: Sequence[Sample],
        size_hw: tuple[int, int],
        batch_size: int,
        mode: Mode = "letterbox",
        workers: int = 1,
    ) -> None:
        self.samples = samples
        self.size_hw = size_hw
        self.batch_size = batch_size
        self.mode: Mode = mode
        self._workers = workers

    def __len__(self) -> int:
        return math.ceil(len(self.samples) / self.batch_size)

    def __iter__(self) -> Iterator[EvaluationBatch]:
        starts = range(0, len(self.samples), self.batch_size)
        return in_background(self._make_batch, starts, self._workers, prefetch=2 * self._workers)

    def _make_batch(self, start: int) -> EvaluationBatch:
        samples = self.samples[start : start + self.batch_size]
        images = np.empty((len(samples), *self.size_hw, 3), dtype=np.uint8)
        placements = []
        for row, sample in enumerate(samples):
            image, placement = letterbox(read_image(sample.image), self.size_hw, self.mode)
            cv2.cvtColor(image, cv2.COLOR_BGR2RGB, dst=images[row])
            placements.append(placement)
        return images, placements, samples
