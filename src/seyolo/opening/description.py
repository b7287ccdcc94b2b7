"""Description of a MODEL: a zoo name, a `.cfg`, a checkpoint or a shipped detector. No torch."""

from __future__ import annotations

import difflib
from dataclasses import asdict, dataclass
from pathlib import Path

from seyolo.checkpoint import Checkpoint, read_checkpoint
from seyolo.darknet.cfg import Network, read_cfg
from seyolo.darknet.edit import attach, set_classes
from seyolo.darknet.placement import GateKind, default_site
from seyolo.darknet.sections import Join
from seyolo.darknet.zoo import ZOO, is_zoo_name, network_from_name
from seyolo.errors import ModelError, UsageError
from seyolo.options.model import ModelOptions
from seyolo.runtime.foreign import OF_A_RUN
from seyolo.runtime.shipped import CHECKPOINT, is_checkpoint, network_path, shipped_names


@dataclass(frozen=True)
class Attention:
    """Gates to attach: the arguments of `attach`."""

    kind: GateKind
    at: tuple[str, ...] = ("residual",)
    reduction: int = 16
    join: Join = "scale"


def darknet_files(cfg: Path) -> tuple[Path, Path, Path]:
    """Returns a cfg, its weights and its class names, which are written where the model has any."""
    return cfg, cfg.with_suffix(".weights"), cfg.with_suffix(".names")


def weights_beside(model: str | Path) -> Path | None:
    """Returns the `.weights` file of the same name beside a `.cfg`; None where there is none."""
    path = Path(model)
    weights = path.with_suffix(".weights")
    return weights if path.suffix == ".cfg" and weights.is_file() else None


def describe(model: str | Path, num_classes: int | None = None) -> tuple[Network, Checkpoint | None]:
    """Returns the description of a MODEL, and the checkpoint that holds it, if there is one.

    `num_classes` is for a zoo network; a file keeps its own.

    Raises:
        ModelError: an unknown name, or a missing or damaged checkpoint.
        CfgError: a cfg that cannot be read.
        UsageError: a file of another kind, or a shipped detector without a checkpoint.
    """
    path = network_path(model)
    if is_zoo_name(str(model)):
        return network_from_name(str(model), num_classes), None
    if is_checkpoint(path):
        checkpoint = read_checkpoint(path)
        return checkpoint.network, checkpoint
    if path.suffix == ".cfg":
        return read_cfg(path), None
    if path.suffix == ".weights":
        cfg = path.with_suffix(".cfg")
        advice = f"give {cfg}" if cfg.is_file() else "give its .cfg as the model and this as weights"
        raise UsageError(f"{path}: weights alone are no model; {advice}")
    if path.is_dir():
        inside = [str(path / name) for name in OF_A_RUN if (path / name).is_file()]
        advice = f"its models are {' and '.join(inside)}" if inside else "give a model, not a folder"
        raise UsageError(f"{path}: is a folder; {advice}")
    if path.suffix or path.exists():
        runs = "detect, val and benchmark take .onnx, .xml, .ncnn.param, .mnn and .tflite, too"
        zoo = f"one of {', '.join(ZOO)} (a gate in front, as in se-yolov3, @WIDTH behind)"
        raise UsageError(f"{path}: a model is a .cfg, a {CHECKPOINT} checkpoint, hand, or {zoo}; {runs}")
    if near := difflib.get_close_matches(str(model), shipped_names(), 1):
        raise ModelError(
            f"there is no model {str(model)!r}; did you mean {near[0]}, which comes with seyolo?"
        )
    return network_from_name(str(model), num_classes), None


def gates_of(network: Network, options: ModelOptions) -> Attention | None:
    """Returns the gates that the options ask for; None without attention.

    Without a site the gates are attached at the first that the network has of `residual`, `neck`, `head`.
    """
    if options.attention is None:
        return None
    sites = options.at or (default_site(network, options.attention),)
    return Attention(options.attention, tuple(sites), options.reduction, options.join)


def with_options(network: Network, options: ModelOptions) -> Network:
    """Returns the network with the classes and gates of the options; a ModelError refuses a missing site."""
    if options.num_classes is not None:
        network = set_classes(network, options.num_classes)
    gates = gates_of(network, options)
    return network if gates is None else attach(network, **asdict(gates)).network
