"""Repair of a pruned network: least-squares reconstruction of its kernels, recalibration of its statistics.

Reconstruction lets kept channels make up for removed ones. Dense and pruned network run on the same
calibration images, layer by layer. Each convolution of the pruned network gets the kernel that comes nearest
to the output of the dense convolution from the pruned input, with a ridge that pulls towards the kernel it
had (He 2017, channel pruning; here for every convolution in order, so that each repairs the errors of the
layers in front of it). For the convolutions that detect, positions are weighted by the objectness of the
dense network: nearly all positions are background, and equal weights would fit them instead of objects.

Recalibration measures the batch-normalisation statistics again (Li 2020).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import chain

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from seyolo.darknet.cost import cost
from seyolo.darknet.edit import remove_blocks
from seyolo.darknet.graph import IMAGE, inputs
from seyolo.errors import DataError
from seyolo.progress import Progress, Silent
from seyolo.pruning.importance.obs import RIDGE, position_weights
from seyolo.pruning.planning.plan import Plan
from seyolo.torchnet.build import DarknetModel
from seyolo.torchnet.head import YoloHead
from seyolo.torchnet.layers import ConvolutionLayer

REPAIRING = "repairing"  # title of the progress
ROWS_PER_UNKNOWN = 4
LEAST_ROWS = 16384
MOST_NUMBERS = 1 << 28
MOST_UNKNOWNS = 9216


@torch.no_grad()
def reconstruct(
    slim: DarknetModel,
    dense: DarknetModel,
    plan: Plan,
    batches: Iterable[Float[Tensor, "N 3 H W"]],
    progress: Progress | None = None,
) -> None:
    """Fits the kernels of a pruned model to the outputs of the dense model, in place.

    Batch normalisation takes the dense statistics, corrected for the constant part; recalibrate afterwards.
    Grouped and depthwise convolutions, and those with more than 9,216 inputs per output, do not change.

    Args:
        dense: the model before the cut; both are in evaluation mode afterwards.
        batches: training images, RGB in [0, 1]; some 64 are enough. All are held in memory, with the
            activations that are still needed.
        progress: receives how much of the arithmetic is done, in percent.

    Raises:
        DataError: there is not a single image.
        PlanError: the plan is not for `dense`.
    """
    batches = list(batches)
    if not batches:
        raise DataError("reconstruction got no images; give training images")
    images = torch.cat(batches).to(next(dense.parameters()).device)
    masks = [torch.from_numpy(mask) for mask in plan.masks(dense.network)]
    layer_map = remove_blocks(dense.network, plan.blocks_removed).layer_map
    dense.eval()
    slim.eval()
    seen, ours = _Walk(dense, images), _Walk(slim, images)
    readers = zip(seen.wiring, dense.layers, strict=True)
    heads = {sources[0]: layer for sources, layer in readers if isinstance(layer, YoloHead)}
    work = np.cumsum(list(_work(slim, dense, layer_map, images)))
    percent = np.diff(np.floor(100 * work / work[-1]), prepend=0)
    with (progress or Silent()).task(REPAIRING, 100) as advance:
        for index, new in enumerate(layer_map):
            if new is not None:
                layer, target = slim.layers[new], dense.layers[index]
                if isinstance(layer, ConvolutionLayer) and isinstance(target, ConvolutionLayer):
                    wanted = target.conv(seen.read(index))[:, masks[index]]
                    weights = position_weights(heads[index](wanted)).flatten() if index in heads else None
                    normalisation = _normalisation(target, masks[index])
                    _fit(layer, ours.read(new), wanted, normalisation, weights=weights, seed=index)
                ours.advance(new)
            seen.advance(index)
            advance(int(percent[index]), "percent")


def _work(
    slim: DarknetModel, dense: DarknetModel, layer_map: Sequence[int | None], images: Tensor
) -> Iterator[float]:
    """Yields the multiply-accumulates of the repair of each dense layer: runs, products and solution."""
    num, _, *size = images.shape
    before, after = (cost(model.network, *size).layers for model in (dense, slim))
    for index, new in enumerate(layer_map):
        work = 2 * num * before[index].macs
        if new is not None:
            work += num * after[new].macs
            if isinstance(layer := slim.layers[new], ConvolutionLayer):
                unknowns = layer.conv.weight[0].numel()
                rows = min(
                    num * math.prod(after[new].shape.size), max(ROWS_PER_UNKNOWN * unknowns, LEAST_ROWS)
                )
                work += rows * unknowns * (unknowns + 2 * len(layer.conv.weight)) + unknowns**3
        yield work


class _Walk:
    """Run of a network layer by layer; outputs are freed after their last reader."""

    def __init__(self, model: DarknetModel, images: Tensor) -> None:
        self.model = model
        self.wiring = inputs(model.network)
        self.outputs: dict[int, Tensor] = {IMAGE: images}
        self.last_use = {source: index for index, sources in enumerate(self.wiring) for source in sources}

    def read(self, index: int) -> Tensor:
        """Returns the first input of a layer."""
        return self.outputs[self.wiring[index][0]]

    def advance(self, index: int) -> None:
        """Computes the output of a layer."""
        layer = self.model.layers[index]
        sources = [self.outputs[source] for source in self.wiring[index]]
        if not isinstance(layer, YoloHead):
            self.outputs[index] = layer(*sources)
        for source in {*self.wiring[index], index}:
            if self.last_use.get(source, -1) <= index:
                self.outputs.pop(source, None)


def _normalisation(layer: ConvolutionLayer, kept: Tensor) -> tuple[Tensor, Tensor] | None:
    bn = layer.bn
    if not isinstance(bn, nn.BatchNorm2d) or bn.running_mean is None or bn.running_var is None:
        return None
    return bn.running_mean[kept], bn.running_var[kept]


def _fit(
    layer: ConvolutionLayer,
    read: Float[Tensor, "N C H W"],
    wanted: Float[Tensor, "N F P Q"],
    normalisation: tuple[Tensor, Tensor] | None,
    *,
    weights: Float[Tensor, " N*P*Q"] | None,
    seed: int,
) -> None:
    """Solves for the kernel and the constant of one slim convolution, from what it reads and should answer.

    `normalisation` is the dense running mean and variance of the kept channels; None where there is a bias.
    `weights` are of the positions, None for equal ones; `seed` chooses positions where there are too many.
    """
    weight = layer.conv.weight
    num_unknowns = weight[0].numel()
    if layer.conv.groups > 1 or num_unknowns > MOST_UNKNOWNS:
        return
    num_rows = wanted.shape[0] * wanted.shape[2] * wanted.shape[3]
    most = MOST_NUMBERS // num_unknowns
    if weights is None:
        most = min(max(ROWS_PER_UNKNOWN * num_unknowns, LEAST_ROWS), most)
    rows = torch.randperm(num_rows, generator=torch.Generator().manual_seed(seed))[:most].to(wanted.device)
    x = _patches(layer.conv, read, rows, wanted.shape[2:])
    y = wanted.permute(0, 2, 3, 1).reshape(num_rows, -1)[rows] - x @ weight.flatten(1).T
    share = torch.ones(len(rows), 1, device=x.device) if weights is None else weights[rows, None]
    share = share / share.sum()
    x_mean, y_mean = (share * x).sum(dim=0), (share * y).sum(dim=0)
    x, y = x - x_mean, y - y_mean
    weighted = share * x
    # Ridge regression of the error on the input: (XᵀWX + λI) Δ = XᵀW (Y - X K).
    energy = (weighted.T @ x).double()
    energy.diagonal().add_(RIDGE * energy.diagonal().mean().clamp_min(1e-12))
    change = torch.linalg.solve(energy, (weighted.T @ y).double()).float()
    constant = y_mean - x_mean @ change
    weight.add_(change.T.reshape(weight.shape))
    if layer.conv.bias is not None:
        layer.conv.bias.copy_(constant)
    if normalisation is not None:
        layer.bn.load_state_dict(
            {"running_mean": normalisation[0] - constant, "running_var": normalisation[1]}, strict=False
        )


def _patches(conv: nn.Conv2d, read: Tensor, rows: Tensor, shape: torch.Size) -> Tensor:
    """Returns (rows, channels x kernel²) the inputs of the kernel at the positions numbered `rows`."""
    height, width = shape
    image, position = rows // (height * width), rows % (height * width)
    top, left = position // width * conv.stride[0], position % width * conv.stride[1]
    padded = functional.pad(read, [int(conv.padding[0])] * 4)
    columns = [
        padded[image, :, top + dy * conv.dilation[0], left + dx * conv.dilation[1]]
        for dy in range(conv.kernel_size[0])
        for dx in range(conv.kernel_size[1])
    ]
    return torch.stack(columns, dim=2).flatten(1)


@torch.no_grad()
def recalibrate(
    model: DarknetModel,
    batches: Iterable[Float[Tensor, "N 3 H W"]],
    progress: Progress | None = None,
    total: int | None = None,
) -> None:
    """Replaces every running mean and variance by the average over `batches`, in place.

    Nothing else changes, the model's mode included. A few dozen batches of training images, RGB in [0, 1],
    are enough (adaptive batch normalisation, Li 2020). Each batch weighs the same. `total` is the number of
    images, for the progress; None if unknown.

    Raises:
        DataError: there is not a single batch; the statistics are then as before.
    """
    iterator = iter(batches)
    first = next(iterator, None)
    if first is None:
        raise DataError("recalibration got no images; give training images")
    device = next(model.parameters()).device
    with _averaging(model), (progress or Silent()).task(REPAIRING, total) as advance:
        for batch in chain([first], iterator):
            model.forward_heads(batch.to(device))
            advance(len(batch), "images")


@contextmanager
def _averaging(model: nn.Module) -> Iterator[None]:
    """Lets batch normalisation average from scratch; all other modules are in evaluation mode."""
    norms = [module for module in model.modules() if isinstance(module, nn.BatchNorm2d)]
    modes = [(module, module.training) for module in model.modules()]
    momenta = [norm.momentum for norm in norms]
    model.eval()
    for norm in norms:
        norm.train()
        norm.reset_running_stats()
        norm.momentum = None  # torch takes None as the plain average over all batches
    try:
        yield
    finally:
        for norm, momentum in zip(norms, momenta, strict=True):
            norm.momentum = momentum
        for module, training in modes:
            module.training = training
