"""The training loop: one run from a model and a data set to the best checkpoint, resumable at every epoch.

A run's folder holds `config.json`, `environment.json`, `results.csv`, `state.safetensors` (to resume), and
two models with averaged weights: `best.safetensors` (by AP on the validation splits) and `last.safetensors`.
`curves.json` are the curves of the best one on these splits, `scales.csv` how sparsity training spreads |γ|.
"""

from __future__ import annotations

import copy
import csv
import io
import math
import statistics
import tempfile
import time
from collections.abc import Sequence
from contextlib import closing
from dataclasses import asdict, dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float32
from torch import Tensor

from seyolo.data.augment import Augmentation
from seyolo.data.datasets import Dataset, Sample
from seyolo.data.loader import TrainingBatch, TrainingLoader
from seyolo.errors import DataError, TrainingError
from seyolo.evaluation.ap import average_precision
from seyolo.evaluation.curves import detection_curves
from seyolo.evaluation.evaluate import judged
from seyolo.files import write_json, write_text
from seyolo.model_file import read_model_file, write_model_file
from seyolo.network.build import DarknetModel, from_file, to_file
from seyolo.progress import Progress, Silent
from seyolo.training.checkpoint import (
    RunState,
    optimizer_tensors,
    read_run_state,
    restore_optimizer,
    write_run_state,
)
from seyolo.training.distill import Distillation, DistillationModule
from seyolo.training.ema import MovingAverage
from seyolo.training.environment import describe_environment
from seyolo.training.loss import DetectionLoss, LossModule, LossWeights
from seyolo.training.optimizer import learning_rate_factor, make_optimizer
from seyolo.training.sparsity import Sparsity, sparse_scales
from seyolo.training.trackers import OpenTracker, Tracker, Untracked, chosen_tracker

STATE_FILE = "state.safetensors"
CURVES_FILE, SCALES_FILE = "curves.json", "scales.csv"
PERCENTILES = range(0, 101, 5)


