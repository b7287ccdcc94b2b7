"""Sparsity training: making the scales of batch normalisation say which channels are not needed.

`L1` adds s·sign(γ) to the gradient, as Network Slimming (Liu 2017) publishes it. `ProximalL1` shrinks |γ| by
lr·s after the step and reaches exact zeros, `GroupLasso` does so for all channels that are tied. `Steered`
follows a budget: pressure first, then the channels that the budget leaves out fade to zero while the rest of
the network learns to do without them, so that the cut itself changes nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple, Protocol, cast, get_args

import numpy as np
import torch
from jaxtyping import Float, Int
from numpy.typing import NDArray
from torch import Tensor, nn

from seyolo.errors import UsageError
from seyolo.options.sparsity import Schedule
from seyolo.torchnet.build import DarknetModel


class Sparsity(Protocol):
    """What the training loop calls around the optimiser's step."""

    def before_step(self, model: DarknetModel, progress: float) -> None:
        """Changes gradients, after the backward pass; `progress` is the share of the run that is done."""

    def after_step(self, model: DarknetModel, learning_rate: float, progress: float) -> None:
        """Changes weights, after the step; `progress` is the share of the run that is done, in [0, 1]."""

    def state(self) -> dict[str, Tensor]:
        """What a resumed run needs, as named tensors."""

    def restore(self, state: Mapping[str, Tensor]) -> None:
        """Takes back what `state` gave."""

    def finish(self, model: DarknetModel) -> None:
        """Leaves in a finished (averaged) model what the method promises, exact zeros for instance."""


def sparse_scales(model: DarknetModel) -> dict[str, nn.BatchNorm2d]:
    """Every batch normalisation of the model by its layer's name, `layers.12.bn`."""
    return {name: module for name, module in model.named_modules() if isinstance(module, nn.BatchNorm2d)}


def _trained_scales(model: DarknetModel) -> dict[str, nn.BatchNorm2d]:
    """Those that are not frozen."""
    return {name: bn for name, bn in sparse_scales(model).items() if bn.weight.requires_grad}


PUBLISHED_STRENGTH = 0.01
"""The s of the published recipe."""
USUAL_REACH = 0.5
"""How far `strength_of_reach` lets sparsity training push a scale: half of the 1 that scales start from."""
Ties = Sequence[Sequence[tuple[str, NDArray[np.int64]]]]
"""Per channel group its batch normalisations, each with its channel at every slot of the group."""


class _Pressure:
    """A method with one strength, constant or decaying linearly to zero, and without memory."""

    def __init__(self, strength: float, schedule: Schedule = "constant") -> None:
        self.strength = strength
        self.schedule = schedule

    def at(self, progress: float) -> float:
        """The strength when a share `progress` of the run is done."""
        return self.strength * (1 - progress) if self.schedule == "decay" else self.strength

    def before_step(self, model: DarknetModel, progress: float) -> None:
        del model, progress

    def after_step(self, model: DarknetModel, learning_rate: float, progress: float) -> None:
        del model, learning_rate, progress

    def state(self) -> dict[str, Tensor]:
        return {}

    def restore(self, state: Mapping[str, Tensor]) -> None:
        del state

    def finish(self, model: DarknetModel) -> None:
        del model


class L1(_Pressure):
    """Adds s·sign(γ) to the gradient of every batch-normalisation scale (Liu 2017)."""

    def before_step(self, model: DarknetModel, progress: float) -> None:
        for bn in _trained_scales(model).values():
            assert bn.weight.grad is not None
            bn.weight.grad.add_(torch.sign(bn.weight.detach()), alpha=self.at(progress))


class ProximalL1(_Pressure):
    """Shrinks |γ| by lr·s after each step and stops at zero: the proximal operator of s·|γ|."""

    @torch.no_grad()
    def after_step(self, model: DarknetModel, learning_rate: float, progress: float) -> None:
        for bn in _trained_scales(model).values():
            bn.weight.copy_(nn.functional.softshrink(bn.weight, learning_rate * self.at(progress)))


class GroupLasso(_Pressure):
    """Shrinks the scales of tied channels together: the proximal operator of s·√n·‖(γ₁ … γₙ)‖ per slot.

    Channels that can only go together reach zero together; a lone channel is shrunk as by `ProximalL1`.
    """

    def __init__(self, strength: float, ties: Ties, schedule: Schedule = "constant") -> None:
        super().__init__(strength, schedule)
        self.ties = ties
        self._slots: _Slots | None = None

    @torch.no_grad()
    def after_step(self, model: DarknetModel, learning_rate: float, progress: float) -> None:
        scales = {name: bn.weight for name, bn in _trained_scales(model).items()}
        if self._slots is None:
            self._slots = _slots_of(scales, self.ties)
        slot_of, root_size = self._slots
        flat = torch.cat(list(scales.values()))
        length = torch.zeros_like(root_size).index_add_(0, slot_of, flat.square()).sqrt_()
        shrunk = learning_rate * self.at(progress) * root_size
        factor = (1 - shrunk / length.clamp_min(1e-12)).clamp_min(0.0)[slot_of]
        factors = torch.split(factor, [len(scale) for scale in scales.values()])
        torch._foreach_mul_(list(scales.values()), list(factors))


