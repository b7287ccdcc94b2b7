"""Training loop: from a model and a data set to the best checkpoint, resumable at every step."""

from __future__ import annotations

import copy
import math
import time
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from seyolo.checkpoint import read_checkpoint
from seyolo.darknet.graph import max_stride
from seyolo.darknet.sections import Net
from seyolo.data.batches.training import TrainingBatch
from seyolo.data.datasets import Dataset
from seyolo.data.tiles import training_samples
from seyolo.errors import DataError, TrainingError, counted
from seyolo.notebook import file_html, head_html, table_html
from seyolo.progress import Advance, Figures, RunClock, TimeLeft, duration_text
from seyolo.results import best_by
from seyolo.runs import BEST_FILE
from seyolo.torchnet.build import DarknetModel, from_checkpoint
from seyolo.torchnet.device import limited_threads, tried_kernels
from seyolo.training.config import TrainConfig
from seyolo.training.distillation import Distillation
from seyolo.training.distributed import ComputedByLeader, Team, current_team
from seyolo.training.gpu import explained_memory_errors
from seyolo.training.run_folder import Row, RunFolder, RunRecord, RunState, row_text, scores_text
from seyolo.training.sparsity import Sparsity, Steered, sparse_scales
from seyolo.training.step import TrainingStep
from seyolo.training.trackers import Monitor, NoTracker, Tracker
from seyolo.training.validation import Validation

PERCENTILES = range(0, 101, 5)
SLOW_EPOCH_S = 20.0  # from here on, figures are told after every epoch, and not only with AP
STEPS_AGREED = 16  # after so many steps, several processes agree whether to write the state


@dataclass(frozen=True, repr=False)
class TrainResult:
    """Best averaged model, its score on the validation splits, and one row of figures per epoch.

    `start` are the figures of the weights that the run began with, where they count; `best_epoch` is 0 where
    no epoch was better.
    """

    model: DarknetModel
    best_ap: float
    best_epoch: int
    history: list[Row]
    folder: Path
    start: Row = field(default_factory=dict)

    @property
    def best_row(self) -> Row:
        """The figures of the best model."""
        return next(row for row in (self.start, *self.history) if row.get("epoch") == self.best_epoch)

    def __repr__(self) -> str:
        epochs = len(self.history)
        place = f"in epoch {self.best_epoch} of {epochs}"
        place = place if self.best_epoch else f"at the start, no better in {counted(epochs, 'epoch')}"
        return f"<TrainResult: {best_by(self.best_row)} {self.best_ap:.3f} {place}; {self.folder}>"

    def _repr_html_(self) -> str:
        """Returns the figures of the best epoch, curves and detections, for notebooks."""
        row = self.best_row
        figures = {name: f"{value:.3f}" for name, value in row.items() if name.endswith(("ap", "ap50"))}
        names = ("curves.png", "val_predictions.jpg")
        images = [file_html(self.folder / name, name) for name in names]
        table = table_html(list(figures), [list(figures.values())], left=frozenset())
        return "".join([head_html(repr(self)[1:-1]), table, *images])


