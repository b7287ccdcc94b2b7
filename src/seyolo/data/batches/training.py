"""Batches for training, prepared in the background by threads or processes.

Batches come in order and are the same for any number of them: the generator of each image is seeded by
(seed, epoch, position in the epoch), nothing else is random but the order, seeded by (seed, epoch).
"""

from __future__ import annotations

import math
import shutil
import signal
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from multiprocessing import get_all_start_methods
from pathlib import Path

import cv2
import numpy as np
import torch
from jaxtyping import Float, Int64, UInt8
from torch.utils.data import DataLoader
from torch.utils.data import Dataset as TorchDataset

from seyolo.data.batches.augment import Augmentation, compose, draw_layout
from seyolo.data.batches.background import in_background
from seyolo.data.batches.image_cache import ImageCache
from seyolo.data.datasets import Sample
from seyolo.errors import DataError

SHARED_MEMORY = Path("/dev/shm")
BATCHES_SHARED = 4
"""Two that wait, one that is made, and room for those of a larger size."""

TrainingBatch = tuple[UInt8[torch.Tensor, "b 3 s s"], Float[torch.Tensor, "m 6"]]


class TrainingLoader:
    """Augmented batches, epoch by epoch.

    Args:
        samples: images with their labels; images without objects are negatives.
        size_px: side of the square network input.
        batch_size: every batch is full: the last one of an epoch wraps around to the epoch's start.
        augmentation: the recipe, unless `epoch` is given another.
        seed: of the order and the augmentation.
        workers: number of threads.
        processes: so many of them draw the images instead, where the system can fork: beyond two or three
            threads wait for Python's lock more than they draw.
        prefetch: how many batches may be ready or in work, at least one per worker.
        cache_bytes: memory for decoded images; see `ImageCache`. They are kept at up to 1.5 times
            `size_px`, enough for the zoom.
        pin_memory: puts batches where a GPU fetches them while the CPU goes on.
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
        processes: int = 0,
        prefetch: int = 4,
        cache_bytes: int = 3 << 30,
        pin_memory: bool = False,
        shard: tuple[int, int] = (0, 1),
    ) -> None:
        if not samples:
            raise DataError("no images to train on; check the train split of the data set")
        self.size_px = size_px
        self.batch_size = batch_size
        self.augmentation = augmentation
        self.seed = seed
        number, num_shards = shard
        assert batch_size % num_shards == 0, (batch_size, num_shards)
        self._num_samples = len(samples)
        self._workers = workers
        self._processes = processes if "fork" in get_all_start_methods() else 0
        self._pool: _Pool | None = None
        self._prefetch = prefetch
        self._pin_memory = pin_memory
        cache = ImageCache(samples, long_side_px=size_px * 3 // 2, budget_bytes=cache_bytes)
        share = batch_size // num_shards
        self._maker = BatchMaker(cache, seed, first=number * share, share=share)

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
            DataError: an image cannot be decoded; names it.
        """
        recipe = self.augmentation if augmentation is None else augmentation
        size = self.size_px if size_px is None else size_px
        maker = self._maker
        order = _epoch_order(self._num_samples, len(self) * self.batch_size, (self.seed, epoch))
        jobs = [
            BatchJob(epoch, start, recipe, size, order[start + maker.first :][: maker.share])
            for start in range(0, len(order), self.batch_size)
        ]
        if self._processes and self._pool is None:
            self._processes = affordable(self._processes, maker.share * self.size_px**2 * 3)
        if not self._processes:
            make = maker.pinned_batch if self._pin_memory else maker.batch
            return in_background(make, jobs, self._workers, self._prefetch)
        if self._pool is None:
            maker.cache.fill()  # before they part, so that all processes share one cache
            self._pool = _Pool(maker, self._processes, self._pin_memory)
        return self._pool.batches(jobs)

    def close(self) -> None:
        """Ends the processes; another epoch would start new ones."""
        self._pool = None


