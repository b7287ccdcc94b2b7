"""How to train: the settings of one run, and what follows from them for an epoch or a step."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field

import torch

from seyolo.data.batches.augment import Augmentation
from seyolo.data.batches.training import TrainingLoader, Workers
from seyolo.data.datasets import Sample
from seyolo.training.loss import LossWeights
from seyolo.training.optimizer import learning_rate_factor

MOST_GPU_WORKERS = 8


@dataclass(frozen=True)
class TrainConfig:
    """How to train.

    `size_px` is the side of the square input. `scales_rate` is the learning rate of batch-normalisation
    scales as a multiple of that of kernels. The last `plain_share` of the run sees single images instead
    of mosaics. `span` is the part of a longer run that this one is: from which share of the schedule to
    which. The averaged model is kept after `snapshot_epoch`, see `snapshot`. `mixed_precision` uses bfloat16
    autocast where the device gains from it. `batch_size` counts the images of a step in all processes
    together; `sync_bn` normalises them by common statistics instead of each process by its own. Images
    are drawn by `loader_workers` threads, or beside a GPU by as many processes, by default on up to eight
    cores.
    """

    epochs: int = 100
    batch_size: int = 16
    size_px: int = 416
    learning_rate: float = 1.5e-3
    scales_rate: float = 1.0
    weight_decay: float = 0.02
    warmup_epochs: float = 1.0
    plain_share: float = 0.15
    span: tuple[float, float] = (0.0, 1.0)
    snapshot_epoch: int | None = None
    average_decay: float = 0.999
    average_ramp_updates: float = 300.0
    top_k: int = 10
    gradient_clip: float = 10.0
    loss: LossWeights = field(default_factory=LossWeights)
    augmentation: Augmentation = field(default_factory=Augmentation)
    multi_scale: bool = False
    evaluations: int = 8
    seed: int = 0
    device: str = "cpu"
    mixed_precision: bool = True
    loader_workers: int | None = None
    sync_bn: bool = False

    def epoch_augmentation(self, epoch: int) -> Augmentation:
        """The recipe of an epoch (from 0)."""
        return self.augmentation.plain() if self._is_plain(epoch) else self.augmentation

    def epoch_size_px(self, epoch: int) -> int:
        """With multi-scale, each epoch draws its side from 75 % to 125 % in steps of the largest stride."""
        if not self.multi_scale or self._is_plain(epoch):
            return self.size_px
        generator = torch.Generator().manual_seed(self.seed * 100_003 + epoch)
        low, high = round(self.size_px * 0.75 / 32), round(self.size_px * 1.25 / 32)
        return 32 * int(torch.randint(low, high + 1, (), generator=generator))

    def _is_plain(self, epoch: int) -> bool:
        start, end = self.span
        return epoch >= self.epochs * (1 - self.plain_share - start) / (end - start)

    def rate_at(self, step: int, steps_per_epoch: int) -> float:
        """The learning rate of kernels at a step of the run, counted from 0."""
        num_steps = self.epochs * steps_per_epoch
        warmup = min(int(self.warmup_epochs * steps_per_epoch), num_steps // 4)
        return self.learning_rate * learning_rate_factor(step, num_steps, max(1, warmup), self.span)

    def make_loader(self, samples: Sequence[Sample], shard: tuple[int, int] = (0, 1)) -> TrainingLoader:
        """The batches of a run over these images; `shard` as in `TrainingLoader`."""
        return TrainingLoader(
            samples,
            self.size_px,
            self.batch_size,
            self.augmentation,
            self.seed,
            workers=self._workers(shard[1]),
            shard=shard,
        )

    def is_on_gpu(self) -> bool:
        """Whether the network is trained on a GPU."""
        return torch.device(self.device).type == "cuda"

    def _workers(self, num_trainers: int) -> Workers:
        """Returns the workers of each of the processes that train: threads, or beside a GPU processes."""
        if not self.is_on_gpu():
            return Workers(self.loader_workers or 1)
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
        default = max(1, min(MOST_GPU_WORKERS, cores // num_trainers - 1))
        processes = default if self.loader_workers is None else self.loader_workers
        return Workers(self.loader_workers or 1, processes, pin_memory=True)
