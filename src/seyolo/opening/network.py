"""Torch models by name or file: `load`, `open_model` (trained, to measure, prune and export), `save`."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, replace
from pathlib import Path
from typing import NamedTuple

import torch

from seyolo.checkpoint import Checkpoint, State, read_checkpoint, reorder_classes, write_checkpoint
from seyolo.class_names import default_names, is_default, listed, names_beside, read_names, same_classes
from seyolo.darknet.cfg import Network
from seyolo.darknet.edit import set_classes, set_size
from seyolo.darknet.graph import detection_layers
from seyolo.darknet.graph import num_classes as count_classes
from seyolo.darknet.weights import read_weights, tensor_shapes, write_weights
from seyolo.darknet.zoo import is_zoo_name, network_from_name
from seyolo.errors import ModelError, UsageError, WeightsError, counted
from seyolo.files import replacing, write_text
from seyolo.opening.description import darknet_files, describe, gates_of, weights_beside
from seyolo.options.model import NO_OPTIONS, ModelOptions
from seyolo.runtime.choice import check_threads
from seyolo.runtime.protocol import Backend, class_names, require_size
from seyolo.runtime.shipped import CHECKPOINT, is_checkpoint, network_path
from seyolo.sizes import InputSize, size_hw
from seyolo.torchnet.attention import attach
from seyolo.torchnet.build import DarknetModel, build, from_checkpoint, to_checkpoint
from seyolo.torchnet.device import torch_device


def load(
    model: str | Path,
    weights: str | Path | None = None,
    num_classes: int | None = None,
    names: Sequence[str] | None = None,
    generator: torch.Generator | None = None,
    *,
    own_names: Sequence[str] | None = None,
) -> DarknetModel:
    """Loads a model in evaluation mode.

    Where the weights are for another number of classes, the convolutions in front of `[yolo]` are initialised
    at random and all other tensors are copied; `provenance["transfer"]` counts both. Weights of the classes
    of `names` in another order follow the names; a warning tells where names differ.

    Args:
        model: a zoo name, a `.cfg`, a `.safetensors` checkpoint or a shipped detector.
        weights: Darknet weights, whole or a backbone (`darknet53.conv.74`), or a checkpoint, of which every
            tensor of equal name and shape is copied; where all are equal, also its anchors and class names.
            A checkpoint as MODEL has its own; otherwise the weights are random.
        num_classes: by default the number of `names`, or that of the description.
        names: one name per class of the result.
        generator: of random weights.
        own_names: one name per class of the weights, instead of those in the file or beside a `.cfg`.

    Raises:
        ModelError: an unknown name, a missing or damaged checkpoint, or weights of which no tensor fits.
        CfgError, WeightsError: a damaged file.
        UsageError: `names` and `num_classes` disagree, or a file of another kind.
        BackendError: `own_names` are not as many as the classes.

    Example:
        >>> model = seyolo.load("yolov3-tiny@0.125", names=["hand"])
        >>> model.names, model.provenance["weights"]
        (('hand',), 'random')
    """
    if names is not None and num_classes is not None and len(names) != num_classes:
        raise UsageError(
            f"{counted(len(names), 'name')} for num_classes={num_classes}: give as many, or only the names"
        )
    origin = _origin(model, weights, len(names) if names is not None else num_classes)
    network, own, given = origin.network, origin.own, own_names
    if own is not None:
        own = _renamed(own, own_names, origin.model)
        names = own.names if names is None and network is origin.described else names
    elif given is None and Path(origin.model).suffix == ".cfg":
        given = _beside(origin, names)
    sources = [] if own is None else [(own, str(origin.model))]
    if origin.weights is not None:
        read = _read_weights(origin.model, origin.weights, origin.described, given)
        sources.append((_renamed(read, own_names, origin.weights), str(origin.weights)))
    provenance = dict(own.provenance) if own is not None else {}
    state: State = {}
    for source, source_name in sources:
        _take(state, _with_classes(source, names, source_name).state, network, provenance, source_name)
    if names is None:
        count = count_classes(network)
        names = _fitting(given, count) if own_names is None else class_names(own_names, count, model)
    return _built(network, state, names, provenance, generator)


def _beside(origin: _Origin, names: Sequence[str] | None) -> tuple[str, ...] | None:
    """Returns the names beside the cfg; None where the result has other names and nothing to reorder."""
    count = count_classes(origin.described)
    if names is not None and (origin.weights is None or len(names) != count):
        return None
    return names_beside(Path(origin.model), count)


class _Origin(NamedTuple):
    """Files of a model that is loaded."""

    model: str | Path
    weights: Path | None
    described: Network
    network: Network  # with the wanted number of classes
    own: Checkpoint | None  # that holds the description


def _origin(model: str | Path, weights: str | Path | None, num_classes: int | None) -> _Origin:
    described, own = describe(model, num_classes)
    network = described
    if num_classes not in (None, count_classes(described)):
        network = set_classes(described, num_classes)
    if own is None and is_checkpoint(weights):
        assert weights is not None
        file = read_checkpoint(network_path(weights))
        if tensor_shapes(file.network) == tensor_shapes(network):  # the whole model: its anchors apply, too
            return _Origin(weights, None, file.network, file.network, file)
    return _Origin(model, None if weights is None else Path(weights), described, network, own)


def _built(
    network: Network,
    state: State,
    names: Sequence[str],
    provenance: dict[str, object],
    generator: torch.Generator | None,
) -> DarknetModel:
    """Returns the model of a state; tensors that it lacks are initialised at random."""
    if len(state) == len(tensor_shapes(network)):
        return from_checkpoint(Checkpoint(network, state, tuple(names), provenance)).eval()
    loaded = build(network, names, generator)
    loaded.load_state_dict(
        loaded.state_dict() | {name: torch.from_numpy(value) for name, value in state.items()}
    )
    loaded.provenance |= provenance
    return loaded.eval()


def open_model(
    model: str | Path,
    options: ModelOptions = NO_OPTIONS,
    *,
    device: str = "cpu",
    random: bool = False,
    threads: int | None = None,
) -> DarknetModel:
    """Opens a MODEL in evaluation mode with its gates attached; a `.cfg` takes the `.weights` beside it.

    Args:
        model: a zoo name, a `.cfg`, a checkpoint or a shipped detector.
        options: weights, names, classes and gates.
        device: `cpu`, `cuda` or `cuda:N`.
        random: accept random weights where none are given.
        threads: of the CPU, for PyTorch in this process; by default it chooses.

    Raises:
        ModelError: there are no weights, or they leave tensors of the network random.

    Example:
        >>> seyolo.api.open_model("hand.safetensors").names
        ('hand',)
    """
    target = torch_device(device)
    check_threads(threads)
    if threads is not None:
        torch.set_num_threads(threads)
    path, weights = Path(model), options.weights
    if weights is None:
        weights = weights_beside(path)
    if weights is None and not is_checkpoint(model) and not random:
        describe(model)
        raise ModelError(f"{model}: has no trained weights; give them with --weights FILE")
    names = None if options.names is None else read_names(options.names)
    num_classes = options.num_classes
    if names is not None and num_classes is None and is_zoo_name(str(model)):
        num_classes = len(names)
    loaded = load(model, weights, num_classes, own_names=names)
    if not random:
        _require_trained(loaded, model, weights)
    gates = gates_of(loaded.network, options)
    return (loaded if gates is None else attach(loaded, **asdict(gates))).to(target)


def _require_trained(loaded: DarknetModel, model: str | Path, weights: Path | None) -> None:
    """Refuses a model with random tensors, which would be measured, pruned or exported as if trained."""
    transfer = loaded.provenance.get("transfer")
    if left := transfer.get("random", 0) if isinstance(transfer, dict) else 0:
        source = model if weights is None else f"{weights} for {model}"
        tensors = f"{counted(left, 'tensor')} {'has' if left == 1 else 'have'}"
        message = f"{source}: {tensors} no trained weights (other classes, or another network)"
        raise ModelError(f"{message}; train it first: seyolo train --model {model} --weights FILE")


def resized(model: DarknetModel, size: InputSize | None) -> DarknetModel:
    """Returns the model with another input, or itself when `size` is None.

    Args:
        model: stays as it is.
        size: pixels, the side of a square or (height, width).

    Example:
        >>> seyolo.api.resized(seyolo.load("yolov3-tiny"), 320).network.net.width
        320
    """
    if size is None:
        return model
    checkpoint = to_checkpoint(model)
    device = next(model.parameters()).device
    return from_checkpoint(replace(checkpoint, network=set_size(checkpoint.network, *size_hw(size)))).to(
        device
    )


def input_size(model: DarknetModel | Backend, size: InputSize | None) -> tuple[int, int]:
    """Returns (height, width) of a model's input in pixels: that of `size`, or its own.

    Raises:
        UsageError: a runtime's file is made for another size.

    Example:
        >>> seyolo.api.input_size(seyolo.load("yolov3-tiny"), 320)
        (320, 320)
    """
    if isinstance(model, DarknetModel):
        net = set_size(model.network, *size_hw(size)).net if size else model.network.net
        return net.height, net.width
    return require_size(model, size)


def save(model: DarknetModel, path: str | Path) -> None:
    """Writes a model: `.safetensors` holds everything; `.cfg` writes Darknet's files, see `darknet_files`.

    Raises:
        UsageError: another ending.
        ExportError: a network that Darknet cannot express.

    Example:
        >>> seyolo.save(seyolo.load("yolov3-tiny@0.125", names=["hand"]), "tiny.safetensors")
        >>> seyolo.load("tiny.safetensors").names
        ('hand',)
    """
    path = Path(path)
    if path.suffix == CHECKPOINT:
        write_checkpoint(path, to_checkpoint(model))
    elif path.suffix == ".cfg":
        with written_darknet(path, to_checkpoint(model)):
            pass
    else:
        raise UsageError(f"{path}: a model is saved as {CHECKPOINT} or .cfg; `seyolo export` writes .onnx")


@contextmanager
def written_darknet(cfg: Path, model_file: Checkpoint) -> Iterator[tuple[Path, Path]]:
    """Yields a new cfg and weights, which replace the old ones when the block succeeds.

    The file of class names follows; where the model has none, that of the old files is removed.
    """
    _, weights, names_file = darknet_files(cfg)
    with replacing(cfg) as new_cfg, replacing(weights) as new_weights:
        new_cfg.write_text(model_file.network.to_cfg(), encoding="utf-8")
        write_weights(new_weights, model_file.network, model_file.state)
        yield new_cfg, new_weights
    if is_default(model_file.names):
        names_file.unlink(missing_ok=True)
    else:
        write_text(names_file, "".join(" ".join(name.split()) + "\n" for name in model_file.names))


def _read_weights(
    model: str | Path, weights: Path, described: Network, names: Sequence[str] | None
) -> Checkpoint:
    """Reads weights for a MODEL of this description; Darknet's get the names if they are as many."""
    weights = network_path(weights)
    if weights.suffix == CHECKPOINT:
        return read_checkpoint(weights)
    try:
        return Checkpoint(
            described, read_weights(weights, described), _fitting(names, count_classes(described))
        )
    except WeightsError:
        # Published weights of a zoo network are for its own 80 classes.
        if not is_zoo_name(str(model)) or not weights.is_file():
            raise
        network = network_from_name(str(model))
        with suppress(WeightsError):
            return Checkpoint(
                network, read_weights(weights, network), _fitting(names, count_classes(network))
            )
        raise


