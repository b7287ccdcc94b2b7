"""What a MODEL is, as a description: a zoo name, a `.cfg` or a `.safetensors` checkpoint. No torch."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from seyolo.checkpoint import Checkpoint, read_checkpoint
from seyolo.darknet.cfg import Network, read_cfg
from seyolo.darknet.placement import GateKind, default_place
from seyolo.darknet.zoo import ZOO, is_zoo_name, network_from_name
from seyolo.errors import UsageError
from seyolo.runtime.shipped import refuse_shipped

CHECKPOINT = ".safetensors"


def describe(model: str | Path, num_classes: int | None = None) -> tuple[Network, Checkpoint | None]:
    """The description of a MODEL, and the checkpoint it came in if it did.

    Args:
        model: a zoo name, a `.cfg` or a `.safetensors` checkpoint.
        num_classes: of a zoo network; a file keeps its own.

    Raises:
        ModelError: an unknown name, or a missing or damaged checkpoint.
        CfgError: a cfg that cannot be read.
        UsageError: a file of another kind, or a shipped detector.
    """
    refuse_shipped(model)
    path = Path(model)
    if is_zoo_name(str(model)):
        return network_from_name(str(model), num_classes), None
    if path.suffix == CHECKPOINT:
        file = read_checkpoint(path)
        return file.network, file
    if path.suffix == ".cfg":
        return read_cfg(path), None
    if path.suffix == ".weights":
        raise UsageError(
            f"{path}: weights alone are no model; give its .cfg as the model and this as weights"
        )
    if path.suffix or path.exists():
        message = f"{path}: a model is a .cfg, a {CHECKPOINT} checkpoint"
        raise UsageError(f"{message}, or one of {', '.join(ZOO)} (se- or cbam- in front, @WIDTH behind)")
    return network_from_name(str(model), num_classes), None


def attention_places(
    network: Network, kind: GateKind | None, at: str | Sequence[str], reduction: int = 16, join: str = "scale"
) -> tuple[str, ...]:
    """Where gates go: the places named, or the first the network has of `residual`, `neck` and `head`.

    Raises:
        UsageError: places, a reduction or a way to join without a kind of attention.
    """
    places = (at,) if isinstance(at, str) else tuple(at)
    if kind is None and places:
        raise UsageError("--at says where attention goes; say which with --attention se or cbam")
    if kind is None and (reduction, join) != (16, "scale"):
        raise UsageError("--reduction and --join shape attention; say which with --attention se or cbam")
    return places or (default_place(network, kind),) if kind is not None else ()
