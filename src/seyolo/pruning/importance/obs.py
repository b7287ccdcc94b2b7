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

from seyolo.darknet.cfg import Network
from seyolo.darknet.cost import cost
from seyolo.darknet.graph import inputs
from seyolo.errors import DataError
from seyolo.progress import Advance, Progress, Silent
from seyolo.pruning.groups.atoms import FloatArray, IntArray
from seyolo.pruning.groups.groups import Groups, find_groups
from seyolo.torchnet.build import DarknetModel
from seyolo.torchnet.device import gains_from_bf16
from seyolo.torchnet.layers import ConvolutionLayer

RIDGE = 0.01  # relative to the mean diagonal of the input covariance
BACKGROUND = 0.02  # weight of a position without any object; a certain object weighs 1 more
STEPS = 32  # in which the channels of a group are removed
FEWEST_IMAGES, USUAL_IMAGES = 24, 64  # to measure on (decision 0020)
MOST_MACS = 780e9  # of all of them, from the fewest on: those of 24 images on YOLOv3 at 416 pixels
PART = 4  # images at a time: larger tensors take longer, in page faults
MEASURING, RANKING = "measuring importance", "ranking channels"  # titles of the progress
RISE = 1e-6  # relative step that keeps scores strictly increasing in order of removal


def num_images(network: Network) -> int:
    """Returns how many images to measure a network on: 64, and down to 24 where passes take long."""
    return min(USUAL_IMAGES, max(FEWEST_IMAGES, round(MOST_MACS / max(1, cost(network).macs))))


def obs_scores(
    model: DarknetModel,
    batches: Iterable[Float[Tensor, "N 3 H W"]],
    seed: int = 0,
    groups: Groups | None = None,
    *,
    mixed_precision: bool = True,
    progress: Progress | None = None,
    total: int | None = None,
) -> dict[int, FloatArray]:
    """Returns per convolution (filters,) scores, the same for tied channels; none for unread channels.

    Args:
        model: in evaluation mode afterwards; its weights stay as they are.
        batches: training images, RGB in [0, 1]; `num_images` tells how many are enough.
        seed: of the random directions.
        mixed_precision: bfloat16 autocast where convolutions gain from it, as in training.
        progress: receives how many images and channels are done.
        total: number of images in `batches`, for the progress; None if unknown.

    Raises:
        DataError: there is not a single image.
    """
    progress = progress or Silent()
    with progress.task(MEASURING, total) as advance:
        watched = _watch(
            model, _counted(batches, advance), torch.Generator().manual_seed(seed), mixed_precision
        )
    groups = groups or find_groups(model.network)
    readers = _readers(model, groups, watched)
    scores: dict[int, FloatArray] = {}
    with progress.task(RANKING, groups.num_slots) as advance:
        for group in groups.groups:
            reading = [own for reader in readers if (own := reader.of(group.slots)) is not None]
            if not group.fixed and reading:
                score = _scores(group.num_channels, reading)
                for layer, members in zip(group.layers, group.members, strict=True):
                    scores.setdefault(layer, np.full(len(groups.slots[layer]), np.inf))[members] = score
            advance(group.num_channels, "channels")
    return scores


def _counted(
    batches: Iterable[Float[Tensor, "N 3 H W"]], advance: Advance
) -> Iterator[Float[Tensor, "N 3 H W"]]:
    """Yields the batches in parts, and tells of each part when the next one is asked for."""
    for images in batches:
        for part in torch.split(images, PART):
            yield part
            advance(len(part), "images and augmentations")