class _Slots(NamedTuple):
    """Which scales are tied, for all scales of a model in a row.

    Attributes:
        slot_of: the slot of every scale; slot 0 is for those that nothing presses.
        root_size: per slot the square root of how many scales it ties; 0 for slot 0.
    """

    slot_of: Int[Tensor, " scales"]
    root_size: Float[Tensor, " slots"]


def _slots_of(scales: Mapping[str, Tensor], ties: Ties) -> _Slots:
    """The slots of these scales; one that is missing, since it is frozen, keeps all that is tied to it."""
    slot_of = {name: torch.zeros(len(scale), dtype=torch.long) for name, scale in scales.items()}
    root_sizes = [torch.zeros(1)]
    count = 1
    for group in ties:
        if all(name in scales for name, _ in group):
            num_slots = len(group[0][1])
            for name, channels in group:
                slot_of[name][torch.as_tensor(channels)] = torch.arange(count, count + num_slots)
            root_sizes.append(torch.full((num_slots,), len(group) ** 0.5))
            count += num_slots
    device = next(iter(scales.values())).device
    return _Slots(torch.cat(list(slot_of.values())).to(device), torch.cat(root_sizes).to(device))


Choice = Mapping[str, Tensor]
"""Per batch normalisation (`layers.12.bn`) a bool vector that is True for the channels to fade out."""


class Steered:
    """Pressure, then a choice by the budget, then a fade of what was not chosen.

    Up to `choose_at` every scale feels L1 (proximal). There `choose` says which channels the budget leaves
    out, and from then on their γ and β shrink to zero in even steps until `faded_at`; the rest trains freely.
    With several rounds that time is divided between them: each chooses anew, and all but the last fade only
    their part of what the budget leaves out, the smallest scales of all first.

    Args:
        strength: s of the proximal pressure.
        choose: the model -> per batch normalisation, which channels the budget leaves out.
        choose_at: share of the run at which the first choice is made.
        faded_at: share of the run at which all faded channels are exactly zero.
        rounds: of choosing and fading.
    """

    def __init__(
        self,
        strength: float,
        choose: Callable[[DarknetModel], Choice],
        choose_at: float = 0.3,
        faded_at: float = 0.8,
        rounds: int = 1,
    ) -> None:
        self.pressure = ProximalL1(strength)
        self.choose = choose
        self.choose_at = choose_at
        self.faded_at = faded_at
        self.rounds = rounds
        self.fading: dict[str, Tensor] = {}
        self.round = 0  # the one that is being faded, from 1
        self.remaining = 1.0

    def before_step(self, model: DarknetModel, progress: float) -> None:
        del model, progress

    def after_step(self, model: DarknetModel, learning_rate: float, progress: float) -> None:
        if progress < self.choose_at:
            self.pressure.after_step(model, learning_rate, progress)
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
        """The `share` of the channels the budget leaves out whose scales are smallest."""
        left_out = dict(self.choose(model))
        if share == 1:
            return left_out
        layers = sparse_scales(model)
        sizes = {name: layers[name].weight.detach().abs().cpu() for name in left_out}
        threshold = torch.cat([sizes[name][chosen] for name, chosen in left_out.items()]).quantile(share)
        return {name: chosen & (sizes[name] <= threshold) for name, chosen in left_out.items()}

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


def strength_of_reach(rates: Iterable[float], reach: float = USUAL_REACH) -> float:
    """The s that moves a scale without gradient by `reach` in a whole run of proximal steps.

    With a fixed s the push grows with the number of steps, so with the data; with a fixed reach it does not.

    Args:
        rates: the learning rate of the scales at every step of the run.
        reach: distance, in units of the scales.
    """
    return reach / sum(rates)


def make_sparsity(method: str, strength: float, schedule: str = "constant", ties: Ties = ()) -> Sparsity:
    """The method of that name: `l1` (subgradient, as published), `proximal`, or `group` (lasso over `ties`).

    Raises:
        UsageError: a name is unknown or the strength is not positive.
    """
    if not strength > 0:
        raise UsageError(f"--s {strength}: the strength of sparsity training must be above 0")
    if schedule not in get_args(Schedule):
        raise UsageError(f"--schedule {schedule}: there are {', '.join(get_args(Schedule))}")
    if method == "l1":
        return L1(strength, cast("Schedule", schedule))
    if method == "proximal":
        return ProximalL1(strength, cast("Schedule", schedule))
    if method == "group":
        return GroupLasso(strength, ties, cast("Schedule", schedule))
    raise UsageError(f"--sparsity {method}: there are l1, proximal, group")
