"""A training step: loss and gradients of a batch, sparsity, optimiser and moving average."""

from __future__ import annotations

import copy
import statistics
import time
import warnings
from collections.abc import Mapping
from contextlib import AbstractContextManager, closing, nullcontext
from dataclasses import replace
from itertools import islice

import torch
from torch import Tensor, nn

from seyolo.data.datasets import Dataset
from seyolo.data.tiles import training_samples
from seyolo.progress import Progress
from seyolo.torchnet.build import DarknetModel
from seyolo.torchnet.device import gains_from_bf16
from seyolo.training.config import TrainConfig
from seyolo.training.distillation import Distillation, DistillationModule
from seyolo.training.distributed import SINGLE_PROCESS, Team, current_team
from seyolo.training.gpu import RecordedHeads, explained_memory_errors
from seyolo.training.loss import DetectionLoss, LossModule, class_weights, split_targets
from seyolo.training.optimizer import MovingAverage, make_optimizer, optimizer_tensors, restore_optimizer
from seyolo.training.sparsity import Sparsity
from seyolo.training.sync_norm import synchronised


class TrainingStep:
    """Everything that changes in a training step; trains `model` in place, on the device of this process.

    `steps_per_epoch` is for the schedule of the learning rate, `part_names` name the result of `take`.
    """

    def __init__(
        self,
        model: DarknetModel,
        config: TrainConfig,
        steps_per_epoch: int,
        team: Team,
        *,
        sparsity: Sparsity | None = None,
        distillation: Distillation | None = None,
    ) -> None:
        if config.sync_bn and team.size == 1:
            warnings.warn("--sync-bn joins several processes, and this is one alone", stacklevel=4)
        self.config, self.team, self.sparsity = config, team, sparsity
        self.steps_per_epoch = steps_per_epoch
        self.device = team.device(config.device)
        self.model = model.to(self.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self._frozen = list(self.model.layers[: config.freeze])
        for layer in self._frozen:
            layer.requires_grad_(False)
        self.part_names = ["box", "objectness", "classes"]
        weights = class_weights(model.names, config.class_weights)
        weights = None if weights is None else weights.to(self.device)
        loss = DetectionLoss(model.heads, config, team, weights)
        module = LossModule(self.model, loss)
        if distillation is not None:
            module = DistillationModule(self.model, loss, distillation)
            self.part_names.append("distillation")
        if self.device.type == "cuda" and team.size == 1:
            module.forward_heads = RecordedHeads(self.model)
        self._module: nn.Module = module
        self.optimizer = make_optimizer(
            self.model, config.lr, config.weight_decay, self.device, config.optimizer
        )
        self._is_mixed = config.mixed_precision and gains_from_bf16(self.device)
        self.average = MovingAverage(self.model, config.average_decay, config.average_ramp_updates)

    def wrap(self) -> None:
        """Averages gradients over the processes of the team from now on."""
        self._module = self.team.wrap(self._module, self.device)

    def begin_epoch(self) -> None:
        """Puts the model into training mode, but for the frozen layers, whose statistics stay."""
        self.model.train()
        for layer in self._frozen:
            layer.eval()

    def take(self, step: int, images: Tensor, targets: Tensor) -> Tensor:
        """Trains on uint8 images (N, 3, H, W); returns the detached loss parts. `step` counts from 0."""
        rate = self.config.rate_at(step, self.steps_per_epoch)
        scales_rate = rate * self.config.scales_rate
        for group in self.optimizer.param_groups:
            group["lr"] = scales_rate if group["name"] == "scales" else rate * group["rate"]
        loss, parts = self._loss(images, targets)
        self.optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]  # torch gives it no types
        progress = step / max(1, self.config.epochs * self.steps_per_epoch)
        if self.sparsity is not None:
            self.sparsity.before_step(self.model, progress)
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), self.config.gradient_clip)
        self.optimizer.step()
        if self.sparsity is not None:
            self.sparsity.after_step(self.model, scales_rate, progress)
        self.average.update()
        return parts

    def _loss(self, images: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        images = images.to(self.device, non_blocking=True).float().div_(255)
        images = images.contiguous(memory_format=torch.channels_last)
        objects, ignored = (x.to(self.device, non_blocking=True) for x in split_targets(targets))
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self._is_mixed):
            outcome: tuple[Tensor, Tensor] = self._module(images, objects, ignored)
        return outcome

    def synchronised_norms(self) -> AbstractContextManager[None]:
        """Returns the context in which the steps of an epoch run: with `sync_bn` common statistics."""
        return synchronised(self.model) if self.config.sync_bn and self.team.size > 1 else nullcontext()

    def average_statistics(self) -> None:
        """Averages running statistics over the processes; linear in the steps, they need it once an epoch."""
        for running in self._running_statistics().values():
            self.team.average_(list(running.values()))

    def is_finite(self) -> bool:
        """Tells whether all weights are finite."""
        return all(bool(weight.isfinite().all()) for weight in self.model.parameters())

    def statistics(self) -> dict[str, Tensor]:
        """Returns the running statistics of this process, on the CPU; nothing where it is the only one."""
        if self.team.size == 1:
            return {}
        groups = self._running_statistics()
        return {f"{group}/{name}": value.cpu() for group in groups for name, value in groups[group].items()}

    def restore_statistics(self, statistics: Mapping[str, Tensor]) -> None:
        """Loads a result of `statistics`."""
        groups = self._running_statistics()
        for path, value in statistics.items():
            group, _, name = path.partition("/")
            groups[group][name].copy_(value)

    def _running_statistics(self) -> dict[str, dict[str, Tensor]]:
        models = {"model": self.model, "average": self.average.model}
        states = {group: model.state_dict() for group, model in models.items()}
        return {
            group: {name: value for name, value in state.items() if ".running_" in name}
            for group, state in states.items()
        }

    def tensors(self) -> dict[str, dict[str, Tensor]]:
        """Returns the tensors that a resumed run needs, by group."""
        return {
            "model": self.model.state_dict(),
            "average": self.average.model.state_dict(),
            "optimizer": optimizer_tensors(self.optimizer),
            "sparsity": self.sparsity.state() if self.sparsity is not None else {},
        }

    def restore(self, tensors: Mapping[str, dict[str, Tensor]], updates: int) -> None:
        """Loads `tensors` of a run; a RuntimeError refuses those of another network."""
        self.model.load_state_dict(tensors["model"])
        self.average.model.load_state_dict(tensors["average"])
        self.average.updates = updates
        restore_optimizer(self.optimizer, tensors["optimizer"])
        if self.sparsity is not None and "sparsity" in tensors:
            self.sparsity.restore(tensors["sparsity"])


def measure_step_seconds(
    model: DarknetModel, dataset: Dataset, config: TrainConfig, progress: Progress, num_steps: int = 4
) -> float:
    """Returns the median seconds of a process's training step, beside the loader; `model` is not changed."""
    team = current_team()
    config = replace(config, batch=team.share_of(config.batch), sync_bn=False)
    loader = config.make_loader(training_samples(dataset), model.network.net)
    durations = []
    measuring = progress.task("measuring training steps", 2 + num_steps)
    with explained_memory_errors(config, SINGLE_PROCESS), closing(loader), measuring as advance:
        step = TrainingStep(copy.deepcopy(model), config, len(loader), SINGLE_PROCESS)
        step.begin_epoch()
        for images, targets in islice(loader.epoch(0), 2 + num_steps):
            start = time.monotonic()
            step.take(0, images, targets)
            durations.append(time.monotonic() - start)
            advance(1, "")
    return statistics.median(durations[2:] or durations)
