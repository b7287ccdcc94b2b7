"""Configuration of one training run, and the augmentation, input size and learning rate of each step."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any, Self

import torch

from seyolo.darknet.sections import Net
from seyolo.data.batches.training import TrainingLoader, Workers
from seyolo.data.samples import Sample
from seyolo.letterbox import Fit
from seyolo.options.parameters import memory_bytes
from seyolo.options.training import USUAL_LR, Augmentation, TrainingOptions
from seyolo.sizes import USUAL_SIZE, InputSize, scaled_size, size_hw
from seyolo.training.optimizer import learning_rate_factor

MOST_GPU_WORKERS = 8
USUAL_STRIDE = 32


@dataclass(frozen=True)
class TrainConfig(TrainingOptions):
    """Configuration of one training run, which may be a stage of a longer one."""

    batch: int = 16
    lr: float = USUAL_LR
    device: str = "cpu"
    epochs: int = 100
    size: InputSize = USUAL_SIZE
    scales_rate: float = 1.0  # learning rate of batch-normalisation scales by that of kernels
    span: tuple[float, float] = (0.0, 1.0)  # part of the whole schedule that this run covers
    snapshot_epoch: int | None = None  # after it the averaged model is kept, see `snapshot`
    start_counts: bool = False  # as a candidate for the best, except with sparsity

    def __post_init__(self) -> None:
        """Checks nothing: the options of the verb were checked, and a stage adds its number to the seed."""

    @classmethod
    def of(cls, options: TrainingOptions, **settings: Any) -> Self:
        """Returns the configuration with the options of training of a verb, and more settings or others.

        Where batch and device were not chosen for the data, they are the usual ones. Augmentation that is
        switched off is left out of the recipe.
        """
        common = {field.name: getattr(options, field.name) for field in fields(TrainingOptions)}
        chosen = {name: value for name, value in common.items() if value != "auto"}
        return cls(**chosen | {"augmentation": options.recipe()} | settings)

    def epoch_augmentation(self, epoch: int) -> Augmentation:
        """Returns the augmentation of an epoch, counted from 0."""
        return self.augmentation.plain() if self._is_plain(epoch) else self.augmentation

    @property
    def size_hw(self) -> tuple[int, int]:
        """Height and width of the input in pixels."""
        return size_hw(self.size)

    def epoch_size(self, epoch: int, stride: int = USUAL_STRIDE) -> tuple[int, int]:
        """Returns the input (height, width) of an epoch, with `multi_scale` 75 % to 125 % of `size`.

        `stride` is the largest of the network, in pixels.
        """
        if not self.multi_scale or self._is_plain(epoch):
            return self.size_hw
        generator = torch.Generator().manual_seed(self.seed * 100_003 + epoch)
        step, longest = max(stride, USUAL_STRIDE), max(self.size_hw)
        low, high = round(longest * 0.75 / step), round(longest * 1.25 / step)
        drawn = int(torch.randint(low, high + 1, (), generator=generator))
        return scaled_size(self.size_hw, max(1, drawn) * step, step)

    def _is_plain(self, epoch: int) -> bool:
        start, end = self.span
        return epoch >= self.epochs * (1 - self.plain_share - start) / (end - start)

    def rate_at(self, step: int, steps_per_epoch: int) -> float:
        """Returns the learning rate of kernels at a step of the run, counted from 0."""
        num_steps = self.epochs * steps_per_epoch
        warmup = min(int(self.warmup_epochs * steps_per_epoch), num_steps // 4)
        return self.lr * learning_rate_factor(step, num_steps, max(1, warmup), self.span)

    def make_loader(
        self, samples: Sequence[Sample], net: Net | None = None, shard: tuple[int, int] = (0, 1)
    ) -> TrainingLoader:
        """Returns the batches of a run over these images for a network; `shard` as in `TrainingLoader`."""
        workers = self._workers(shard[1])
        fit = Fit(self.size_hw) if net is None else Fit.of(net, self.size_hw)
        return TrainingLoader(
            samples, fit, self.batch, self.augmentation, self.seed, workers=workers, shard=shard
        )

    @property
    def cache_bytes(self) -> int:
        """Memory for decoded images."""
        return memory_bytes("--cache", self.cache)

    def _workers(self, num_trainers: int) -> Workers:
        """Returns the workers of each of the processes that train: threads, or beside a GPU processes."""
        if torch.device(self.device).type != "cuda":
            return Workers(self.loader_workers or 1, cache_bytes=self.cache_bytes)
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
        default = max(1, min(MOST_GPU_WORKERS, cores // num_trainers - 1))
        processes = default if self.loader_workers is None else self.loader_workers
        return Workers(self.loader_workers or 1, processes, True, self.cache_bytes)
