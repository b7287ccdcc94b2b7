"""Optimal brain surgeon over channels: change of the detections without each channel.

The cost of removing a channel is computed at the convolutions that read it. Such a convolution makes up for a
channel as well as its other inputs allow, by least squares (Hassibi 1993; over channels Kurtic 2023). The
remaining error counts by the response of the detections to each filter: the mean square of the gradient of
what the detection layers read, along random directions (the diagonal of the Gauss-Newton matrix). The
channels of a group are removed one after the other, the cheapest first, so that one of two redundant channels
is kept. Constant channels cost nothing, since folding restores them. The cells of a kernel are taken as
independent, which keeps matrices as small as a layer has channels.

All scores are changes of the same outputs: they add up over layers, and divided by the cost of a channel they
rank channels under any budget.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from jaxtyping import Float, Float64, Int
from torch import Tensor, nn
from torch.nn import functional

from seyolo.darknet.graph import inputs
from seyolo.errors import DataError
from seyolo.pruning.groups.atoms import FloatArray, IntArray
from seyolo.pruning.groups.groups import Groups, find_groups
from seyolo.torchnet.build import DarknetModel
from seyolo.torchnet.layers import ConvolutionLayer

RIDGE = 0.01  # relative to the mean diagonal of the input covariance
BACKGROUND = 0.02  # weight of a position without any object; a certain object weighs 1 more
STEPS = 32  # in which the channels of a group are removed
RISE = 1e-6  # relative step that keeps scores strictly increasing in order of removal


def obs_scores(
    model: DarknetModel,
    batches: Iterable[Float[Tensor, "N 3 H W"]],
    seed: int = 0,
    groups: Groups | None = None,
) -> dict[int, FloatArray]:
    """Returns per convolution (filters,) scores, the same for tied channels; none for unread channels.

    Args:
        model: in evaluation mode afterwards; its weights stay as they are.
        batches: training images, RGB in [0, 1]; some 64 are enough.
        seed: of the random directions.

    Raises:
        DataError: there is not a single image.
    """
    watched = _watch(model, batches, torch.Generator().manual_seed(seed))
    groups = groups or find_groups(model.network)
    readers = _readers(model, groups, watched)
    scores: dict[int, FloatArray] = {}
    for group in groups.groups:
        reading = [own for reader in readers if (own := reader.of(group.slots)) is not None]
        if group.fixed or not reading:
            continue
        score = _scores(group.num_channels, reading)
        for layer, members in zip(group.layers, group.members, strict=True):
            scores.setdefault(layer, np.full(len(groups.slots[layer]), np.inf))[members] = score
    return scores


class _Watched:
    """Inputs of one convolution over all positions seen; `response`: summed squares of outputs' gradients."""

    def __init__(self, conv: nn.Conv2d) -> None:
        zeros = partial(torch.zeros, dtype=torch.float64, device=conv.weight.device)
        self.conv = conv
        self.response: Float64[Tensor, " F"] = zeros(conv.out_channels)
        self._count = 0
        self._total: Float64[Tensor, " C"] = zeros(conv.in_channels)
        self._products: Float64[Tensor, "C C"] = zeros(conv.in_channels, conv.in_channels)

    @torch.no_grad()
    def reads(self, x: Float[Tensor, "N C H W"]) -> None:
        """Adds a batch of inputs."""
        positions = x.transpose(0, 1).flatten(1)
        self._count += positions.shape[1]
        self._total += positions.sum(dim=1)
        self._products += positions @ positions.T

    def covariance(self) -> Float64[Tensor, "C C"]:
        """Returns the covariance of the inputs, with a ridge on its diagonal."""
        mean = self._total / self._count
        covariance = self._products / self._count - torch.outer(mean, mean)  # E[x xᵀ] - E[x] E[x]ᵀ
        covariance.diagonal().add_(RIDGE * covariance.diagonal().mean().clamp_min(1e-12))
        return covariance


def _watch(
    model: DarknetModel, batches: Iterable[Float[Tensor, "N 3 H W"]], generator: torch.Generator
) -> dict[int, _Watched]:
    """Runs images forward and, along random directions of the outputs, backward."""
    model.eval()
    layers = enumerate(model.layers)
    watched = {index: _Watched(layer.conv) for index, layer in layers if isinstance(layer, ConvolutionLayer)}
    device = next(model.parameters()).device
    num_images = 0
    for images in batches:
        num_images += len(images)
        with _written(watched) as written, torch.enable_grad():
            heads = model.forward_heads(images.to(device).detach().requires_grad_())
            value = torch.stack([_along_random(predicted, generator) for predicted in heads]).sum()
        gradients = torch.autograd.grad(value, list(written.values()), allow_unused=True)
        for index, gradient in zip(written, gradients, strict=True):
            if gradient is not None:
                watched[index].response += gradient.square().sum(dim=(0, 2, 3))
    if not num_images:
        raise DataError("importance 'obs' got no images; give training images")
    return watched


@contextmanager
def _written(watched: Mapping[int, _Watched]) -> Iterator[dict[int, Tensor]]:
    """Collects the outputs of convolutions while the context is open, and counts their inputs."""
    written: dict[int, Tensor] = {}

    def hook(index: int, conv: nn.Module, args: tuple[Tensor], output: Tensor) -> Tensor:
        watched[index].reads(args[0].detach())
        written[index] = output
        return output.clone()  # activations work in place

    with ExitStack() as hooks:
        for index, seen in watched.items():
            hooks.enter_context(seen.conv.register_forward_hook(partial(hook, index)))
        yield written


