"""A trained MODEL as a torch model, for measuring, pruning and export."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path

from seyolo.darknet.edit import set_size
from seyolo.errors import ModelError
from seyolo.opening.description import CHECKPOINT, describe, gates_of
from seyolo.opening.network import load
from seyolo.options.model import NO_OPTIONS, ModelOptions
from seyolo.runtime.protocol import Backend, require_size
from seyolo.torchnet.attention import attach
from seyolo.torchnet.build import DarknetModel, from_checkpoint, to_checkpoint
from seyolo.torchnet.device import torch_device


def open_model(
    model: str | Path,
    options: ModelOptions = NO_OPTIONS,
    *,
    device: str = "cpu",
    random: bool = False,
) -> DarknetModel:
    """Opens a MODEL in evaluation mode with its gates attached; a `.cfg` takes the `.weights` beside it.

    Args:
        model: a zoo name, a `.cfg` or a checkpoint.
        options: weights, classes and gates.
        device: `cpu`, `cuda` or `cuda:N`.
        random: accept random weights where none are given.

    Raises:
        ModelError: there are no weights, or they leave tensors of the network random.
    """
    target = torch_device(device)
    path = Path(model)
    weights: Path | None = options.weights
    if weights is None and path.suffix == ".cfg" and path.with_suffix(".weights").is_file():
        weights = path.with_suffix(".weights")
    if weights is None and path.suffix != CHECKPOINT and not random:
        describe(model)
        raise ModelError(f"{model}: has no trained weights; give them with --weights FILE")
    loaded = load(model, weights, options.num_classes)
    if not random:
        _require_trained(loaded, model, weights)
    gates = gates_of(loaded.network, options)
    return (loaded if gates is None else attach(loaded, **asdict(gates))).to(target)


def _require_trained(loaded: DarknetModel, model: str | Path, weights: Path | None) -> None:
    """Refuses a model with random tensors, which would be measured, pruned or exported as if trained."""
    transfer = loaded.provenance.get("transfer")
    left = transfer.get("random", 0) if isinstance(transfer, dict) else 0
    if left:
        source = model if weights is None else f"{weights} for {model}"
        tensors = "1 tensor has" if left == 1 else f"{left} tensors have"
        message = f"{source}: {tensors} no trained weights (other classes, or another network)"
        raise ModelError(f"{message}; train it first: seyolo train --model {model} --weights FILE")


def resized(model: DarknetModel, size: int | None) -> DarknetModel:
    """Returns the model with another square input of `size` pixels, or itself when `size` is None."""
    if size is None:
        return model
    checkpoint = to_checkpoint(model)
    device = next(model.parameters()).device
    return from_checkpoint(replace(checkpoint, network=set_size(checkpoint.network, size, size))).to(device)


def input_size(model: DarknetModel | Backend, size: int | None) -> tuple[int, int]:
    """Returns (height, width) of a model's input in pixels: `size` square, or its own.

    Raises:
        UsageError: a runtime's file is made for another size.
    """
    if isinstance(model, DarknetModel):
        net = set_size(model.network, size, size).net if size else model.network.net
        return net.height, net.width
    return require_size(model, size)