class _Watched:
    """Inputs of one convolution over all positions seen; `response`: summed squares of outputs' gradients."""

    def __init__(self, layer: ConvolutionLayer) -> None:
        self.conv = layer.conv
        zeros = partial(torch.zeros, dtype=torch.float64, device=self.conv.weight.device)
        self.response: Float64[Tensor, " F"] = zeros(self.conv.out_channels)
        # Without batch normalisation the activation writes over the convolution's output.
        self.overwritten = isinstance(layer.bn, nn.Identity)
        self._count = 0
        self._origin: Float[Tensor, " C"] | None = None
        self._total: Float64[Tensor, " C"] = zeros(self.conv.in_channels)
        self._products: Float64[Tensor, "C C"] = zeros(self.conv.in_channels, self.conv.in_channels)

    @torch.no_grad()
    def reads(self, x: Float[Tensor, "N C H W"]) -> None:
        """Adds a batch of inputs."""
        positions = x.permute(0, 2, 3, 1).flatten(0, 2).float()
        if self._origin is None:
            self._origin = positions.mean(dim=0)
        positions = positions - self._origin  # else rounding hides the variance of nearly constant channels
        self._count += len(positions)
        self._total += positions.sum(dim=0)
        with torch.autocast(x.device.type, enabled=False):  # else the product, too, is bfloat16
            self._products += positions.T @ positions

    def answers(self, gradient: Float[Tensor, "N F H W"]) -> None:
        """Adds the gradients of a batch of outputs."""
        self.response += torch.linalg.vector_norm(gradient, dim=(0, 2, 3), dtype=torch.float32).square()

    def covariance(self) -> Float64[Tensor, "C C"]:
        """Returns the covariance of the inputs, with a ridge on its diagonal."""
        mean = self._total / self._count
        covariance = self._products / self._count - torch.outer(mean, mean)  # E[x xᵀ] - E[x] E[x]ᵀ
        covariance.diagonal().add_(RIDGE * covariance.diagonal().mean().clamp_min(1e-12))
        return covariance


def _watch(
    model: DarknetModel,
    parts: Iterable[Float[Tensor, "N 3 H W"]],
    generator: torch.Generator,
    mixed_precision: bool,
) -> dict[int, _Watched]:
    """Runs images forward and, along random directions of the outputs, backward."""
    model.eval()
    layers = enumerate(model.layers)
    watched = {index: _Watched(layer) for index, layer in layers if isinstance(layer, ConvolutionLayer)}
    device = next(model.parameters()).device
    is_mixed = mixed_precision and gains_from_bf16(device)
    is_empty = True
    for part in parts:
        is_empty = False
        images = part.to(device, memory_format=torch.channels_last).detach().requires_grad_()
        half = torch.autocast(device.type, torch.bfloat16, enabled=is_mixed)
        with _hooks(watched), half, torch.enable_grad():
            heads = model.forward_heads(images)
            value = torch.stack([_along_random(predicted.float(), generator) for predicted in heads]).sum()
        torch.autograd.grad(value, images)  # the hooks take what it passes
    if is_empty:
        raise DataError("importance 'obs' got no images; give training images")
    return watched


@contextmanager
def _hooks(watched: Mapping[int, _Watched]) -> Iterator[None]:
    """Counts the inputs of convolutions while open, and the gradients of their outputs when known."""

    def hook(seen: _Watched, conv: nn.Module, args: tuple[Tensor], output: Tensor) -> Tensor:
        seen.reads(args[0].detach())
        if output.requires_grad:  # else it is the same for all images
            output.register_hook(seen.answers)  # type: ignore[no-untyped-call]  # torch gives it no types
        return output.clone() if seen.overwritten else output

    with ExitStack() as hooks:
        for seen in watched.values():
            hooks.enter_context(seen.conv.register_forward_hook(partial(hook, seen)))
        yield


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
    gram: Float64[Tensor, "C C"]  # products of the kernels of two inputs, each filter times its response

    def of(self, slots: IntArray) -> _Reading | None:
        """Returns the part that reads the slots of a group; None where it reads none."""
        order = np.argsort(self.slots, kind="stable")
        starts, ends = (np.searchsorted(self.slots[order], slots, side) for side in ("left", "right"))
        channels = [order[start:end] for start, end in zip(starts, ends, strict=True)]
        most = max(map(len, channels))
        if not most:
            return None
        precision, gram, spare = self.precision, self.gram, 0
        if min(map(len, channels)) < most:
            # A slot that is read less often than others is padded with channels that nothing depends on.
            spare = most
            precision, gram = (functional.pad(x, (0, most, 0, most)) for x in (precision, gram))
            precision.diagonal()[-most:] = 1
        filling = np.arange(len(self.slots), len(self.slots) + spare)
        table = np.stack([np.append(own, filling[len(own) :]) for own in channels])
        return _Reading(torch.from_numpy(table), precision, gram, len(self.slots))


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
            rows = filters.transpose(0, 1).flatten(1)
            readers.append(_Reader(slots[part], torch.linalg.inv(covariance[part, part]), rows @ rows.T))
    return readers