@dataclass(frozen=True, eq=False)
class BatchMaker:
    """Makes the batches of a loader.

    It knows nothing of the loader: whoever drops that ends its processes at once. Found by the collector of
    cycles instead, they would miss the word to stop, and be waited for.

    Attributes:
        cache: the images.
        seed: of the augmentation.
        first, share: which images of every batch are made here.
    """

    cache: ImageCache
    seed: int
    first: int
    share: int

    def batch(self, job: BatchJob) -> TrainingBatch:
        """One batch of an epoch."""
        images = np.empty((self.share, job.size_px, job.size_px, 3), dtype=np.uint8)
        targets = [
            self._draw(images[row], index, job.recipe, (self.seed, job.epoch, job.start + self.first + row))
            for row, index in enumerate(job.indices.tolist())
        ]
        return to_planes(images), torch.from_numpy(_with_batch_index(targets))

    def pinned_batch(self, job: BatchJob) -> TrainingBatch:
        """One where a GPU fetches it by itself."""
        images, targets = self.batch(job)
        return images.pin_memory(), targets.pin_memory()

    def _draw(
        self, out: UInt8[np.ndarray, "s s 3"], index: int, recipe: Augmentation, seed: tuple[int, ...]
    ) -> Float[np.ndarray, "m 5"]:
        """Writes one augmented RGB image into `out` and returns its targets."""
        generator = np.random.default_rng(seed)
        layout = draw_layout(recipe, out.shape[0], generator)
        others = generator.integers(len(self.cache.samples), size=len(layout.tiles) - 1)
        images = [self.cache.fetch(i) for i in (index, *others.tolist())]
        image, targets = compose(images, layout, recipe, generator)
        cv2.cvtColor(image, cv2.COLOR_BGR2RGB, dst=out)
        return targets


def affordable(processes: int, batch_bytes: int) -> int:
    """As many of the processes as there is shared memory for their batches; warns where those are fewer."""
    if not SHARED_MEMORY.is_dir():
        return processes
    most = shutil.disk_usage(SHARED_MEMORY).free // (BATCHES_SHARED * batch_bytes)
    if most < processes:
        warnings.warn(
            f"{SHARED_MEMORY} has room for the batches of {most} processes that draw images, not of "
            f"{processes}; give it more (docker run --shm-size 2g)",
            stacklevel=3,
        )
    return min(processes, most)


@dataclass(frozen=True, eq=False)
class BatchJob:
    """What makes a batch: its epoch, where it starts there, and the samples of this process's part of it."""

    epoch: int
    start: int
    recipe: Augmentation
    size_px: int
    indices: Int64[np.ndarray, " share"]


class _Pool:
    """Processes that make the batches of a loader; they stay from epoch to epoch."""

    def __init__(self, maker: BatchMaker, processes: int, pin_memory: bool) -> None:
        self._jobs: list[BatchJob] = []
        self._batches: DataLoader[TrainingBatch | DataError] = DataLoader(
            _Made(maker),
            batch_size=None,
            sampler=self._jobs,
            num_workers=processes,
            pin_memory=pin_memory,
            worker_init_fn=_settle,
            multiprocessing_context="fork",
            persistent_workers=True,
        )

    def batches(self, jobs: Sequence[BatchJob]) -> Iterator[TrainingBatch]:
        """Those of these jobs, in order."""
        self._jobs[:] = jobs
        for batch in self._batches:
            if isinstance(batch, DataError):
                # An error that the frame it came from holds would keep the processes, too.
                errors = [batch]
                del batch
                raise errors.pop()
            images, targets = batch
            yield images, targets


class _Made(TorchDataset["TrainingBatch | DataError"]):
    """The batches of a loader by their jobs, as PyTorch's loader asks for them.

    An error is handed over as a value: raised there, its message would become a traceback.
    """

    def __init__(self, maker: BatchMaker) -> None:
        self._maker = maker

    def __getitem__(self, job: BatchJob) -> TrainingBatch | DataError:
        try:
            return self._maker.batch(job)
        except DataError as error:
            return error


def _settle(worker: int) -> None:
    """What a forked process has to leave to its parent: OpenCV's threads, and ending in order."""
    del worker
    cv2.setNumThreads(0)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)


def _epoch_order(num_samples: int, length: int, seed: tuple[int, ...]) -> Int64[np.ndarray, " length"]:
    """A permutation of the samples, repeated from its start until it has the length asked for."""
    return np.resize(np.random.default_rng(seed).permutation(num_samples), length)


def to_planes(images_rgb: UInt8[np.ndarray, "b h w 3"]) -> UInt8[torch.Tensor, "b 3 h w"]:
    """The same memory as networks index it: channels-last."""
    return torch.from_numpy(images_rgb).permute(0, 3, 1, 2)


def _with_batch_index(targets: Sequence[Float[np.ndarray, "_ 5"]]) -> Float[np.ndarray, "m 6"]:
    rows = np.repeat(np.arange(len(targets), dtype=np.float32), [len(rows) for rows in targets])
    return np.concatenate([rows[:, None], np.concatenate(targets)], axis=1)
