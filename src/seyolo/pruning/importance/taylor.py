"""Taylor importance: expected change of the loss without a channel, to first order (Molchanov 2019).

Batch normalisation scales a channel by γ and shifts it by β, so removing the channel changes the loss by
γ·∂L/∂γ + β·∂L/∂β to first order. Its score is the root mean square of that over batches.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from seyolo.errors import DataError
from seyolo.progress import Progress, Silent
from seyolo.pruning.importance.obs import MEASURING
from seyolo.torchnet.build import DarknetModel
from seyolo.torchnet.layers import ConvolutionLayer
from seyolo.training.loss import DetectionLoss, LossModule, split_targets


def taylor_scores(
    model: DarknetModel, batches: Iterable[tuple[Tensor, Tensor]], progress: Progress | None = None
) -> dict[int, NDArray[np.float64]]:
    """Returns per convolution (filters,) the root mean square of the expected change of the loss.

    Args:
        model: in evaluation mode afterwards; its weights stay as they are.
        batches: images (N, 3, H, W) uint8 RGB and targets (M, 6), as `TrainingLoader` gives them.
        progress: receives how many images are done.

    Raises:
        DataError: there is not a single batch.
    """
    model.eval()
    module = LossModule(model, DetectionLoss(model.heads))
    device = next(model.parameters()).device
    totals: dict[int, Tensor] = {}
    count = 0
    with (progress or Silent()).task(MEASURING, None) as advance:
        for images, targets in batches:
            model.zero_grad()
            value, _ = module(
                images.to(device).float() / 255, *(x.to(device) for x in split_targets(targets))
            )
            value.backward()
            for index, change in _changes(model):
                totals[index] = totals.get(index, torch.zeros_like(change)) + change.square()
            count += 1
            advance(len(images), "images and augmentations")
    model.zero_grad()
    if not count:
        raise DataError("Taylor importance got no images; give training images")
    return {index: (total / count).sqrt().double().cpu().numpy() for index, total in totals.items()}


def _changes(model: DarknetModel) -> Iterable[tuple[int, Tensor]]:
    """Yields per convolution the first-order change of the loss without each output channel."""
    for index, layer in enumerate(model.layers):
        if not isinstance(layer, ConvolutionLayer):
            continue
        affine: Any = layer.bn if layer.conv.bias is None else layer.conv
        if affine.weight.requires_grad:  # a frozen layer has no score, so its channels are kept
            by_weight = _product(affine.weight).reshape(len(affine.weight), -1).sum(dim=1)
            yield index, by_weight + _product(affine.bias)  # γ ∂L/∂γ + β ∂L/∂β, or of kernel and bias


def _product(parameter: Any) -> Tensor:
    assert parameter.grad is not None
    product: Tensor = parameter.detach() * parameter.grad
    return product
