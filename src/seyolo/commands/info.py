"""`seyolo info`: layers, parameters and MACs of a network; no PyTorch needed."""

from __future__ import annotations

from pathlib import Path

from rich.console import Group

from seyolo.commands.options import MODEL_DEFAULTS, Json, ModelOptions
from seyolo.commands.output import check_target, show, table
from seyolo.darknet.cfg import Network
from seyolo.darknet.cost import Cost, cost
from seyolo.darknet.edit import set_classes, set_size
from seyolo.darknet.graph import detection_layers, num_classes
from seyolo.darknet.sections import Convolutional
from seyolo.darknet.weights import read_weights
from seyolo.described import CHECKPOINT, describe
from seyolo.model_file import read_model_file


def info(
    model: str,
    /,
    *,
    size: int | None = None,
    start: ModelOptions = MODEL_DEFAULTS,
    json: Json = None,
) -> None:
    """Layers, parameters and MACs of a network.

    Parameters are those that are learned, without running statistics; MACs are multiply-accumulates of the
    convolutions for one picture.

    Args:
        model: a zoo name, a .cfg or a checkpoint.
        size: side of the square input in pixels; by default the network's.
        json: write the result here as JSON, too; - is stdout.
    """
    check_target(json)
    network, file = describe(model, start.num_classes)
    if start.weights is not None:
        _check_weights(start.weights, network)
    if start.num_classes is not None:
        network = set_classes(network, start.num_classes)
    network = start.attached(network)
    if size is not None:
        network = set_size(network, size, size)
    counted = cost(network)
    layers = _layers(network, counted)
    value = {
        "params": counted.params,
        "macs": counted.macs,
        "input_size": [network.net.height, network.net.width],
        "num_classes": num_classes(network),
        "names": None if file is None else list(file.names),
        "layers": layers,
    }
    outputs = ("x".join(map(str, layer.shape)) for layer in counted.layers)
    rows = [{**layer, "output": output} for layer, output in zip(layers, outputs, strict=True)]
    show(value, Group(table(rows), _summary(model, network, counted)), json)


def _layers(network: Network, counted: Cost) -> list[dict[str, object]]:
    return [
        {
            "layer": layer.index,
            "kind": layer.kind,
            "kernel": f"{section.size}/{section.stride}" if isinstance(section, Convolutional) else "",
            "output": list(layer.shape),
            "params": layer.params,
            "macs": layer.macs,
        }
        for layer, section in zip(counted.layers, network.layers, strict=True)
    ]


def _summary(model: str, network: Network, counted: Cost) -> str:
    net = network.net
    return (
        f"{model}: {len(network.layers)} layers, {len(detection_layers(network))} detection layers, "
        f"{num_classes(network)} classes\n"
        f"{counted.params:,} parameters, {counted.macs / 1e9:.3f} GMACs at {net.width}x{net.height}\n"
    )


def _check_weights(weights: Path, network: Network) -> None:
    """Reads the weights for the error that is in them if they do not fit."""
    if weights.suffix == CHECKPOINT:
        read_model_file(weights)
    else:
        read_weights(weights, network)