def train(
    model: DarknetModel,
    dataset: Dataset,
    config: TrainConfig,
    folder: str | Path,
    *,
    sparsity: Sparsity | None = None,
    distillation: Distillation | None = None,
    state: RunState | None = None,
    monitor: Monitor | None = None,
) -> TrainResult:
    """Trains `model` on the `train` split; the other processes of the team train with it.

    Files are written after every epoch, see `run_folder`, and the state every few minutes inside one. With
    `config.start_counts` the best is `model` itself, where it finds something and no epoch is better.

    Args:
        model: starting point, trained in place; the result is its average.
        dataset: has `train` and at least one validation split.
        distillation: teacher to learn from besides the labels; a resumed run needs the same one.
        state: continues the run in `folder` exactly at this step of it, see `saved_state`.

    Raises:
        TrainingError: the loss is not finite, the teacher does not fit, the GPU's memory is full, or the
            state is of another network.
        UsageError: the batch cannot be divided among the processes.
    """
    team, monitor, folder = current_team(), monitor or Monitor(), Path(folder)
    if team.size > 1 and isinstance(sparsity, Steered):
        sparsity.choose = ComputedByLeader(sparsity.choose)
    run = _Run(model, dataset, config, folder, sparsity, distillation, team, monitor)
    if state is None:
        run.folder.begin(distillation)
        run.report_scales()
    else:
        run.restore(state)
        run.folder.check_best(run.record)
        if not run.record.step and not run.folder.is_published(run.record):
            run.folder.publish(run.step.average.model, run.record)
    with closing(monitor.opened(folder, run.record.epoch)) as run.tracker:
        if team.size > 1:
            # From the CPU: the number of a GPU means another one to another process.
            on_cpu = copy.deepcopy(model).cpu()
            team.call(_help_train, on_cpu, dataset, config, folder, sparsity, distillation, state)
        run.train()
    best = from_checkpoint(read_checkpoint(folder / BEST_FILE))
    record = run.record
    return TrainResult(best, record.best_ap, record.best_epoch, record.history, folder, record.start)


def _help_train(  # noqa: PLR0917 (sent between processes by position)
    model: DarknetModel,
    dataset: Dataset,
    config: TrainConfig,
    folder: Path,
    sparsity: Sparsity | None,
    distillation: Distillation | None,
    state: RunState | None,
) -> None:
    """Runs `train` on the processes besides process 0; they write no files."""
    run = _Run(model, dataset, config, folder, sparsity, distillation, current_team(), Monitor())
    if state is not None:
        run.restore(state)
    with limited_threads(config.threads):
        run.train()


def first_batch(dataset: Dataset, config: TrainConfig, net: Net) -> TrainingBatch:
    """Returns images and targets of the first step of a run with these settings."""
    with closing(config.make_loader(training_samples(dataset), net)) as loader:
        return next(loader.epoch(0, config.epoch_augmentation(0), config.epoch_size(0)))