def _fitting(names: Sequence[str] | None, count: int) -> tuple[str, ...]:
    """Returns the names if they are as many, else default names."""
    return tuple(names) if names is not None and len(names) == count else default_names(count)


def _renamed(checkpoint: Checkpoint, names: Sequence[str] | None, source: str | Path) -> Checkpoint:
    """Returns the checkpoint with these class names, if any; refuses another number."""
    if names is None:
        return checkpoint
    return replace(checkpoint, names=class_names(names, len(checkpoint.names), source))


def _with_classes(checkpoint: Checkpoint, names: Sequence[str] | None, source: str) -> Checkpoint:
    """Returns the checkpoint with its classes in the order of `names`, if they are as many.

    Classes that only one side names follow by number, with a warning.
    """
    if names is None or len(names) != len(checkpoint.names):
        return checkpoint
    order = same_classes(names, checkpoint.names)
    if None in order:
        left = iter(sorted(set(range(len(names))) - set(order)))
        order = tuple(next(left) if index is None else index for index in order)
        lists = f"its classes are {listed(checkpoint.names)}, here they are {listed(names)}"
        warnings.warn(f"{source}: {lists}; those of other names take over weights by number", stacklevel=4)
    if order == tuple(range(len(names))):
        return checkpoint
    return reorder_classes(checkpoint, [index for index in order if index is not None])


def _take(
    state: State, source: State, network: Network, provenance: dict[str, object], source_name: str
) -> None:
    """Copies every tensor of equal name and shape to `state`, and records their number in `provenance`."""
    shapes = tensor_shapes(network)
    fitting = {name: array for name, array in source.items() if shapes.get(name) == array.shape}
    if not fitting:
        raise ModelError(f"{source_name}: none of its tensors ({len(source)}) fits {network.source}")
    before_heads = [f"layers.{layer - 1}.conv" for layer in detection_layers(network)]
    heads = {f"{conv}.{part}" for conv in before_heads for part in ("weight", "bias")}
    if source.keys() - fitting.keys() - heads:
        message = (
            f"{source_name}: only {len(fitting)} of {counted(len(source), 'tensor')} fit {network.source}"
        )
        warnings.warn(f"{message}; the other tensors keep their initial values", stacklevel=3)
    state |= fitting
    left = len(shapes.keys() - state.keys())
    provenance["transfer"] = {"source": source_name, "taken": len(fitting), "random": left}
