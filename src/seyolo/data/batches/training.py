"""Batches for training, made in the background by threads or processes.

Batches are the same for any number of threads and processes: the generator of an image is seeded by (seed,
epoch, position in the epoch), and the order of the images by (seed, epoch).
"""

from __future__ import annotations

import math
import shutil
import signal
import threading
import warnings
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_all_start_methods
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
import torch
from jaxtyping import Float, Float32, Int64, UInt8
from torch.utils.data import DataLoader
from torch.utils.data import Dataset as TorchDataset

from seyolo.data.batches.augment import (
    IGNORED,
    Image,
    Layout,
    Undecoded,
    compose,
    compose_targets,
    draw_layout,
    pyramid,
)
from seyolo.data.samples import Sample
from seyolo.errors import DataError, TrainingError
from seyolo.letterbox import Fit, resize
from seyolo.media.ahead import in_background
from seyolo.options.training import Augmentation

PREFETCH = 4  # number of batches that may be ready or in work, at least one per thread
CACHE_BYTES = 3 << 30  # memory for decoded images, see `ImageCache`
SHARED_MEMORY = Path("/dev/shm")
BATCHES_SHARED = 4  # per process: two ready, one in work, and space for a larger size

TrainingBatch = tuple[UInt8[torch.Tensor, "b c h w"], Float[torch.Tensor, "m 6"]]


class ImageCache:
    """Decoded source images by their index in `samples`, in memory; safe to share between threads.

    An image that is cut into tiles is decoded once for all of them, as long as there is memory. Images are
    stored as the pyramids that `augment` samples from. Nothing is evicted: every epoch visits every image, so
    eviction would only replace one miss by another.

    Args:
        long_side_px: larger images are stored and returned at this size.
        keeps_aspect: otherwise each side of a larger image is cut down by itself, for inputs that stretch.
        budget_bytes: memory limit; images beyond it are decoded at every use.
    """

    def __init__(
        self, samples: Sequence[Sample], long_side_px: int, budget_bytes: int, *, keeps_aspect: bool = True
    ) -> None:
        self.samples = samples
        self._long_side_px, self._keeps_aspect = long_side_px, keeps_aspect
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
        if sample.tile is None or self._is_full:
            return self._keep(index, sample.read())
        whole = sample.read_whole()
        for other in self._tiles_beside(index):
            if not self._is_full:
                self._keep(other, self.samples[other].part_of(whole))
        return self._images.get(index) or self._keep(index, sample.part_of(whole))

    def _tiles_beside(self, index: int) -> Iterator[int]:
        """Yields the tiles of the image of a tile, which follow each other, and not yet cached."""
        image, first = self.samples[index].image, index
        while first > 0 and self.samples[first - 1].image == image:
            first -= 1
        for other in range(first, len(self.samples)):
            if self.samples[other].image != image:
                return
            if other not in self._images:
                yield other

    def _keep(self, index: int, pixels: UInt8[np.ndarray, "h w 3"]) -> Image:
        """Returns pixels as a pyramid with the labels of a sample, and caches it while there is memory."""
        sample = self.samples[index]
        if (size := self._stored_size(pixels.shape[0], pixels.shape[1])) != pixels.shape[:2]:
            pixels = resize(pixels, size)
        image = Image(pyramid(pixels), sample.boxes_cxcywh, sample.class_ids, sample.ignored)
        num_bytes = sum(level.nbytes for level in image.levels)
        with self._lock:
            if num_bytes > self._left_bytes:
                self._is_full = True
            elif index not in self._images:
                self._images[index] = image
                self._left_bytes -= num_bytes
        return image

    def _stored_size(self, height: int, width: int) -> tuple[int, int]:
        if not self._keeps_aspect:
            return min(height, self._long_side_px), min(width, self._long_side_px)
        scale = self._long_side_px / max(height, width)
        return (
            (height, width) if scale >= 1 else (max(1, round(height * scale)), max(1, round(width * scale)))
        )

    def undecoded(self, index: int) -> Undecoded:
        """Returns the size of an image that `fetch` returns, and its labels; reads only its header."""
        sample = self.samples[index]
        size = self._stored_size(*sample.size())
        return Undecoded(size, sample.boxes_cxcywh, sample.class_ids, sample.ignored)

    def fill(self) -> None:
        """Decodes images until the budget is used up or all are cached."""
        with ThreadPoolExecutor() as pool:
            list(pool.map(lambda index: self._is_full or self.fetch(index), range(len(self.samples))))