def position_weights(predicted: Float[Tensor, "N H W A K"]) -> Float[Tensor, "N H W"]:
    """Returns the largest objectness of the anchors at every position, and a little more for background.

    Nearly all positions are background; with equal weights they would outweigh all objects.
    """
    objectness: Tensor = predicted[..., 4].sigmoid().amax(dim=-1)
    return BACKGROUND + objectness


def _along_random(predicted: Float[Tensor, "N H W A K"], generator: torch.Generator) -> Tensor:
    """Returns what a detection layer reads along a random direction; every such layer weighs the same."""
    weights = position_weights(predicted.detach())
    share = (weights * len(predicted) / weights.sum()).sqrt()
    # Random signs: the squared gradients estimate the diagonal of the Gauss-Newton matrix (Hutchinson 1989).
    signs = 2.0 * torch.randint(0, 2, predicted.shape, generator=generator) - 1
    return (share[..., None, None] * signs.to(predicted.device) * predicted).sum()


@dataclass(frozen=True, eq=False)
class _Reader:
    """Convolution, or a part of a grouped one, and its inputs."""

    slots: IntArray  # the slot of every channel it reads
    precision: Float64[Tensor, "C C"]  # inverse covariance of its inputs
    kernel: Float64[Tensor, "C K"]  # each filter times its response; K = filters x cells

    def of(self, slots: IntArray) -> _Reading | None:
        """Returns the part that reads the slots of a group; None where it reads none."""
        channels = [np.flatnonzero(self.slots == slot) for slot in slots]
        most = max(map(len, channels))
        if not most:
            return None
        # A slot that is read less often than others is padded with channels that nothing depends on.
        spare = np.arange(len(self.slots), len(self.slots) + most)
        table = np.stack([np.append(own, spare[len(own) :]) for own in channels])
        precision = functional.pad(self.precision, (0, most, 0, most))
        precision.diagonal()[-most:] = 1
        return _Reading(torch.from_numpy(table), precision, functional.pad(self.kernel, (0, 0, 0, most)))


def _readers(model: DarknetModel, groups: Groups, watched: Mapping[int, _Watched]) -> list[_Reader]:
    """Returns every convolution but depthwise ones, whose output channels are removed with their inputs."""
    wiring = inputs(model.network)
    readers = []
    for index, seen in watched.items():
        conv = seen.conv
        if conv.groups == conv.in_channels > 1:
            continue
        covariance = seen.covariance().cpu()
        kernel = conv.weight.detach().double().cpu() * seen.response.sqrt().cpu()[:, None, None, None]
        width = conv.in_channels // conv.groups
        slots = groups.read_from(wiring[index][0])
        for number, filters in enumerate(kernel.chunk(conv.groups)):
            part = slice(number * width, (number + 1) * width)
            precision = torch.linalg.inv(covariance[part, part])
            readers.append(_Reader(slots[part], precision, filters.transpose(0, 1).flatten(1)))
    return readers


@dataclass(eq=False)
class _Reading:
    """Reader that loses the channels of one group; precision and kernel are of channels not yet removed."""

    table: Int[Tensor, "S m"]  # the m channels it reads of every slot
    precision: Float64[Tensor, "C C"]
    kernel: Float64[Tensor, "C K"]

    def costs(self, slots: Int[Tensor, " s"]) -> Float64[Tensor, " s"]:
        """Returns the error that the other channels cannot make up for, for each of `slots` alone."""
        channels = self.table[slots]
        block = self.precision[channels[:, :, None], channels[:, None, :]]
        kernel = self.kernel[channels]
        # Optimal brain surgeon: w² / [H⁻¹]_qq, over the block of channels that share a slot.
        costs: Tensor = (kernel * torch.linalg.solve(block, kernel)).sum(dim=(1, 2))
        return costs

    def lose(self, slots: Int[Tensor, " s"]) -> None:
        """Removes slots; the kernel of the other channels makes up for them."""
        removed = torch.unique(self.table[slots])
        # The update of the remaining weights, and of the inverse, by block elimination.
        towards = torch.linalg.solve(self.precision[removed][:, removed], self.precision[removed])
        self.kernel -= towards.T @ self.kernel[removed]
        self.precision -= self.precision[:, removed] @ towards
        self.kernel[removed] = 0
        self.precision[removed] = 0
        self.precision[:, removed] = 0
        self.precision[removed, removed] = 1


def _scores(num_slots: int, readings: Sequence[_Reading]) -> FloatArray:
    """Returns the cost of each slot when it is removed, the cheapest first; costs never fall."""
    scores = np.zeros(num_slots)
    left = torch.arange(num_slots)
    highest = 0.0
    while len(left):
        costs = torch.stack([reading.costs(left) for reading in readings]).sum(dim=0)
        order = costs.argsort(stable=True)[: max(1, num_slots // STEPS)]
        for slot, cost in zip(left[order].tolist(), costs[order].tolist(), strict=True):
            highest = scores[slot] = max(highest * (1 + RISE), cost)
        for reading in readings:
            reading.lose(left[order])
        left = left[~torch.isin(left, left[order])]
    return scores
