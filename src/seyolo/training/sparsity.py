"""Sparsity training: pushes scales γ of batch normalisation towards zero where channels are not needed.

`L1` adds s·sign(γ) to the gradient, as in Network Slimming (Liu 2017). `ProximalL1` shrinks |γ| by lr·s after
the step and reaches exact zeros, `GroupLasso` does so for tied channels together. `Steered` follows a budget:
after a phase of pressure, the channels that the budget removes fade to zero while the other channels adapt,
so that pruning itself changes nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import cast, get_args

import numpy as np
import torch
from jaxtyping import Float, Int
from numpy.typing import NDArray
from torch import Tensor, nn

from seyolo.errors import UsageError
from seyolo.options.training import Schedule
from seyolo.torchnet.build import DarknetModel
from seyolo.torchnet.layers import ConvolutionLayer


class Sparsity:
    """Base of the methods: what the training loop calls around the optimiser's step; here nothing happens."""

    def before_step(self, model: DarknetModel, progress: float) -> None:
        """Changes gradients after the backward pass; `progress` is the finished fraction of the run."""

    def after_step(self, model: DarknetModel, learning_rate: float, progress: float) -> None:
        """Changes weights after the step; `progress` is the finished fraction of the run."""

    def state(self) -> dict[str, Tensor]:
        """Returns the state for a resumed run as named tensors."""
        return {}

    def restore(self, state: Mapping[str, Tensor]) -> None:
        """Loads a result of `state`."""

    def finish(self, model: DarknetModel) -> None:
        """Gives the finished, averaged model what the method promises, for instance exact zeros."""


def sparse_scales(model: DarknetModel) -> dict[str, nn.BatchNorm2d]:
    """Returns the batch normalisation of every convolution by name, `layers.12.bn`."""
    return {
        f"layers.{index}.bn": layer.bn
        for index, layer in enumerate(model.layers)
        if isinstance(layer, ConvolutionLayer) and isinstance(layer.bn, nn.BatchNorm2d)
    }


def _trained_scales(model: DarknetModel) -> dict[str, nn.BatchNorm2d]:
    return {name: bn for name, bn in sparse_scales(model).items() if bn.weight.requires_grad}


PUBLISHED_STRENGTH = 0.01  # strength s in Network Slimming (Liu 2017)
USUAL_REACH = 0.5  # distance that `strength_of_reach` moves a scale: half of the 1 that scales start from
Ties = Sequence[
    Sequence[tuple[str, NDArray[np.int64]]]
]  # per group: batch norms, each with its channel per slot


@dataclass(eq=False)
class _Pressure(Sparsity):
    """Base of methods without state, with a strength that is constant or decays linearly to zero."""

    strength: float
    schedule: Schedule = "constant"

    def at(self, progress: float) -> float:
        """Returns the strength at `progress`."""
        return self.strength * (1 - progress) if self.schedule == "decay" else self.strength


class L1(_Pressure):
    """Adds s·sign(γ) to the gradient of every batch-normalisation scale (Liu 2017).

    Scales of layers that are never pruned are among them, as in that paper; some programs for YOLOv3 spare
    those. docs/how-to/published-recipe.md was measured so.
    """

    def before_step(self, model: DarknetModel, progress: float) -> None:
        for bn in _trained_scales(model).values():
            assert bn.weight.grad is not None
            bn.weight.grad.add_(torch.sign(bn.weight.detach()), alpha=self.at(progress))  # s·∂|γ|/∂γ


class ProximalL1(_Pressure):
    """Shrinks |γ| by lr·s after each step and stops at zero: the proximal operator of s·|γ|."""

    @torch.no_grad()
    def after_step(self, model: DarknetModel, learning_rate: float, progress: float) -> None:
        for bn in _trained_scales(model).values():
            bn.weight.copy_(nn.functional.softshrink(bn.weight, learning_rate * self.at(progress)))


class GroupLasso(_Pressure):
    """Shrinks the scales of tied channels together: the proximal operator of s·√n·‖(γ₁ … γₙ)‖ per slot.

    Tied channels reach zero together; an untied channel is shrunk as by `ProximalL1`.
    """

    def __init__(self, strength: float, ties: Ties, schedule: Schedule = "constant") -> None:
        super().__init__(strength, schedule)
        self.ties = ties
        self._slots: tuple[Tensor, Tensor] | None = None

    @torch.no_grad()
    def after_step(self, model: DarknetModel, learning_rate: float, progress: float) -> None:
        scales = {name: bn.weight for name, bn in _trained_scales(model).items()}
        if self._slots is None:
            self._slots = _slots_of(scales, self.ties)
        slot_of, root_size = self._slots
        flat = torch.cat(list(scales.values()))
        length = torch.zeros_like(root_size).index_add_(0, slot_of, flat.square()).sqrt_()
        shrunk = learning_rate * self.at(progress) * root_size
        factor = (1 - shrunk / length.clamp_min(1e-12)).clamp_min(0.0)[slot_of]  # (1 - lr·s·√n / ‖γ‖)₊
        factors = torch.split(factor, [len(scale) for scale in scales.values()])
        torch._foreach_mul_(list(scales.values()), list(factors))