@dataclass(frozen=True)
class Workers:
    """Workers that make batches; beyond two or three, threads mostly wait for Python's lock."""

    threads: int = 1
    processes: int = 0  # worker processes, which replace the threads when > 0 and the system can fork
    pin_memory: bool = False  # puts batches where a GPU copies them while the CPU continues
    cache_bytes: int | None = None  # memory for decoded images, `CACHE_BYTES` by default


class TrainingLoader:
    """Augmented batches, epoch by epoch; raises DataError without samples.

    Args:
        fit: size, channels and padding of the network input, and whether images are stretched to it. Decoded
            images are cached at up to 1.5 times its longer side, enough for the zoom.
        batch_size: every batch is full: the last one of an epoch continues with the epoch's first images.
        shard: (number, count): part of every batch that is made here. The processes of a training make one
            part each; together the parts are the batches of a single process.
    """

    def __init__(
        self,
        samples: Sequence[Sample],
        fit: Fit,
        batch_size: int,
        augmentation: Augmentation,
        seed: int,
        *,
        workers: Workers | None = None,
        shard: tuple[int, int] = (0, 1),
    ) -> None:
        if not samples:
            raise DataError("no images to train on; check the train split of the data set")
        self.size_hw, self.batch_size = fit.size, batch_size
        self.augmentation, self.seed = augmentation, seed
        number, num_shards = shard
        assert batch_size % num_shards == 0, (batch_size, num_shards)
        self._num_samples = len(samples)
        self._workers = workers or Workers()
        self._processes = self._workers.processes if "fork" in get_all_start_methods() else 0
        self._pool: _Pool | None = None
        budget = self._workers.cache_bytes
        budget = CACHE_BYTES if budget is None else budget
        keeps_aspect = fit.mode == "letterbox"
        cache = ImageCache(samples, max(fit.size) * 3 // 2, budget, keeps_aspect=keeps_aspect)
        share = batch_size // num_shards
        self._maker = BatchMaker(cache, seed, first=number * share, share=share, fit=fit)

    def __len__(self) -> int:
        """Returns the number of batches per epoch."""
        return math.ceil(self._num_samples / self.batch_size)

    def epoch(
        self,
        epoch: int,
        augmentation: Augmentation | None = None,
        size_hw: tuple[int, int] | None = None,
        *,
        first: int = 0,
    ) -> Iterator[TrainingBatch]:
        """Yields the batches of an epoch from the `first` on; the same number gives the same batches.

        A batch is images as RGB or grey bytes in channels-last memory, and targets as rows of batch index,
        class id, centre x, centre y, width, height in input pixels; rows of ignored regions come last and
        have the class IGNORED. Raises DataError for a damaged image.
        """
        recipe, size_hw = augmentation or self.augmentation, size_hw or self.size_hw
        maker, pin_memory = self._maker, self._workers.pin_memory
        jobs = self._jobs(epoch, recipe, size_hw)[first:]
        if self._processes and self._pool is None:
            self._processes = affordable(
                self._processes, maker.share * math.prod(self.size_hw) * maker.fit.channels
            )
        if not self._processes:
            make = maker.pinned_batch if pin_memory else maker.batch
            return in_background(make, jobs, self._workers.threads, PREFETCH)
        if self._pool is None:
            maker.cache.fill()  # before the fork, so that all processes share one cache
            self._pool = _Pool(maker, self._processes, pin_memory)
        return self._pool.batches(jobs)

    def targets(self, num_batches: int) -> Iterator[Float[np.ndarray, "m 6"]]:
        """Yields the targets of the first batches that `epoch(0)` yields, without decoding an image."""
        for job in self._jobs(0, self.augmentation, self.size_hw)[:num_batches]:
            yield self._maker.targets(job)

    def _jobs(self, epoch: int, recipe: Augmentation, size_hw: tuple[int, int]) -> list[BatchJob]:
        order = np.random.default_rng((self.seed, epoch)).permutation(self._num_samples)
        order = np.resize(order, len(self) * self.batch_size)  # repeats the order from its start
        first, share = self._maker.first, self._maker.share
        return [
            BatchJob(epoch, start, recipe, size_hw, order[start + first :][:share])
            for start in range(0, len(order), self.batch_size)
        ]

    def close(self) -> None:
        """Ends the processes; a further epoch starts new ones."""
        self._pool = None


@dataclass(frozen=True, eq=False)
class BatchMaker(TorchDataset["TrainingBatch | DataError"]):
    """Makes the batches of a loader; a PyTorch data set whose indices are jobs.

    Holds no reference to the loader: a cycle would delay shutdown of the workers until garbage collection.
    """

    cache: ImageCache  # source images
    seed: int  # of the augmentation
    first: int  # position in each batch of the first image that is made here
    share: int  # number of images of each batch that are made here
    fit: Fit  # channels and padding of the network input, and whether images are stretched to it

    def batch(self, job: BatchJob) -> TrainingBatch:
        images = np.empty((self.share, *job.size_hw, self.fit.channels), dtype=np.uint8)
        targets = [self._paint(out, job, draw) for out, draw in zip(images, self._draws(job), strict=True)]
        return to_planes(images), torch.from_numpy(_rows(targets))

    def targets(self, job: BatchJob) -> Float[np.ndarray, "m 6"]:
        """Returns the targets of `batch`, without decoding an image."""
        fetch = self.cache.undecoded
        return _rows(
            [
                compose_targets([fetch(i) for i in draw.indices], draw.layout, job.recipe, draw.generator)
                for draw in self._draws(job)
            ]
        )

    def _draws(self, job: BatchJob) -> Iterator[_Draw]:
        """Draws the layout of each image of a batch and its source images."""
        for row, index in enumerate(job.indices.tolist()):
            generator = np.random.default_rng((self.seed, job.epoch, job.start + self.first + row))
            is_stretched = self.fit.mode == "stretch"
            layout = draw_layout(job.recipe, job.size_hw, generator, is_stretched=is_stretched)
            others = generator.integers(len(self.cache.samples), size=len(layout.tiles) - 1)
            yield _Draw(generator, layout, [index, *others.tolist()])

    def __getitem__(self, job: BatchJob) -> TrainingBatch | DataError:
        # An error is returned as a value: raised in a process, its message would become a traceback.
        try:
            return self.batch(job)
        except DataError as error:
            return error

    def pinned_batch(self, job: BatchJob) -> TrainingBatch:
        """Makes a batch in pinned memory, which a GPU copies by itself."""
        images, targets = self.batch(job)
        return images.pin_memory(), targets.pin_memory()

    def _paint(self, out: UInt8[np.ndarray, "h w c"], job: BatchJob, draw: _Draw) -> Float[np.ndarray, "m 5"]:
        """Writes an augmented RGB or grey image into `out` and returns its targets."""
        images = [self.cache.fetch(index) for index in draw.indices]
        pad_value = round(self.fit.pad_value)
        image, targets = compose(images, draw.layout, job.recipe, draw.generator, pad_value)
        cv2.cvtColor(image, cv2.COLOR_BGR2RGB if out.shape[2] == 3 else cv2.COLOR_BGR2GRAY, dst=out)
        return targets


class _Draw(NamedTuple):
    """An augmented image as far as it is drawn: tiles and source images; the generator draws the rest."""

    generator: np.random.Generator
    layout: Layout
    indices: list[int]


def _rows(targets: Sequence[Float[np.ndarray, "m 5"]]) -> Float[np.ndarray, "m 6"]:
    """Returns the targets of a batch, each with the number of its image; ignored regions come last."""
    numbers = np.repeat(np.arange(len(targets), dtype=np.float32), [len(rows) for rows in targets])
    rows = np.concatenate([numbers[:, None], np.concatenate(targets)], axis=1)
    if (is_ignored := rows[:, 1] == IGNORED).any():
        rows = np.concatenate([rows[~is_ignored], rows[is_ignored]])
    return rows


def affordable(processes: int, batch_bytes: int) -> int:
    """Returns how many of the processes have enough shared memory for their batches; warns if not all."""
    if not SHARED_MEMORY.is_dir():
        return processes
    most = shutil.disk_usage(SHARED_MEMORY).free // (BATCHES_SHARED * batch_bytes)
    if most < processes:
        room = f"{SHARED_MEMORY} has room for the batches of {most} worker processes, not of {processes}"
        warnings.warn(f"{room}; give it more (docker run --shm-size 2g)", stacklevel=3)
    return min(processes, most)


@dataclass(frozen=True, eq=False)
class BatchJob:
    epoch: int
    start: int  # position in the epoch
    recipe: Augmentation
    size_hw: tuple[int, int]
    indices: Int64[np.ndarray, " share"]  # samples of this shard


class _Pool:
    """Processes that make the batches of a loader; they live from epoch to epoch."""

    def __init__(self, maker: BatchMaker, processes: int, pin_memory: bool) -> None:
        self._jobs: list[BatchJob] = []
        self._batches: DataLoader[TrainingBatch | DataError] = DataLoader(
            maker,
            batch_size=None,
            sampler=self._jobs,
            num_workers=processes,
            pin_memory=pin_memory,
            worker_init_fn=_set_up_process,
            multiprocessing_context="fork",
            persistent_workers=True,
        )

    def batches(self, jobs: Sequence[BatchJob]) -> Iterator[TrainingBatch]:
        """Yields the batches of these jobs in order."""
        self._jobs[:] = jobs
        for batch in self._whole():
            if isinstance(batch, DataError):
                # An error that its own frame holds would keep the processes alive.
                errors = [batch]
                del batch
                raise errors.pop()
            images, targets = batch
            yield images, targets

    def _whole(self) -> Iterator[TrainingBatch | DataError]:
        """Yields the batches; raises TrainingError where a process has died."""
        before = signal.getsignal(signal.SIGCHLD)
        try:
            batches = iter(self._batches)
            if threading.current_thread() is threading.main_thread():
                # PyTorch's handler would raise wherever the training is, not where it waits for a batch.
                signal.signal(signal.SIGCHLD, before or signal.SIG_DFL)
            yield from batches
        except (RuntimeError, EOFError, OSError) as error:
            if isinstance(error, RuntimeError) and "DataLoader worker" not in str(error):
                raise
            advice = (
                "memory may have run out: go on with --resume and the run's folder, or take a smaller batch"
            )
            raise TrainingError(f"a process that makes batches has died ({error!r}); {advice}") from error


def _set_up_process(_: int) -> None:
    """Switches off OpenCV's threads and the parent's signal handler in a forked process."""
    cv2.setNumThreads(0)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)


def to_planes(
    images: UInt8[np.ndarray, "b h w c"] | Float32[np.ndarray, "b h w c"],
) -> UInt8[torch.Tensor, "b c h w"] | Float32[torch.Tensor, "b c h w"]:
    """Returns the same memory as a channels-last tensor."""
    return torch.from_numpy(images).permute(0, 3, 1, 2)