class _Reading:
    """Reader that loses the channels of one group.

    Without channels R the inverse covariance is P - L Lᵀ, where L is the part of the Cholesky factor of P
    that belongs to R, and the Gram matrix of the kernel, which makes up for R, is G - L X - (L X)ᵀ. Costs
    need only the blocks of channels that share a slot.
    """

    def __init__(
        self,
        table: Int[Tensor, "S m"],
        precision: Float64[Tensor, "C C"],
        gram: Float64[Tensor, "C C"],
        num_channels: int,
    ) -> None:
        self._table = table  # the m channels it reads of every slot
        self._precision, self._gram, self._num_channels = precision, gram, num_channels
        self._factor = precision.new_zeros(len(precision), 0)  # L
        self._change = precision.new_zeros(0, len(precision))  # X
        self._own = [x[table[:, :, None], table[:, None, :]] for x in (precision, gram)]

    def costs(self, slots: Int[Tensor, " s"]) -> Float64[Tensor, " s"]:
        """Returns the error that the other channels cannot make up for, for each of `slots` alone."""
        precision, gram = (own[slots] for own in self._own)
        # Optimal brain surgeon: w² / [H⁻¹]_qq, over the block of channels that share a slot.
        costs: Tensor = torch.linalg.solve(precision, gram).diagonal(dim1=1, dim2=2).sum(dim=1)
        return costs

    def lose(self, slots: Int[Tensor, " s"]) -> None:
        """Removes slots; the kernel of the other channels makes up for them."""
        removed = torch.unique(self._table[slots])
        removed = removed[removed < self._num_channels]  # padding is shared by slots that stay
        factor, change = self._factor, self._change
        precision = self._precision[removed] - factor[removed] @ factor.T
        gram = self._gram[removed] - factor[removed] @ change - change[:, removed].T @ factor.T
        root = torch.linalg.cholesky(precision[:, removed])
        new = torch.linalg.solve_triangular(root, precision, upper=False)  # further columns of L, transposed
        towards = torch.linalg.solve_triangular(root.T, new, upper=True)  # P_RR⁻¹ P_R
        rest = gram - gram[:, removed] @ towards / 2
        change = torch.linalg.solve_triangular(root, rest, upper=False)
        self._factor = torch.cat([factor, new.T], dim=1)
        self._change = torch.cat([self._change, change])
        left, right = new.T[self._table], change.T[self._table]
        both = left @ right.mT
        self._own[0] -= left @ left.mT
        self._own[1] -= both + both.mT


def _scores(num_slots: int, readings: Sequence[_Reading]) -> FloatArray:
    """Returns the cost of each slot when it is removed, the cheapest first; costs never fall."""
    scores = np.zeros(num_slots)
    left = torch.arange(num_slots)
    highest = 0.0
    while len(left):
        costs = torch.stack([reading.costs(left) for reading in readings]).sum(dim=0)
        order = costs.argsort(stable=True)[: max(1, num_slots // STEPS)]
        for slot, own in zip(left[order].tolist(), costs[order].tolist(), strict=True):
            highest = scores[slot] = max(highest * (1 + RISE), own)
        for reading in readings:
            reading.lose(left[order])
        left = left[~torch.isin(left, left[order])]
    return scores
