"""`seyolo info`: layers, parameters and MACs of a network or an ONNX file; no PyTorch needed."""

from __future__ import annotations

import os
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich.console import Group

from seyolo.checkpoint import Checkpoint, read_checkpoint
from seyolo.class_names import names_beside, read_names
from seyolo.commands.output import Json, check_target, show, table
from seyolo.darknet.cfg import Network, unused_keys
from seyolo.darknet.cost import Cost, cost
from seyolo.darknet.edit import set_size
from seyolo.darknet.graph import detection_layers, num_classes
from seyolo.darknet.sections import Convolutional
from seyolo.darknet.weights import read_weights
from seyolo.errors import UsageError, counted
from seyolo.opening.description import CHECKPOINT, describe, with_options
from seyolo.options.model import NO_OPTIONS, ModelOptions
from seyolo.options.parameters import Size
from seyolo.runtime.metadata import read_about
from seyolo.runtime.onnx_file import OnnxConvolution, OnnxFile
from seyolo.runtime.onnx_reader import read_onnx_file
from seyolo.runtime.protocol import class_names
from seyolo.runtime.shipped import model_path
from seyolo.sizes import InputSize, size_hw


def info(model: str, *, size: Size = None, start: ModelOptions = NO_OPTIONS, json: Json = None) -> None:
    """Layers, parameters and MACs of a network or an .onnx file.

    Parameters are those that are learned, without running statistics; MACs are multiply-accumulates of the
    convolutions for one image. Of an .onnx file, ours or another's, they are counted in its graph.

    Args:
        model: hand, which comes with seyolo, a zoo name, a .cfg, a checkpoint or an .onnx file.
        size: input in pixels: 416, or 416x256 (width x height); by default the network's.
        json: write the result here as JSON, too; - is stdout.
    """
    check_target(json)
    path = model_path(model)
    if path.suffix.lower() == ".onnx":
        if start != NO_OPTIONS:
            raise UsageError(f"{model}: an .onnx file is described as it is; leave the model options out")
        show(*_onnx(model, path, size), json)
        return
    network, file = describe(model, start.num_classes)
    if start.weights is not None:
        _check_weights(start.weights, network)
    network = with_options(network, start)
    if size is not None:
        network = set_size(network, *size_hw(size))
    counted = cost(network)
    layers = _layers(network, counted)
    value = {
        "params": counted.params,
        "macs": counted.macs,
        "input_size": [network.net.height, network.net.width],
        "num_classes": num_classes(network),
        "names": _names(model, network, file, start.names),
        "layers": layers,
        "unused_keys": unused_keys(network),
    }
    outputs = ("x".join(map(str, layer.shape)) for layer in counted.layers)
    rows = [{**layer, "output": output} for layer, output in zip(layers, outputs, strict=True)]
    show(value, Group(table(rows), _summary(model, network, counted)), json)


def _names(
    model: str, network: Network, file: Checkpoint | None, given: Path | None
) -> tuple[str, ...] | None:
    """Returns the class names of a file, of `--names`, or beside a cfg; refuses another number."""
    count = num_classes(network)
    if given is not None:
        return class_names(read_names(given), count, model)
    if file is not None:
        return file.names if len(file.names) == count else None
    return names_beside(Path(model), count) if model.endswith(".cfg") else None


def _onnx(model: str, path: Path, size: InputSize | None) -> tuple[dict[str, object], Group]:
    """Returns the facts of an ONNX file, as JSON and as text."""
    file = read_onnx_file(path, size)
    about = read_about(file.metadata)
    if "card" in about and os.path.isfile(card := path.parent / about["card"]):
        about["card"] = str(card)
    counted, names = file.cost, file.names
    layers = [_convolution(*item) for item in enumerate(counted.convolutions)]
    value: dict[str, object] = {
        "params": counted.params,
        "macs": counted.macs,
        "input_size": None if file.input_size is None else list(file.input_size),
        "num_classes": None if names is None else len(names),
        "names": None if names is None else list(names),
        "inputs": [asdict(item) for item in file.inputs],
        "outputs": [asdict(item) for item in file.outputs],
        "operators": dict(counted.operators),
        "about": about,
        "layers": layers,
    }
    ports = [("input", item) for item in file.inputs] + [("output", item) for item in file.outputs]
    values = [
        {"": role, "name": item.name, "type": item.dtype, "shape": _by(item.shape)} for role, item in ports
    ]
    rows = [{**layer, "output": _by(layer["output"]), "macs": _known(layer["macs"])} for layer in layers]
    operators = [{"operator": k, "count": n} for k, n in counted.operators.items()]
    summary = _onnx_summary(model, file) + _about(about)
    return value, Group(table(rows), table(operators), table(values), summary)


def _convolution(index: int, node: OnnxConvolution) -> dict[str, object]:
    return {
        "layer": index,
        "kind": "Conv",
        "kernel": f"{node.kernel}/{node.stride}",
        "output": node.output,
        "params": node.params,
        "macs": node.macs,
    }


def _onnx_summary(model: str, file: OnnxFile) -> str:
    classes = "classes unknown" if file.names is None else counted(len(file.names), "class")
    size = "any size" if file.input_size is None else "{1}x{0}".format(*file.input_size)
    macs = "unknown MACs" if file.cost.macs is None else f"{file.cost.macs / 1e9:.3f} GMACs"
    nodes = counted(sum(file.cost.operators.values()), "node")
    convolutions = counted(len(file.cost.convolutions), "convolution")
    return f"{model}: {nodes}, {convolutions}, {classes}\n{file.cost.params:,} parameters, {macs} at {size}\n"


def _about(about: dict[str, Any]) -> str:
    """Returns a line for each note in the file."""
    texts = dict(about)
    if "ap" in about:
        texts["ap"] = ", ".join(f"{split} {row['ap']:.3f}" for split, row in about["ap"].items())
    return "".join(f"{key.replace('_', ' ')}: {text}\n" for key, text in texts.items())


def _by(shape: object) -> str:
    return "x".join(str(_known(side)) for side in shape) if isinstance(shape, tuple) else "–"


def _known(value: object) -> object:
    return "–" if value is None else value


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


def _summary(model: str, network: Network, costs: Cost) -> str:
    net, heads = network.net, counted(len(detection_layers(network)), "detection layer")
    return (
        f"{model}: {counted(len(network.layers), 'layer')}, {heads}, "
        f"{counted(num_classes(network), 'class')}\n"
        f"{costs.params:,} parameters, {costs.macs / 1e9:.3f} GMACs at {net.width}x{net.height}\n"
        f"{_unused(model, network)}"
    )


def _unused(model: str, network: Network) -> str:
    """Returns a line with the keys of a cfg that are kept for Darknet."""
    keys = unused_keys(network) if model.endswith(".cfg") else []
    return f"kept for Darknet, without effect here: {', '.join(keys)}\n" if keys else ""


def _check_weights(weights: Path, network: Network) -> None:
    """Reads the weights for the error that is in them if they do not fit."""
    if weights.suffix == CHECKPOINT:
        read_checkpoint(weights)
    else:
        read_weights(weights, network)
