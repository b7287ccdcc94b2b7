"""The training loop: one run from a model and a data set to the best checkpoint, resumable at every epoch.

A run's folder holds `config.json`, `environment.json`, `results.csv`, `state.safetensors` (to resume), and
two models with averaged weights: `best.safetensors` (by AP on the validation splits) and `last.safetensors`.
`curves.json` are the curves of the best one on these splits, `scales.csv` how sparsity training spreads |γ|.
"""

from __future__ import annotations

import copy
import math
import statistics
import tempfile
import time
import warnings
from contextlib import closing, nullcontext
from dataclasses import asdict, dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float32
from torch import Tensor, nn

from seyolo.checkpoint import read_checkpoint, write_checkpoint
from seyolo.data.batches.training import TrainingBatch
from seyolo.data.datasets import Dataset
from seyolo.errors import DataError, TrainingError
from seyolo.files import write_json
from seyolo.progress import Progress, Silent
from seyolo.torchnet.build import DarknetModel, from_checkpoint, to_checkpoint
from seyolo.torchnet.cudnn import tried_kernels
from seyolo.training.average import MovingAverage
from seyolo.training.config import TrainConfig
from seyolo.training.cuda_graph import RecordedHeads
from seyolo.training.distillation import Distillation, DistillationModule
from seyolo.training.distributed import ALONE, Led, Team, current_team
from seyolo.training.environment import describe_environment
from seyolo.training.gpu_memory import explained_memory_errors
from seyolo.training.history import describe, write_results
from seyolo.training.loss import DetectionLoss, LossModule
from seyolo.training.optimizer import make_optimizer
from seyolo.training.run_state import (
    RunState,
    optimizer_tensors,
    read_run_state,
    restore_optimizer,
    write_run_state,
)
from seyolo.training.sparsity import Sparsity, Steered, sparse_scales
from seyolo.training.sync_norm import synchronised
from seyolo.training.trackers import OpenTracker, Tracker, Untracked, chosen_tracker
from seyolo.training.validation import Validation

STATE_FILE = "state.safetensors"
CURVES_FILE, SCALES_FILE = "curves.json", "scales.csv"
PERCENTILES = range(0, 101, 5)


@dataclass(frozen=True)
class TrainResult:
    """The best averaged model, its validation score and one row per epoch."""

    model: DarknetModel
    best_ap: float
    best_epoch: int
    history: list[dict[str, Any]]


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
    """Trains `model` on the data set's `train` split, with the help of the other processes of `share`.

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
        TrainingError: the loss stops being finite, the teacher does not fit, the GPU's memory is full, or
            there is nothing to resume.
        UsageError: the batch cannot be divided among the processes.
    """
    team = current_team()
    if team.size > 1 and isinstance(sparsity, Steered):
        sparsity.choose = Led(sparsity.choose, team)
    run = _Run(
        model,
        dataset,
        config,
        Path(folder),
        sparsity=sparsity,
        distillation=distillation,
        team=team,
        progress=progress,
        title=title,
    )
    state = run.saved_state() if resume else None
    if state is None:
        run.begin()
    else:
        run.restore(state)
    with closing(chosen_tracker(tracker)(Path(folder), run.epoch)) as run.tracker:
        if team.size > 1:
            # From the CPU, since a GPU's number means another one to another process.
            on_cpu = copy.deepcopy(model).cpu()
            team.call(_help_train, on_cpu, dataset, config, Path(folder), sparsity, distillation, state)
        run.train()
    return run.result()


def _help_train(  # noqa: PLR0917 (they come over the wire by position)
    model: DarknetModel,
    dataset: Dataset,
    config: TrainConfig,
    folder: Path,
    sparsity: Sparsity | None,
    distillation: Distillation | None,
    state: RunState | None,
) -> None:
    """What the other processes do in `train`."""
    run = _Run(
        model, dataset, config, folder, sparsity=sparsity, distillation=distillation, team=current_team()
    )
    if state is not None:
        run.restore(state)
    run.train()


