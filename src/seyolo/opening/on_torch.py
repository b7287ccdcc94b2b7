"""MODEL and its options opened: for running, for measuring, and as the start of training."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import TypedDict, Unpack

from seyolo.darknet.cfg import Network
from seyolo.darknet.edit import set_size
from seyolo.darknet.placement import GateKind
from seyolo.darknet.sections import Join
from seyolo.errors import ModelError
from seyolo.opening.description import CHECKPOINT, attention_places, describe
from seyolo.opening.network import load
from seyolo.runtime.protocol import Backend, Precision, require_size
from seyolo.runtime.torch_backend import TorchBackend, torch_device
from seyolo.torchnet.attention import attach
from seyolo.torchnet.build import DarknetModel, from_checkpoint, to_checkpoint
from seyolo.training.prepare import Attention


class ModelKeywords(TypedDict, total=False):
    """What may be said about a MODEL besides its name, see `open_model`."""

    weights: str | Path | None
    num_classes: int | None
    attention: GateKind | None
    at: str | Sequence[str]
    reduction: int
    join: Join


def open_model(
    model: str | Path,
    weights: str | Path | None = None,
    *,
    num_classes: int | None = None,
    attention: GateKind | None = None,
    at: str | Sequence[str] = (),
    reduction: int = 16,
    join: Join = "scale",
    device: str = "cpu",
    random: bool = False,
) -> DarknetModel:
    """A MODEL in evaluation mode on a device, gates attached; a `.cfg` takes the `.weights` beside it.

    Args:
        model: a zoo name, a `.cfg` or a checkpoint.
        weights, num_classes: as in `load`.
        attention, at, reduction, join: as in `train`.
        device: where it runs.
        random: random weights are welcome where none are given.

    Raises:
        ModelError: there are no weights.
    """
    target = torch_device(device)
    path = Path(model)
    if weights is None and path.suffix == ".cfg" and path.with_suffix(".weights").is_file():
        weights = path.with_suffix(".weights")
    if weights is None and path.suffix != CHECKPOINT and not random:
        describe(model)
        raise ModelError(f"{model}: has no trained weights; give them with --weights FILE")
    loaded = load(model, weights, num_classes)
    if not random:
        _require_trained(loaded, model, weights)
    gates = make_attention(loaded.network, attention, at, reduction, join)
    return (loaded if gates is None else attach(loaded, **asdict(gates))).to(target)


def _require_trained(loaded: DarknetModel, model: str | Path, weights: str | Path | None) -> None:
    """Refuses a model of which some tensors are random: it would be measured, cut or shipped as trained."""
    transfer = loaded.provenance.get("transfer")
    left = transfer.get("random", 0) if isinstance(transfer, dict) else 0
    if left:
        source = model if weights is None else f"{weights} for {model}"
        message = f"{source}: {left} tensors have no trained weights (other classes, or another network)"
        raise ModelError(f"{message}; train it first: seyolo train --model {model} --weights FILE")


def open_on_torch(
    model: str | Path,
    *,
    threads: int | None = None,
    device: str = "cpu",
    precision: Precision = "f32",
    random: bool = False,
    **options: Unpack[ModelKeywords],
) -> TorchBackend:
    """As `open_model`, as a runtime backend."""
    opened = open_model(model, device=device, random=random, **options)
    return TorchBackend(opened, threads=threads, device=device, precision=precision)


def resized(model: DarknetModel, size: int | None) -> DarknetModel:
    """The model with another square input, or itself when `size` is None."""
    if size is None:
        return model
    file = to_checkpoint(model)
    device = next(model.parameters()).device
    return from_checkpoint(replace(file, network=set_size(file.network, size, size))).to(device)


def input_size(model: DarknetModel | Backend, size: int | None) -> tuple[int, int]:
    """(height, width) of a model's input in pixels: `size` square, or its own.

    Raises:
        UsageError: another size than the one a runtime's file is made for.
    """
    if isinstance(model, DarknetModel):
        net = set_size(model.network, size, size).net if size else model.network.net
        return net.height, net.width
    return require_size(model, size)


def make_attention(
    model: str | Network, kind: GateKind | None, at: str | Sequence[str], reduction: int, join: Join
) -> Attention | None:
    """The gates asked for; without a place at the first the network has of `residual`, `neck` and `head`.

    Raises:
        UsageError: a place without a kind.
    """
    network = describe(model)[0] if isinstance(model, str) else model
    places = attention_places(network, kind, at, reduction, join)
    if kind is None:
        return None
    return Attention(kind, places, reduction, join)
