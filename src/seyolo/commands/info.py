"""`seyolo info`: layers, parameters and MACs of a network or an ONNX file; no PyTorch needed."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich.console import Group

from seyolo.checkpoint import Checkpoint, read_checkpoint
from seyolo.class_names import listed, names_beside, read_names
from seyolo.commands.output import Json, check_target, show, table
from seyolo.darknet.cfg import Network, unused_keys
from seyolo.darknet.cost import Cost, cost
from seyolo.darknet.edit import set_size
from seyolo.darknet.graph import detection_layers, num_classes
from seyolo.darknet.sections import Convolutional
from seyolo.darknet.weights import read_weights
from seyolo.errors import UsageError, counted
from seyolo.letterbox import Mode
from seyolo.opening.description import describe, weights_beside, with_options
from seyolo.options.model import NO_OPTIONS, ModelOptions
from seyolo.options.parameters import Flag, Size
from seyolo.report.tables.fitting import FittingTable
from seyolo.runtime.metadata import read_about, read_mode, read_pad_value
from seyolo.runtime.onnx_file import OnnxConvolution, OnnxFile, OnnxValue
from seyolo.runtime.onnx_reader import read_onnx_file
from seyolo.runtime.protocol import class_names
from seyolo.runtime.shipped import (
    card_path,
    checkpoint_path,
    is_checkpoint,
    is_shipped,
    model_path,
    network_path,
    with_version,
)
from seyolo.sizes import InputSize, size_hw

INT8_OPERATORS = frozenset({"ConvInteger", "DequantizeLinear", "QLinearConv"})


def info(
    model: str,
    *,
    size: Size = None,
    layers: Flag = False,
    start: ModelOptions = NO_OPTIONS,
    json: Json = None,
) -> None:
    """Layers, parameters and MACs of a network or an .onnx file, its classes and where it comes from.

    Parameters are those that are learned, without running statistics; MACs are multiply-accumulates of the
    convolutions for one image. Of an .onnx file, ours or another's, they are counted in its graph.

    Args:
        model: hand, which comes with seyolo (hand-1 is its first version), a zoo name, a .cfg, a checkpoint
            or an .onnx file.
        size: input in pixels: 416, or 416x256 (width x height); by default the network's.
        layers: also list the layers with their numbers, of an .onnx file the convolutions and operators.
        json: write the result here as JSON, layers too; - is stdout.
    """
    check_target(json)
    path = model_path(model)
    if path.suffix.lower() == ".onnx":
        if start != NO_OPTIONS:
            raise UsageError(f"{model}: an .onnx file is described as it is; leave the model options out")
        value, facts, *tables = _onnx(model, path, size)
    else:
        value, facts, *tables = _network(model, size, start)
    if not layers:
        facts["layers"] = f"listed by seyolo info {model} --layers"
    said = [f"{name}: {text}" for name, text in facts.items() if text]
    show(value, Group(*said, *(tables if layers else [])), json)


Told = tuple[dict[str, object], dict[str, str], *tuple[FittingTable, ...]]
"""The result as JSON, lines to print by what they are about, and tables of layers."""


def _network(model: str, size: InputSize | None, start: ModelOptions) -> Told:
    """Returns the facts of a cfg, a checkpoint or a zoo name."""
    network, file = describe(model, start.num_classes)
    if start.weights is not None:
        _check_weights(start.weights, network)
    network = with_options(network, start)
    if size is not None:
        network = set_size(network, *size_hw(size))
    costs = cost(network)
    layers, names = _layers(network, costs), _names(model, network, file, start.names)
    value = {
        "params": costs.params,
        "macs": costs.macs,
        "input_size": [network.net.height, network.net.width],
        "num_classes": num_classes(network),
        "names": names,
        "layers": layers,
        "unused_keys": unused_keys(network),
    }
    net, heads = network.net, counted(len(detection_layers(network)), "detection layer")
    facts = {
        "network": f"{model}, {counted(len(network.layers), 'layer')}, {heads}",
        "cost": _cost_text(costs.params, costs.macs, f"{net.width}x{net.height}"),
        "classes": _classes(num_classes(network), names),
        "from": _origin(model, start.weights, file),
        "images": _fitted(net.letterbox_mode, net.pad_value),
        "kept for Darknet, without effect here": listed(unused_keys(network))
        if model.endswith(".cfg")
        else "",
    }
    outputs = ("x".join(map(str, layer.shape)) for layer in costs.layers)
    rows = [{**layer, "output": output} for layer, output in zip(layers, outputs, strict=True)]
    return value, facts, table(rows)


def _origin(model: str, weights: Path | None, file: Checkpoint | None) -> str:
    """Returns where the weights of a network come from."""
    if file is not None:
        transfer, pruned = file.provenance.get("transfer"), file.provenance.get("pruned")
        first = f"those of {transfer['source']}" if isinstance(transfer, dict) else "new ones"
        start = f"its first weights were {first}"
        cut = f", pruned to {pruned['budget']}" if isinstance(pruned, dict) and "budget" in pruned else ""
        return f"a checkpoint; {start}{cut}"
    kind = "a Darknet cfg" if model.endswith(".cfg") else "a network of the zoo"
    if weights is not None:
        return f"{kind}, with the weights of {weights}, which fit"
    if (beside := weights_beside(model)) is not None:
        return f"{kind}, with {beside.name} beside it"
    return f"{kind}, without trained weights"


def _fitted(mode: Mode, pad_value: float) -> str:
    """Returns how images get into the input."""
    return f"letterboxed with grey {pad_value:g}" if mode == "letterbox" else "stretched to the input"


def _classes(count: int | None, names: Sequence[str] | None) -> str:
    if names:
        return listed(names)
    return "unknown" if count is None else f"{count}, without names"


def _cost_text(params: int, macs: int | None, size: str) -> str:
    amount = "unknown MACs" if macs is None else f"{macs / 1e9:.3f} GMACs"
    return f"{params:,} parameters, {amount} at {size}"


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


def _onnx(model: str, path: Path, size: InputSize | None) -> Told:
    """Returns the facts of an ONNX file."""
    file = read_onnx_file(path, size)
    about = read_about(file.metadata)
    if is_shipped(model):
        about = _about_shipped(model, about)
    elif "card" in about and os.path.isfile(card := path.parent / about["card"]):
        about["card"] = str(card)
    costs, names = file.cost, file.names
    layers = [_convolution(*item) for item in enumerate(costs.convolutions)]
    value: dict[str, object] = {
        "params": costs.params,
        "macs": costs.macs,
        "input_size": None if file.input_size is None else list(file.input_size),
        "num_classes": None if names is None else len(names),
        "names": None if names is None else list(names),
        "inputs": [asdict(item) for item in file.inputs],
        "outputs": [asdict(item) for item in file.outputs],
        "operators": dict(costs.operators),
        "int8": not INT8_OPERATORS.isdisjoint(costs.operators),
        "about": about,
        "layers": layers,
    }
    rows = [{**layer, "output": _by(layer["output"]), "macs": _known(layer["macs"])} for layer in layers]
    operators = [{"operator": k, "count": n} for k, n in costs.operators.items()]
    return value, _onnx_facts(model, path, file, about), table(rows), table(operators)


def _about_shipped(model: str, about: dict[str, Any]) -> dict[str, Any]:
    """Returns the facts of a shipped detector: with its version, its card and its checkpoint, if any."""
    about = {"version": with_version(model), **about, "card": str(card_path(model))}
    if (checkpoint := checkpoint_path(model)) is not None:
        about["checkpoint"] = f"{checkpoint}, which train, slim, prune and export take"
    return about


def _convolution(index: int, node: OnnxConvolution) -> dict[str, object]:
    return {
        "layer": index,
        "kind": "Conv",
        "kernel": f"{node.kernel}/{node.stride}",
        "output": node.output,
        "params": node.params,
        "macs": node.macs,
    }


def _onnx_facts(model: str, path: Path, file: OnnxFile, about: dict[str, Any]) -> dict[str, str]:
    nodes = counted(sum(file.cost.operators.values()), "node")
    convolutions = counted(len(file.cost.convolutions), "convolution")
    size = "any size" if file.input_size is None else "{1}x{0}".format(*file.input_size)
    texts = {key.replace("_", " "): str(text) for key, text in about.items()}
    if "ap" in about:
        texts["ap"] = ", ".join(f"{split} {row['ap']:.3f}" for split, row in about["ap"].items())
    is_ours = file.metadata.get("producer") == "seyolo"
    origin = f"an ONNX file of {'seyolo' if is_ours else 'another program'}"
    return {
        "network": f"{model}, {nodes}, {convolutions}",
        "cost": _cost_text(file.cost.params, file.cost.macs, size),
        "classes": _classes(None, file.names),
        "from": "the detector that comes with seyolo" if is_shipped(model) else origin,
        "images": _fitted(read_mode(file.metadata, path), read_pad_value(file.metadata, path)),
        **texts,
        "input": ", ".join(map(_port, file.inputs)),
        "output": ", ".join(map(_port, file.outputs)),
    }


def _port(port: OnnxValue) -> str:
    return f"{port.name}, {port.dtype} {_by(port.shape)}"


def _by(shape: object) -> str:
    return "x".join(str(_known(side)) for side in shape) if isinstance(shape, tuple) else "–"


def _known(value: object) -> object:
    return "–" if value is None else value


def _layers(network: Network, costs: Cost) -> list[dict[str, object]]:
    return [
        {
            "layer": layer.index,
            "kind": layer.kind,
            "kernel": f"{section.size}/{section.stride}" if isinstance(section, Convolutional) else "",
            "output": list(layer.shape),
            "params": layer.params,
            "macs": layer.macs,
        }
        for layer, section in zip(costs.layers, network.layers, strict=True)
    ]


def _check_weights(weights: Path, network: Network) -> None:
    """Reads the weights for the error that is in them if they do not fit."""
    if is_checkpoint(weights):
        read_checkpoint(network_path(weights))
    else:
        read_weights(weights, network)
