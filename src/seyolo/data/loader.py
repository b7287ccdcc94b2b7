"""Batches for training and evaluation, prepared by background threads.

Threads suffice, since OpenCV and numpy release the interpreter lock while they work on pixels. Batches come
in order and are the same for any number of threads: the generator of each training picture is seeded by
(seed, epoch, position in the epoch), nothing else is random but the order, seeded by (seed, epoch).
At most `prefetch` batches wait, so memory is bounded; an error in a thread is raised where the batch is
consumed; closing the iterator (or leaving its loop) stops the threads.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

import cv2
import numpy as np
import torch
from jaxtyping import Float, Int64, UInt8

from seyolo.data.augment import Augmentation, compose, draw_layout
from seyolo.data.datasets import Sample
from seyolo.data.picture_cache import PictureCache
from seyolo.errors import DataError
from seyolo.letterbox import Mode, Placement, letterbox
from seyolo.media.pictures import read_picture

TrainingBatch = tuple[UInt8[torch.Tensor, "b 3 s s"], Float[torch.Tensor, "m 6"]]
EvaluationBatch = tuple[UInt8[torch.Tensor, "b 3 h w"], list[Placement], Sequence[Sample]]

Job = TypeVar("Job")
Result = TypeVar("Result")


class TrainingLoader:
    """Augmented batches, epoch by epoch.

    Args:
        samples: pictures with their labels; pictures without objects are negatives.
        size_px: side of the square network input.
        batch_size: every batch is full: the last one of an epoch wraps around to the epoch's start.
        augmentation: the recipe, unless `epoch` is given another.
        seed: of the order and the augmentation.
        workers: number of threads.
        prefetch: how many batches may be ready or in work, at least one per worker.
        cache_bytes: memory for decoded pictures; see `PictureCache`. They are kept at up to 1.5 times
            `size_px`, enough for the zoom.
        shard: which part of every batch is made here, as (number, of how many equal ones): each process that
            shares the training makes its own, and together they are the batches of one process alone.

    Raises:
        DataError: there are no samples.
    """

    def __init__(
        self,
        samples: Sequence[Sample],
        size_px: int,
        batch_size: int,
        augmentation: Augmentation,
        seed: int,
        *,
        workers: int = 1,
        prefetch: int = 4,
        cache_bytes: int = 3 << 30,
        shard: tuple[int, int] = (0, 1),
    ) -> None:
        if not samples:
            raise DataError("no pictures to train on; check the train split of the data set")
        self.size_px = size_px
        self.batch_size = batch_size
        self.augmentation = augmentation
        self.seed = seed
        number, num_shards = shard
        assert batch_size % num_shards == 0, (batch_size, num_shards)
        self._share = batch_size // num_shards
        self._first = number * self._share
        self._num_samples = len(samples)
        self._workers = workers
        self._prefetch = prefetch
        self._cache = PictureCache(samples, long_side_px=size_px * 3 // 2, budget_bytes=cache_bytes)

    def __len__(self) -> int:
        """Batches per epoch."""
        return math.ceil(self._num_samples / self.batch_size)

    def epoch(
        self, epoch: int, augmentation: Augmentation | None = None, size_px: int | None = None
    ) -> Iterator[TrainingBatch]:
        """The batches of one epoch.

        Args:
            epoch: its number; the same number gives the same batches.
            augmentation: a recipe for this epoch only.
            size_px: an input size for this epoch only.

        Yields:
            Images as RGB bytes in channels-last memory, and targets as rows of batch index, class id,
            centre x, centre y, width, height in input pixels.

        Raises:
            DataError: a picture cannot be decoded; names it.
        """
        recipe = self.augmentation if augmentation is None else augmentation
        size = self.size_px if size_px is None else size_px
        order = _epoch_order(self._num_samples, len(self) * self.batch_size, (self.seed, epoch))

        def make_batch(start: int) -> TrainingBatch:
            images = np.empty((self._share, size, size, 3), dtype=np.uint8)
            positions = range(start + self._first, start + self._first + self._share)
            targets = [
                self._draw(images[row], int(order[position]), recipe, (self.seed, epoch, position))
                for row, position in enumerate(positions)
            ]
            return _to_tensor(images), torch.from_numpy(_with_batch_index(targets))

        starts = range(0, len(order), self.batch_size)
        return _in_background(make_batch, starts, self._workers, self._prefetch)

    def _draw(
        self, out: UInt8[np.ndarray, "s s 3"], index: int, recipe: Augmentation, seed: tuple[int, ...]
    ) -> Float[np.ndarray, "m 5"]:
        """Writes one augmented RGB picture into `out` and returns its targets."""
        generator = np.random.default_rng(seed)
        layout = draw_layout(recipe, out.shape[0], generator)
        others = generator.integers(self._num_samples, size=len(layout.tiles) - 1)
        pictures = [self._cache.fetch(i) for i in (index, *others.tolist())]
        image, targets = compose(pictures, layout, recipe, generator)
        cv2.cvtColor(image, cv2.COLOR_BGR2RGB, dst=out)
        return targets


class EvaluationLoader:
    """Batches of whole pictures in the order of `samples`, without augmentation.

    Args:
        samples: pictures with their labels.
        size_hw: height and width of the network input.
        batch_size: the last batch may be smaller.
        mode: how pictures are fitted to the input.
        workers: number of threads.

    Iterating yields images as RGB bytes in channels-last memory, where each picture lies in its input,
    and the samples of the batch; it raises DataError when a picture cannot be decoded.
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
        return _in_background(self._make_batch, starts, self._workers, prefetch=2 * self._workers)

    def _make_batch(self, start: int) -> EvaluationBatch:
        samples = self.samples[start : start + self.batch_size]
        images = np.empty((len(samples), *self.size_hw, 3), dtype=np.uint8)
        placements = []
        for row, sample in enumerate(samples):
            image, placement = letterbox(read_picture(sample.image), self.size_hw, self.mode)
            cv2.cvtColor(image, cv2.COLOR_BGR2RGB, dst=images[row])
            placements.append(placement)
        return _to_tensor(images), placements, samples


def _epoch_order(num_samples: int, length: int, seed: tuple[int, ...]) -> Int64[np.ndarray, " length"]:
    """A permutation of the samples, repeated from its start until it has the length asked for."""
    return np.resize(np.random.default_rng(seed).permutation(num_samples), length)


def _to_tensor(images_rgb: UInt8[np.ndarray, "b h w 3"]) -> UInt8[torch.Tensor, "b 3 h w"]:
    return torch.from_numpy(images_rgb).permute(0, 3, 1, 2)


def _with_batch_index(targets: Sequence[Float[np.ndarray, "_ 5"]]) -> Float[np.ndarray, "m 6"]:
    rows = np.repeat(np.arange(len(targets), dtype=np.float32), [len(rows) for rows in targets])
    return np.concatenate([rows[:, None], np.concatenate(targets)], axis=1)


def _in_background(
    function: Callable[[Job], Result], jobs: Iterable[Job], workers: int, prefetch: int
) -> Generator[Result]:
    """The results of `function` for each job, in order, computed by threads up to `prefetch` jobs ahead."""
    # Parallel by picture already: OpenCV's own threads would only contend with the network for cores.
    cv2.setNumThreads(1)
    waiting: deque[Future[Result]] = deque()
    pool = ThreadPoolExecutor(workers, thread_name_prefix="seyolo-loader")
    try:
        for job in jobs:
            waiting.append(pool.submit(function, job))
            if len(waiting) >= max(prefetch, workers):
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