@dataclass(frozen=True)
class TrainConfig:
    """How to train.

    `size_px` is the side of the square input. `scales_rate` is the learning rate of batch-normalisation
    scales as a multiple of that of kernels. The last `plain_share` of the run sees single pictures instead
    of mosaics. `span` is the part of a longer run that this one is: from which share of the schedule to
    which. The averaged model is kept after `snapshot_epoch`, see `snapshot`. `mixed_precision` uses bfloat16
    autocast where the device gains from it.
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
    loader_workers: int = 1

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

    def make_loader(self, samples: Sequence[Sample]) -> TrainingLoader:
        """The batches of a run over these pictures."""
        return TrainingLoader(
            samples,
            self.size_px,
            self.batch_size,
            self.augmentation,
            self.seed,
            workers=self.loader_workers,
        )


@dataclass(frozen=True)
class TrainResult:
    """The best averaged model, its validation score and one row per epoch."""

    model: DarknetModel
    best_ap: float
    best_epoch: int
    history: list[dict[str, Any]]


def validation_splits(dataset: Dataset) -> list[str]:
    """The splits that checkpoints are chosen on: `val` and any other whose name starts with it."""
    return sorted(name for name in dataset.splits if name.startswith("val"))


def train(
    model: DarknetModel,
    dataset: Dataset,
    config: TrainConfig,
    folder: str | Path,
    *,
    sparsity: Sparsity | None = None,
    distillation: Distillation | None = None,
    resume: bool = False,
    progress: Progress | None = None,
    tracker: OpenTracker | None = None,
    title: str = "train",
) -> TrainResult:
    """Trains `model` on the data set's `train` split.

    Args:
        model: starting point; it is trained in place, the result is its average.
        dataset: needs `train` and at least one validation split.
        config: how.
        folder: the run's folder; its checkpoints are written here after every epoch.
        sparsity: a method that pushes channels to zero.
        distillation: a teacher to learn from besides the labels; a resumed run needs the same one.
        resume: continue the run in `folder` exactly where its last finished epoch left it.
        progress: where to tell how far it is.
        tracker: opens what is told the figures of every epoch.
        title: the run's name in progress lines.

    Raises:
        TrainingError: the loss stops being finite, the teacher does not fit, or there is nothing to resume.
    """
    run = _Run(
        model,
        dataset,
        config,
        Path(folder),
        sparsity=sparsity,
        distillation=distillation,
        progress=progress,
        title=title,
    )
    if resume:
        run.restore()
    else:
        run.begin()
    with closing(chosen_tracker(tracker)(Path(folder), run.epoch)) as run.tracker:
        for epoch in range(run.epoch, config.epochs):
            run.train_epoch(epoch)
    return run.result()


def first_batch(dataset: Dataset, config: TrainConfig) -> TrainingBatch:
    """The pictures and targets of the first step, as a run with these settings draws them.

    Raises:
        DataError: there are no pictures, or one cannot be decoded.
    """
    loader = config.make_loader(dataset.split("train"))
    return next(loader.epoch(0, config.epoch_augmentation(0), config.epoch_size_px(0)))


def can_resume(folder: Path) -> bool:
    """Whether a run's folder holds a finished epoch to go on from.

    Raises:
        TrainingError: epochs were finished, but the state to go on from is gone.
    """
    if (folder / STATE_FILE).exists():
        return True
    if (folder / "results.csv").exists():
        raise TrainingError(f"{folder}: {STATE_FILE} is gone, so this run cannot go on; start a new one")
    return False


def snapshot(folder: Path, epoch: int) -> Path:
    """Where a run keeps the averaged model of its `snapshot_epoch`, counted from 1."""
    return folder / f"epoch-{epoch}.safetensors"


class _Run:
    """The moving parts of one run; `train` reads top to bottom what happens with them."""

    def __init__(
        self,
        model: DarknetModel,
        dataset: Dataset,
        config: TrainConfig,
        folder: Path,
        *,
        sparsity: Sparsity | None = None,
        distillation: Distillation | None = None,
        progress: Progress | None = None,
        title: str = "",
    ) -> None:
        self.config, self.folder, self.sparsity = config, folder, sparsity
        self.distillation = distillation
        self.progress, self.title = progress or Silent(), title
        self.device = torch.device(config.device)
        self.model = model.to(self.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        loss = DetectionLoss(model.heads, config.loss, config.top_k)
        self.step_module = LossModule(self.model, loss)
        self.part_names = ["box", "objectness", "classes"]
        if distillation is not None:
            self.step_module = DistillationModule(self.model, loss, distillation)
            self.part_names.append("distillation")
        self.optimizer = make_optimizer(self.model, config.learning_rate, config.weight_decay, self.device)
        self.average = MovingAverage(self.model, config.average_decay, config.average_ramp_updates)
        train_samples = dataset.split("train")
        self.loader = config.make_loader(train_samples)
        self.validation = {name: dataset.split(name) for name in validation_splits(dataset)}
        if not self.validation:
            raise DataError(f"{dataset.source}: training needs a `val` split to choose its checkpoint on")
        for name, samples in {"train": train_samples, **self.validation}.items():
            if not any(len(sample.class_ids) for sample in samples):
                raise DataError(
                    f"{dataset.source}: the {name} split has no labelled object; check its label files"
                )
        self.epoch, self.best_ap, self.best_epoch = 0, -1.0, -1
        self.history: list[dict[str, Any]] = []
        self.scales: list[dict[str, float]] = []
        self.curves: dict[str, Any] = {}
        self.tracker: Tracker = Untracked()
        self.num_steps = config.epochs * len(self.loader)

    def begin(self) -> None:
        """Prepares the folder of a new run."""
        self.folder.mkdir(parents=True, exist_ok=True)
        values = asdict(self.config)
        if self.distillation is not None:
            values["distillation"] = {
                "teacher": self.distillation.source,
                "weight": self.distillation.weight,
            }
        write_json(self.folder / "config.json", values)
        write_json(self.folder / "environment.json", describe_environment())
        self._look_at_scales()

    def train_epoch(self, epoch: int) -> None:
        """One pass over the data, evaluation when due, and everything written to the folder."""
        start = time.monotonic()
        parts, num_pictures = self._run_steps(epoch)
        seconds = time.monotonic() - start
        row: dict[str, Any] = {
            "epoch": epoch + 1,
            "seconds": round(seconds, 2),
            "pictures_per_s": round(num_pictures / seconds, 2),
            "learning_rate": self.optimizer.param_groups[0]["lr"],
            **dict(zip(self.part_names, parts, strict=True)),
        }
        if self.sparsity is not None and epoch + 1 == self.config.epochs:
            self.sparsity.finish(self.average.model)
        if self._evaluation_due(epoch):
            row |= self._evaluate()
        self.history.append(row)
        self.epoch = epoch + 1
        self.tracker.figures(self.epoch, row)
        self._look_at_scales()
        self._keep(row)
        self.progress.message(f"{self.title} {_describe(row, self.config.epochs)}")

    def _run_steps(self, epoch: int) -> tuple[list[float], int]:
        self.model.train()
        total = torch.zeros(len(self.part_names), device=self.device)
        num_pictures = 0
        batches = self.loader.epoch(
            epoch, self.config.epoch_augmentation(epoch), self.config.epoch_size_px(epoch)
        )
        with self.progress.task(
            f"{self.title} epoch {epoch + 1}/{self.config.epochs}", len(self.loader)
        ) as advance:
            for index, (images, targets) in enumerate(batches):
                total += self.take_step(epoch * len(self.loader) + index, images, targets)
                num_pictures += len(images)
                advance(1, "")
        mean = (total / len(self.loader)).tolist()
        if not all(math.isfinite(value) for value in mean):
            raise TrainingError(
                f"the loss is not finite in epoch {epoch + 1}; lower the learning rate "
                f"({self.config.learning_rate:g}) and resume or start again"
            )
        return mean, num_pictures

    def take_step(self, step: int, images: Tensor, targets: Tensor) -> Tensor:
        rate = self.config.rate_at(step, len(self.loader))
        scales_rate = rate * self.config.scales_rate
        for group in self.optimizer.param_groups:
            group["lr"] = scales_rate if group["name"] == "scales" else rate
        images = images.to(self.device, non_blocking=True).float().div_(255)
        images = images.contiguous(memory_format=torch.channels_last)
        targets = targets.to(self.device, non_blocking=True)
        enabled = self.config.mixed_precision
        with torch.autocast(self.device.type, torch.bfloat16, enabled=enabled):
            outcome: tuple[Tensor, Tensor] = self.step_module(images, targets)
        loss, parts = outcome
        self.optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]  # torch gives it no types
        if self.sparsity is not None:
            self.sparsity.before_step(self.model, step / self.num_steps)
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), self.config.gradient_clip)
        self.optimizer.step()
        if self.sparsity is not None:
            self.sparsity.after_step(self.model, scales_rate, step / self.num_steps)
        self.average.update(self.model)
        return parts

    def _evaluation_due(self, epoch: int) -> bool:
        interval = max(1, self.config.epochs // max(1, self.config.evaluations))
        return (epoch + 1) % interval == 0 or epoch + 1 == self.config.epochs

    def _evaluate(self) -> dict[str, float]:
        row: dict[str, float] = {}
        size = (self.config.size_px, self.config.size_px)
        num_classes = len(self.average.model.names)
        for name, samples in self.validation.items():
            truths, found = judged(self.average.model, samples, size_hw=size, batch_size=32)
            metrics = average_precision(truths, found, num_classes)
            row |= {f"{name}_ap": metrics.ap, f"{name}_ap50": metrics.ap50}
            curves = detection_curves(truths, found, num_classes)
            assert curves is not None  # a validation split without labels was refused
            self.curves[name] = curves.to_dict()
        row["ap"] = sum(row[f"{name}_ap"] for name in self.validation) / len(self.validation)
        return row

    def _look_at_scales(self) -> None:
        """Tells the tracker how |γ| are spread; in sparsity training the percentiles are kept, too."""
        sizes = _sizes_of_scales(self.average.model)
        if not len(sizes):
            return
        self.tracker.scales(self.epoch, sizes)
        if self.sparsity is not None:
            values = np.percentile(sizes, PERCENTILES).tolist()
            named = {f"p{percent}": value for percent, value in zip(PERCENTILES, values, strict=True)}
            self.scales.append({"epoch": self.epoch, **named})

    def _keep(self, row: dict[str, Any]) -> None:
        """Writes models, table and state; the state last, since a resumed run trusts it."""
        file = to_file(self.average.model)
        write_model_file(self.folder / "last.safetensors", file)
        if self.epoch == self.config.snapshot_epoch:
            write_model_file(snapshot(self.folder, self.epoch), file)
        # With sparsity only the last weights hold what the method promises.
        if "ap" in row and (row["ap"] > self.best_ap or self.sparsity is not None):
            self.best_ap, self.best_epoch = row["ap"], row["epoch"]
            write_model_file(self.folder / "best.safetensors", file)
            write_json(self.folder / CURVES_FILE, {self.title: self.curves})
        write_results(self.folder / "results.csv", self.history)
        if self.scales:
            write_results(self.folder / SCALES_FILE, self.scales)
        tensors = {
            "model": self.model.state_dict(),
            "average": self.average.model.state_dict(),
            "optimizer": optimizer_tensors(self.optimizer),
            "sparsity": self.sparsity.state() if self.sparsity is not None else {},
        }
        values = {
            "epoch": self.epoch,
            "updates": self.average.updates,
            "best_ap": self.best_ap,
            "best_epoch": self.best_epoch,
            "history": self.history,
            "scales": self.scales,
            "epochs": self.config.epochs,
        }
        write_run_state(self.folder / STATE_FILE, RunState(tensors, values))

    def restore(self) -> None:
        """Takes back the state of the run in the folder."""
        state = read_run_state(self.folder / STATE_FILE)
        if state.values["epochs"] != self.config.epochs:
            raise TrainingError(
                f"{self.folder}: the run was planned for {state.values['epochs']} epochs, "
                f"not {self.config.epochs}; resume it with the same settings or start a new one"
            )
        try:
            self.model.load_state_dict(state.tensors["model"])
            self.average.model.load_state_dict(state.tensors["average"])
        except RuntimeError as error:
            raise TrainingError(f"{self.folder}: the run is of another network ({error})") from None
        restore_optimizer(self.optimizer, state.tensors["optimizer"])
        if self.sparsity is not None and "sparsity" in state.tensors:
            self.sparsity.restore(state.tensors["sparsity"])
        self.average.updates = state.values["updates"]
        self.epoch, self.history = state.values["epoch"], state.values["history"]
        self.scales = state.values.get("scales", [])
        self.best_ap, self.best_epoch = state.values["best_ap"], state.values["best_epoch"]

    def result(self) -> TrainResult:
        """The best model, read back from the folder."""
        model = from_file(read_model_file(self.folder / "best.safetensors"))
        return TrainResult(model, self.best_ap, self.best_epoch, self.history)


def _sizes_of_scales(model: DarknetModel) -> Float32[np.ndarray, " n"]:
    """|γ| of every channel with batch normalisation."""
    sizes = [bn.weight.detach().abs().float().cpu().numpy() for bn in sparse_scales(model).values()]
    return np.concatenate([np.zeros(0, np.float32), *sizes])


def _describe(row: dict[str, Any], epochs: int) -> str:
    text = f"epoch {row['epoch']}/{epochs}: {row['pictures_per_s']:.1f} pictures/s, box {row['box']:.3f}, "
    text += f"objectness {row['objectness']:.3f}"
    if "distillation" in row:
        text += f", distillation {row['distillation']:.3f}"
    scores = [f"{key} {value:.3f}" for key, value in row.items() if key.endswith(("_ap", "_ap50"))]
    return ", ".join([text, *scores])


def write_results(path: Path, history: Sequence[dict[str, Any]]) -> None:
    """Writes one line per epoch; columns are the union of all rows' keys in order of appearance."""
    columns = list(dict.fromkeys(key for row in history for key in row))
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(history)
    write_text(path, text.getvalue())


def measure_step_seconds(
    model: DarknetModel, dataset: Dataset, config: TrainConfig, num_steps: int = 4
) -> float:
    """Median seconds of a training step beside the running loader; `model` stays as it is."""
    with tempfile.TemporaryDirectory() as folder:
        run = _Run(copy.deepcopy(model), dataset, config, Path(folder))
        run.model.train()
        durations = []
        batches = run.loader.epoch(0)
        for images, targets in islice(batches, 2 + num_steps):
            start = time.monotonic()
            run.take_step(0, images, targets)
            durations.append(time.monotonic() - start)
    return statistics.median(durations[2:] or durations)


def calibration_samples(dataset: Dataset, count: int, seed: int) -> list[Sample]:
    """`count` pictures of the train split, drawn by seed: for recalibrating statistics."""
    samples = dataset.split("train")
    order = torch.randperm(len(samples), generator=torch.Generator().manual_seed(seed))
    return [samples[int(i)] for i in order[:count]]
