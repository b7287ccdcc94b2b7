"""Cache of decoded source images in memory.

Images are shrunk to the size that training needs and stored as the pyramids that `augment` samples from.
Nothing is evicted: every epoch visits every image, so eviction would only replace one miss by another.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from seyolo.data.batches.augment import Image, pyramid
from seyolo.data.datasets import Sample
from seyolo.letterbox import resize
from seyolo.media.images import read_image


class ImageCache:
    """Source images by their index in `samples`, decoded on first use; safe to share between threads.

    Args:
        long_side_px: larger images are stored and returned at this size.
        budget_bytes: memory limit; images beyond it are decoded at every use.
    """

    def __init__(self, samples: Sequence[Sample], long_side_px: int, budget_bytes: int) -> None:
        self.samples = samples
        self._long_side_px = long_side_px
        self._left_bytes = budget_bytes
        self._is_full = False
        self._images: dict[int, Image] = {}
        self._lock = threading.Lock()

    def fetch(self, index: int) -> Image:
        """Returns an image as a pyramid with its labels; raises DataError if it cannot be decoded."""
        cached = self._images.get(index)
        if cached is not None:
            return cached
        sample = self.samples[index]
        pixels = read_image(sample.image)
        height, width = pixels.shape[:2]
        scale = self._long_side_px / max(height, width)
        if scale < 1:
            pixels = resize(pixels, (max(1, round(height * scale)), max(1, round(width * scale))))
        image = Image(pyramid(pixels), sample.boxes_cxcywh, sample.class_ids)
        num_bytes = sum(level.nbytes for level in image.levels)
        with self._lock:
            if num_bytes > self._left_bytes:
                self._is_full = True
            elif index not in self._images:
                self._images[index] = image
                self._left_bytes -= num_bytes
        return image

    def fill(self) -> None:
        """Decodes images until the budget is used up or all are cached."""
        with ThreadPoolExecutor() as pool:
            list(pool.map(lambda index: self._is_full or self.fetch(index), range(len(self.samples))))