def _slots_of(
    scales: Mapping[str, Tensor], ties: Ties
) -> tuple[Int[Tensor, " scales"], Float[Tensor, " slots"]]:
    """Returns the slot of every scale, and √n of the n scales of every slot.

    Slot 0, of size 0, holds the scales that are not shrunk: groups with a frozen, hence missing, layer.
    """
    slot_of = {name: torch.zeros(len(scale), dtype=torch.long) for name, scale in scales.items()}
    root_sizes = [torch.zeros(1)]
    count = 1
    for group in ties:
        if all(name in scales for name, _ in group):
            num_slots = len(group[0][1])
            for name, channels in group:
                slot_of[name][torch.as_tensor(channels)] = torch.arange(count, count + num_slots)
            root_sizes.append(torch.full((num_slots,), len(group) ** 0.5))  # √n
            count += num_slots
    device = next(iter(scales.values())).device
    return torch.cat(list(slot_of.values())).to(device), torch.cat(root_sizes).to(device)


Choice = Mapping[str, Tensor]  # per batch normalisation (`layers.12.bn`) True for the channels to fade out


@dataclass(eq=False)
class Steered(Sparsity):
    """Proximal L1 on all scales, then a choice by the budget, then a fade of the channels to prune.

    Until `choose_at`, all scales are under proximal L1. Then `choose` returns the channels that the budget
    removes, and their γ and β shrink to zero in even steps until `faded_at`; other channels train freely.
    Several rounds share that time: each chooses again, and all but the last fade only a fraction of the
    channels to prune, those with the smallest scales.
    """

    strength: float  # s of proximal L1
    choose: Callable[[DarknetModel], Choice]  # returns the channels to prune
    choose_at: float = 0.3  # fraction of the run before the first choice
    faded_at: float = 0.8  # fraction of the run after the last fade
    rounds: int = 1  # of choosing and fading
    fading: dict[str, Tensor] = field(default_factory=dict, init=False)
    round: int = field(default=0, init=False)  # the current one, from 1
    remaining: float = field(default=1.0, init=False)  # fraction of γ and β that is left in this round

    def after_step(self, model: DarknetModel, learning_rate: float, progress: float) -> None:
        if progress < self.choose_at:
            ProximalL1(self.strength).after_step(model, learning_rate, progress)
            return
        done = self.rounds * (progress - self.choose_at) / max(self.faded_at - self.choose_at, 1e-9)
        current = min(self.rounds, int(done) + 1)
        if current > self.round:
            self._fade(model, 0.0)
            self.fading = self._chosen(model, current / self.rounds)
            self.round, self.remaining = current, 1.0
        remaining = max(0.0, current - done)
        self._fade(model, remaining / self.remaining if self.remaining > 0 else 0.0)
        self.remaining = remaining

    def _chosen(self, model: DarknetModel, share: float) -> dict[str, Tensor]:
        """Returns the fraction `share` of the channels to prune with the smallest scales."""
        to_prune = dict(self.choose(model))
        if share == 1:
            return to_prune
        layers = sparse_scales(model)
        sizes = {name: layers[name].weight.detach().abs().cpu() for name in to_prune}
        threshold = torch.cat([sizes[name][chosen] for name, chosen in to_prune.items()]).quantile(share)
        return {name: chosen & (sizes[name] <= threshold) for name, chosen in to_prune.items()}

    @torch.no_grad()
    def _fade(self, model: DarknetModel, factor: float) -> None:
        layers = sparse_scales(model)
        for name, fading in self.fading.items():
            for parameter in (layers[name].weight, layers[name].bias):
                parameter[fading.to(parameter.device)] *= factor

    def state(self) -> dict[str, Tensor]:
        values = {"remaining": self.remaining, "round": float(self.round)}
        return self.fading | {key: torch.tensor(value, dtype=torch.float64) for key, value in values.items()}

    def restore(self, state: Mapping[str, Tensor]) -> None:
        self.fading = {name: value for name, value in state.items() if name not in ("remaining", "round")}
        self.remaining, self.round = float(state["remaining"]), int(state["round"])

    def finish(self, model: DarknetModel) -> None:
        self._fade(model, 0.0)


def strength_of_reach(rates: Iterable[float]) -> float:
    """Returns the s that moves a scale without gradient by `USUAL_REACH` in a run of proximal steps.

    With a fixed s, the distance grows with the number of steps; `rates` are the learning rates of all steps.
    """
    return USUAL_REACH / sum(rates)


def make_sparsity(method: str, strength: float, schedule: str = "constant", ties: Ties = ()) -> Sparsity:
    """Returns the method `l1` (subgradient, as published), `proximal` or `group` (lasso over `ties`).

    Raises:
        UsageError: a name is unknown or the strength is not positive.
    """
    if not strength > 0:
        raise UsageError(f"--s {strength}: the strength of sparsity training must be above 0")
    if schedule not in get_args(Schedule):
        raise UsageError(f"--schedule {schedule}: there are {', '.join(get_args(Schedule))}")
    group = partial(GroupLasso, ties=ties)
    methods: dict[str, Callable[..., Sparsity]] = {"l1": L1, "proximal": ProximalL1, "group": group}
    if method not in methods:
        raise UsageError(f"--sparsity {method}: there are {', '.join(methods)}")
    return methods[method](strength, schedule=cast("Schedule", schedule))