class _Run:
    """A run on one process of the team; only process 0 reports and writes files."""

    def __init__(  # noqa: PLR0917 (all are needed, and only `train` and `_help_train` pass them)
        self,
        model: DarknetModel,
        dataset: Dataset,
        config: TrainConfig,
        folder: Path,
        sparsity: Sparsity | None,
        distillation: Distillation | None,
        team: Team,
        monitor: Monitor,
    ) -> None:
        team.share_of(config.batch)
        self.config, self.team, self.monitor = config, team, monitor
        train_samples = training_samples(dataset)
        self.loader = config.make_loader(train_samples, model.network.net, (team.rank, team.size))
        self.step = TrainingStep(
            model, config, len(self.loader), team, sparsity=sparsity, distillation=distillation
        )
        self.validation = Validation(dataset, config.size_hw, team)
        for name, samples in {"train": train_samples, **self.validation.samples}.items():
            if not any(len(sample.class_ids) for sample in samples):
                message = f"the {name} split has no labelled object; check its label files"
                raise DataError(f"{dataset.source}: {message}")
        self.folder = RunFolder(folder, config, monitor.title)
        self.record = RunRecord(config.epochs)
        self.stride = max_stride(model.network)
        self.losses = torch.zeros(len(self.step.part_names), device=self.step.device)  # sums of this epoch
        self.tracker: Tracker = NoTracker()
        self._advance: Advance = lambda count, note: None
        self._clock = monitor.clock or RunClock({monitor.title: 1.0}, trust_s=0.0)
        self._save_at_s = math.inf

    def restore(self, state: RunState) -> None:
        tensors = dict(state.tensors)
        unfinished = {name: self._mine(values) for name, values in tensors.pop("epoch", {}).items()}
        losses = unfinished.pop("losses", None)
        try:
            self.step.restore(tensors, state.record.updates)
            self.step.restore_statistics(unfinished)
        except RuntimeError as error:
            raise TrainingError(f"{self.folder.path}: the run is of another network ({error})") from None
        if losses is not None:
            self.losses.copy_(losses)
        self.record = state.record

    def _mine(self, values: Tensor) -> Tensor:
        """Returns this process's row of values by process; their mean where there were more or fewer."""
        return values[self.team.rank] if len(values) == self.team.size else values.mean(0)

    def train(self) -> None:
        """Trains the epochs that are not finished."""
        self.step.wrap()
        title, total = self.monitor.title, len(self.loader) * self.config.epochs
        with tried_kernels(), closing(self.loader), self.monitor.progress.task(title, total) as self._advance:
            self._evaluate_start()
            done = len(self.loader) * self.record.epoch + self.record.step
            self._tell(self.record.epoch, self.record.step, done)
            for epoch in range(self.record.epoch, self.config.epochs):
                if self.record.stopped:
                    break
                with explained_memory_errors(self.config, self.team):
                    self._train_epoch(epoch)

    def _evaluate_start(self) -> None:
        """Evaluates the weights that the run begins with, where they count and nothing was trained yet."""
        record, averaged = self.record, self.step.average.model
        counts = self.config.start_counts and self.step.sparsity is None
        if not counts or record.epoch or record.step:
            return
        with explained_memory_errors(self.config, self.team):
            scores = self.validation.evaluate(averaged)
        if self.team.is_leader:
            record.begin(scores)
            self.tracker.figures(0, record.start)
            text = ", ".join(scores_text(record.start))
            self.monitor.progress.message(f"{self.monitor.title} start: {text}")
            if record.best_epoch == 0:
                record.curves = dict(self.validation.curves)
                self.folder.publish_start(averaged, record)

    def _tell(self, epoch: int, step: int, count: int = 1) -> None:
        """Tells how far the run is after a step of an epoch (from 0): `count` steps further."""
        epochs, num_steps = self.config.epochs, len(self.loader)
        place = f"epoch {min(epoch + 1, epochs)}/{epochs}"
        share = (epoch * num_steps + step) / (epochs * num_steps)
        left_s = self._clock.left_s(self.monitor.title, share)
        note = place if left_s is None else TimeLeft(f"{place}, {duration_text(left_s)} left")
        self._advance(count, note)

    def _train_epoch(self, epoch: int) -> None:
        """Trains an epoch (from 0), evaluates when due, reports and writes files."""
        begun, steps_before = time.monotonic(), self.record.step
        start = begun - self.record.seconds
        with self.step.synchronised_norms():
            parts = self._run_steps(epoch, start)
        self.step.average_statistics()
        now, num_steps = time.monotonic(), len(self.loader) - steps_before
        seconds = now - start
        row: Row = {
            "epoch": epoch + 1,
            "seconds": round(seconds, 2),
            "pictures_per_s": round(num_steps * self.config.batch / (now - begun), 2),
            "learning_rate": self.step.optimizer.param_groups[0]["lr"],
            **dict(zip(self.step.part_names, parts, strict=True)),
        }
        averaged, sparsity = self.step.average.model, self.step.sparsity
        if sparsity is not None and epoch + 1 == self.config.epochs:
            sparsity.finish(averaged)
        if self._evaluation_due(epoch):
            row |= self.validation.evaluate(averaged)
        # With sparsity only the last weights have the zeros that the method promises.
        self.record.add(row, replaces_best=sparsity is not None)
        self.record.stopped = self._is_stalled(row)
        if self.team.is_leader:
            self.tracker.figures(self.record.epoch, row)
            self.report_scales()
            if self.record.best_epoch == self.record.epoch:
                self.record.curves = dict(self.validation.curves)
            self.folder.keep(self.step, self.record, {})
            self.folder.publish(averaged, self.record)
            if "ap" in row or seconds >= SLOW_EPOCH_S:
                self._advance(0, Figures(row_text(row, self.config.epochs)))
            if self.record.stopped and self.record.epoch < self.config.epochs:
                self.monitor.progress.message(self._stalled_text())

    def _run_steps(self, epoch: int, start_s: float) -> list[float]:
        """Takes the steps left of an epoch; returns the mean parts of the loss over all processes."""
        self.step.begin_epoch()
        num_steps, done, config = len(self.loader), self.record.step, self.config
        augmentation, size = config.epoch_augmentation(epoch), config.epoch_size(epoch, self.stride)
        batches = self.loader.epoch(epoch, augmentation, size, first=done)
        self._plan_next_save()
        for index, (images, targets) in enumerate(batches, done):
            self.losses += self.step.take(epoch * num_steps + index, images, targets)
            if index + 1 < num_steps and self._is_save_due(index):
                self.record.step, self.record.seconds = index + 1, time.monotonic() - start_s
                self._save_unfinished()
            self._tell(epoch, index + 1)
        mean: list[float] = (self.team.sum(self.losses) / (num_steps * self.team.size)).tolist()
        self.losses.zero_()
        if self.team.is_leader and not all(map(math.isfinite, mean)):
            raise TrainingError(
                f"the loss is not finite in epoch {epoch + 1}; lower the learning rate "
                f"({config.lr:g}) and resume or start again"
            )
        return mean

    def _plan_next_save(self) -> None:
        self._save_at_s = time.monotonic() + 60 * self.config.save_every

    def _is_save_due(self, index: int) -> bool:
        is_due = self.config.save_every > 0 and time.monotonic() >= self._save_at_s
        if self.team.size == 1:
            return is_due
        return (index + 1) % STEPS_AGREED == 0 and self.team.broadcast(is_due)

    def _save_unfinished(self) -> None:
        """Writes the state inside an epoch, with what each process has alone until the epoch ends."""
        rows = self.team.gather({"losses": self.losses.cpu(), **self.step.statistics()})
        # Weights that are no numbers any more would be resumed for ever.
        if self.team.is_leader and self.step.is_finite():
            unfinished = {name: torch.stack([row[name] for row in rows]) for name in rows[0]}
            self.folder.keep(self.step, self.record, unfinished)
        self._plan_next_save()

    def _is_stalled(self, row: Row) -> bool:
        """Tells whether AP has not risen for `patience` epochs; sparsity training runs to its end."""
        patience, kept = self.config.patience, self.config.snapshot_epoch or 0
        if patience is None or self.step.sparsity is not None:
            return False
        waited = self.record.epoch - self.record.best_epoch
        return self.team.broadcast("ap" in row and waited >= patience and self.record.epoch >= kept)

    def _stalled_text(self) -> str:
        of = f"epoch {self.record.best_epoch}" if self.record.best_epoch else "the start"
        best = f"the best {best_by(self.record.history[-1])} is that of {of}"
        return f"{self.monitor.title} stops after epoch {self.record.epoch} (--patience): {best}"

    def _evaluation_due(self, epoch: int) -> bool:
        interval = max(1, self.config.epochs // max(1, self.config.evaluations))
        if self.config.patience is not None:
            interval = min(interval, max(1, self.config.patience // 3))
        return (epoch + 1) % interval == 0 or epoch + 1 == self.config.epochs

    def report_scales(self) -> None:
        """Passes |γ| of all channels to the tracker; in sparsity training records its percentiles, too."""
        norms = sparse_scales(self.step.average.model)
        if not norms:
            return
        sizes = np.concatenate([bn.weight.detach().abs().float().cpu().numpy() for bn in norms.values()])
        self.tracker.scales(self.record.epoch, sizes)
        if self.step.sparsity is not None:
            values = np.percentile(sizes, PERCENTILES).tolist()
            named = {f"p{percent}": value for percent, value in zip(PERCENTILES, values, strict=True)}
            self.record.scales.append({"epoch": self.record.epoch, **named})
