"""Recalibration: batch-normalisation statistics measured again after a cut (Li 2020)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import chain

import torch
from jaxtyping import Float
from torch import Tensor, nn

from seyolo.errors import DataError
from seyolo.torchnet.build import DarknetModel


@torch.no_grad()
def recalibrate(model: DarknetModel, batches: Iterable[Float[Tensor, "N 3 H W"]]) -> None:
    """Replaces every running mean and variance by the average over `batches`, in place.

    Nothing else changes, the model's mode included. A few dozen batches of training images are enough
    (adaptive batch normalisation, Li 2020).

    Args:
        model: the model, on any device; batches are moved there.
        batches: training images, RGB in [0, 1]; each batch weighs the same.

    Raises:
        DataError: there is not a single batch; the statistics are then as before.
    """
    iterator = iter(batches)
    first = next(iterator, None)
    if first is None:
        raise DataError("recalibration got no images; give training images")
    device = next(model.parameters()).device
    with _averaging(model):
        for batch in chain([first], iterator):
            model.forward_heads(batch.to(device))


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