def first_batch(dataset: Dataset, config: TrainConfig) -> TrainingBatch:
    """The images and targets of the first step, as a run with these settings draws them.

    Raises:
        DataError: there are no images, or one cannot be decoded.
    """
    with closing(config.make_loader(dataset.split("train"))) as loader:
        return next(loader.epoch(0, config.epoch_augmentation(0), config.epoch_size(0)))


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
        team: Team,
        progress: Progress | None = None,
        title: str = "",
    ) -> None:
        self.team = team
        self.config, self.folder, self.sparsity = config, folder, sparsity
        self.distillation = distillation
        self.progress, self.title = progress or Silent(), title
        team.share_of(config.batch)
        if config.sync_bn and team.size == 1:
            warnings.warn("--sync-bn joins several processes, and this is one alone", stacklevel=3)
        self.device = team.device(config.device)
        self.model = model.to(self.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        loss = DetectionLoss(model.heads, config.loss, config.top_k, team)
        step_module = LossModule(self.model, loss)
        self.part_names = ["box", "objectness", "classes"]
        if distillation is not None:
            step_module = DistillationModule(self.model, loss, distillation)
            self.part_names.append("distillation")
        if self.device.type == "cuda" and team.size == 1:
            step_module.forward_heads = RecordedHeads(self.model)
        self.step_module: nn.Module = step_module
        self.optimizer = make_optimizer(self.model, config.lr, config.weight_decay, self.device)
        self.average = MovingAverage(self.model, config.average_decay, config.average_ramp_updates)
        train_samples = dataset.split("train")
        self.loader = config.make_loader(train_samples, (team.rank, team.size))
        self.validation = Validation(dataset, config.size, team)
        for name, samples in {"train": train_samples, **self.validation.samples}.items():
            if not any(len(sample.class_ids) for sample in samples):
                raise DataError(
                    f"{dataset.source}: the {name} split has no labelled object; check its label files"
                )
        self.epoch, self.best_ap, self.best_epoch = 0, -1.0, -1
        self.history: list[dict[str, Any]] = []
        self.scales: list[dict[str, float]] = []
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

    def train(self) -> None:
        """All epochs that are left; every process of the team is here."""
        self.step_module = self.team.wrap(self.step_module, self.device)
        with tried_kernels(), closing(self.loader):
            for epoch in range(self.epoch, self.config.epochs):
                with explained_memory_errors(self.config, self.team):
                    self.train_epoch(epoch)

    def train_epoch(self, epoch: int) -> None:
        """One pass over the data, evaluation when due, and everything written to the folder."""
        start = time.monotonic()
        joined = self.config.sync_bn and self.team.size > 1
        with synchronised(self.model) if joined else nullcontext():
            parts = self._run_steps(epoch)
        self._join_statistics()
        seconds = time.monotonic() - start
        row: dict[str, Any] = {
            "epoch": epoch + 1,
            "seconds": round(seconds, 2),
            "pictures_per_s": round(len(self.loader) * self.config.batch / seconds, 2),
            "learning_rate": self.optimizer.param_groups[0]["lr"],
            **dict(zip(self.part_names, parts, strict=True)),
        }
        if self.sparsity is not None and epoch + 1 == self.config.epochs:
            self.sparsity.finish(self.average.model)
        if self._evaluation_due(epoch):
            row |= self.validation.evaluate(self.average.model)
        self.history.append(row)
        self.epoch = epoch + 1
        if self.team.is_leader:
            self.tracker.figures(self.epoch, row)
            self._look_at_scales()
            self._keep(row)
            self.progress.message(f"{self.title} {describe(row, self.config.epochs)}")

    def _join_statistics(self) -> None:
        """Takes the mean of all processes' running statistics.

        They are weighted sums over the steps, so this is what averaging them at every step comes to.
        """
        for model in (self.model, self.average.model):
            state = model.state_dict()
            names = [f"{norm}.running_{what}" for norm in sparse_scales(model) for what in ("mean", "var")]
            self.team.average_([state[name] for name in names])

    def _run_steps(self, epoch: int) -> list[float]:
        self.model.train()
        total = torch.zeros(len(self.part_names), device=self.device)
        batches = self.loader.epoch(
            epoch, self.config.epoch_augmentation(epoch), self.config.epoch_size(epoch)
        )
        with self.progress.task(
            f"{self.title} epoch {epoch + 1}/{self.config.epochs}", len(self.loader)
        ) as advance:
            for index, (images, targets) in enumerate(batches):
                total += self.take_step(epoch * len(self.loader) + index, images, targets)
                advance(1, "")
        mean: list[float] = (self.team.sum(total) / (len(self.loader) * self.team.size)).tolist()
        if self.team.is_leader and not all(math.isfinite(value) for value in mean):
            raise TrainingError(
                f"the loss is not finite in epoch {epoch + 1}; lower the learning rate "
                f"({self.config.lr:g}) and resume or start again"
            )
        return mean

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
        self.average.update()
        return parts

    def _evaluation_due(self, epoch: int) -> bool:
        interval = max(1, self.config.epochs // max(1, self.config.evaluations))
        return (epoch + 1) % interval == 0 or epoch + 1 == self.config.epochs

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
        file = to_checkpoint(self.average.model)
        write_checkpoint(self.folder / "last.safetensors", file)
        if self.epoch == self.config.snapshot_epoch:
            write_checkpoint(snapshot(self.folder, self.epoch), file)
        # With sparsity only the last weights hold what the method promises.
        if "ap" in row and (row["ap"] > self.best_ap or self.sparsity is not None):
            self.best_ap, self.best_epoch = row["ap"], row["epoch"]
            write_checkpoint(self.folder / "best.safetensors", file)
            write_json(self.folder / CURVES_FILE, {self.title: self.validation.curves})
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

    def saved_state(self) -> RunState:
        """The state of the run in the folder.

        Raises:
            TrainingError: there is none, or it is that of a run of another length.
        """
        state = read_run_state(self.folder / STATE_FILE)
        if state.values["epochs"] != self.config.epochs:
            raise TrainingError(
                f"{self.folder}: the run was planned for {state.values['epochs']} epochs, "
                f"not {self.config.epochs}; resume it with the same settings or start a new one"
            )
        return state

    def restore(self, state: RunState) -> None:
        """Takes back the state of a run."""
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
        model = from_checkpoint(read_checkpoint(self.folder / "best.safetensors"))
        return TrainResult(model, self.best_ap, self.best_epoch, self.history)


def _sizes_of_scales(model: DarknetModel) -> Float32[np.ndarray, " n"]:
    """|γ| of every channel with batch normalisation."""
    sizes = [bn.weight.detach().abs().float().cpu().numpy() for bn in sparse_scales(model).values()]
    return np.concatenate([np.zeros(0, np.float32), *sizes])


def measure_step_seconds(
    model: DarknetModel, dataset: Dataset, config: TrainConfig, num_steps: int = 4
) -> float:
    """Median seconds of a training step beside the running loader; `model` stays as it is.

    With several processes it is measured on the share of the batch that each one takes.
    """
    team = current_team()
    share = replace(config, batch=team.share_of(config.batch), sync_bn=False)
    with tempfile.TemporaryDirectory() as folder, explained_memory_errors(config, team):
        run = _Run(copy.deepcopy(model), dataset, share, Path(folder), team=ALONE)
        run.model.train()
        durations = []
        with closing(run.loader) as loader:
            for images, targets in islice(loader.epoch(0), 2 + num_steps):
                start = time.monotonic()
                run.take_step(0, images, targets)
                durations.append(time.monotonic() - start)
    return statistics.median(durations[2:] or durations)
