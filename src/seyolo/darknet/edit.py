"""Edits of a description: pure functions from one `Network` to another.

All insertions go through `insert`, all removals through `remove_blocks`: both keep every reference, absolute
or relative, on the layer it meant.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate
from typing import NamedTuple, TypeVar, get_args

from seyolo.darknet.cfg import Network
from seyolo.darknet.graph import channels, check_image_size, consumers, detection_layers, shapes, strides
from seyolo.darknet.placement import GATE_TITLES, OWN_GATES, GateKind, Site, layers_to_gate, require_site
from seyolo.darknet.sections import (
    Activation,
    AvgPool,
    Cbam,
    Convolutional,
    CoordAtt,
    Detection,
    Eca,
    Join,
    Reference,
    Region,
    ScaleChannels,
    Section,
    Shortcut,
    SimAm,
)
from seyolo.errors import ModelError

LEAST_HIDDEN = 8
USUAL_REDUCTION = 16
FRESH_FACTORS: Mapping[GateKind, float] = {
    "se": 0.5,
    "cbam": 0.25,
    "eca": 0.5,
    "coordatt": 0.25,
    "simam": 5 / 6,
}
"""Factor of a fresh gate: sigmoid(0), twice in CBAM and CoordAtt. SimAM's is least squares over features."""
WITHOUT_HIDDEN: frozenset[GateKind] = frozenset(["eca", "simam"])
Tensor = TypeVar("Tensor")


class Edited(NamedTuple):
    """A network and, per layer of the old one, its index in the new one."""

    network: Network
    layer_map: tuple[int, ...]


def insert(network: Network, after: Mapping[int, Sequence[Section]]) -> Edited:
    """Inserts sections behind layers; all that read such a layer then read the last section behind it.

    References of the inserted sections are indices of the old network; they read that layer itself, not what
    is inserted behind it. Key -1 inserts in front of the first layer.
    """
    counts = [len(after.get(index, ())) for index in range(-1, len(network.layers))]
    shifts = list(accumulate(counts))[: len(network.layers)]
    layer_map = tuple(index + shift for index, shift in enumerate(shifts))
    layers: list[Section] = list(after.get(-1, ()))
    for index, section in enumerate(network.layers):
        layers.append(section.moved(lambda layer: layer_map[layer] + len(after.get(layer, ()))))
        layers += [new.moved(layer_map.__getitem__) for new in after.get(index, ())]
    return Edited(replace(network, layers=tuple(layers)), layer_map)


class Shortened(NamedTuple):
    """A network and, per layer of the old one, its index in the new one, or None where it was removed."""

    network: Network
    layer_map: tuple[int | None, ...]


def residual_block(network: Network, shortcut: int) -> range:
    """Returns the layers of a residual block: the branch and the shortcut that adds it to the trunk in front.

    Raises:
        ModelError: `shortcut` ends no block that can be removed without changing what other layers read.
    """
    section = network.layers[shortcut] if 0 <= shortcut < len(network.layers) else None
    if not isinstance(section, Shortcut) or len(section.from_) != 1:
        raise ModelError(f"layer {shortcut} of {network.source} is no [shortcut] of two layers")
    trunk = section.from_[0].layer
    block, readers = range(trunk + 1, shortcut + 1), consumers(network)
    plain = section.activation == "linear" and section.weights_type == "none"
    outputs = shapes(network)
    if not plain or len(block) < 2 or outputs[trunk] != outputs[shortcut]:
        raise ModelError(f"layer {shortcut} of {network.source} does more than add a branch to its trunk")
    for layer in block[:-1]:
        if not set(readers[layer]) <= set(block):
            raise ModelError(f"layer {layer} of {network.source} is also read outside its residual block")
    return block


def remove_blocks(network: Network, shortcuts: Sequence[int]) -> Shortened:
    """Removes the residual blocks that end in these shortcuts; the readers of a block then read its trunk.

    Raises:
        ModelError: a layer that ends no removable block, see `residual_block`.
    """
    stand_in = list(range(len(network.layers)))
    for shortcut in sorted(shortcuts):
        block = residual_block(network, shortcut)
        for layer in block:
            stand_in[layer] = stand_in[block.start - 1]
    kept = [layer for layer, other in enumerate(stand_in) if layer == other]
    position = {layer: new for new, layer in enumerate(kept)}
    layers = tuple(network.layers[i].moved(lambda layer: position[stand_in[layer]]) for i in kept)
    layer_map = tuple(position.get(layer) for layer in range(len(network.layers)))
    return Shortened(replace(network, layers=layers), layer_map)


def moved_state(state: Mapping[str, Tensor], layer_map: Sequence[int | None]) -> dict[str, Tensor]:
    """Returns the tensors under their names in the new network, without those of removed layers."""
    result = {}
    for name, tensor in state.items():
        prefix, index, rest = name.split(".", 2)
        new_index = layer_map[int(index)]
        if new_index is not None:
            result[f"{prefix}.{new_index}.{rest}"] = tensor
    return result


@dataclass(frozen=True)
class Gate:
    """One attached gate, in the numbering of the new network.

    `source` is the layer it scales, `output` its last layer. An SE gate has its two convolutions at `squeeze`
    and `excite`; the other gates are one layer.
    """

    kind: GateKind
    site: Site
    join: Join
    source: int
    output: int
    squeeze: int | None = None
    excite: int | None = None


class Attached(NamedTuple):
    """A network with gates, per old layer its new index, and the gates in the order of the layers."""

    network: Network
    layer_map: tuple[int, ...]
    gates: tuple[Gate, ...]


def attach(
    network: Network,
    kind: GateKind,
    at: str | Sequence[str] = ("residual",),
    reduction: int = USUAL_REDUCTION,
    join: Join = "scale",
) -> Attached:
    """Attaches attention gates.

    Args:
        network: stays as it is.
        kind: `se` (Squeeze-and-Excitation, Hu 2018) in Darknet's own sections; `cbam` (Woo 2018), `eca`
            (Wang 2020), `coordatt` (Hou 2021) or `simam` (Yang 2021) as one section of that name.
        at: one or several of `residual`, `stage`, `neck`, `head`, see `seyolo.darknet.placement`. A layer
            that two sites share gets one gate.
        reduction: the squeezed width is channels / reduction, and at least 8; `eca` and `simam` have none.
        join: `scale` gives s·x, `add` gives x + s·x.

    Raises:
        ModelError: an option that does not exist, a site the network does not have, or one that has gates of
            this kind already.
    """
    for what, value, choices in (("attention", kind, get_args(GateKind)), ("join", join, get_args(Join))):
        if value not in choices:
            raise ModelError(f"there is no {what} {value!r}; choose one of {', '.join(choices)}")
    if reduction < 1:
        raise ModelError(f"the reduction ratio must be at least 1, got {reduction}")
    if reduction != USUAL_REDUCTION and kind in WITHOUT_HIDDEN:
        raise ModelError(f"{GATE_TITLES[kind]} gates have no hidden channels; leave the reduction out")
    wanted = _wanted(network, kind, (at,) if isinstance(at, str) else at)
    widths = channels(network)
    sections = {layer: _gate_sections(kind, layer, widths[layer], reduction, join) for layer in wanted}
    edited = insert(network, sections)
    gates = []
    for layer, added in sections.items():
        source = edited.layer_map[layer]
        output = source + len(added)
        parts = {} if kind in OWN_GATES else {"squeeze": source + 2, "excite": source + 3}
        gates.append(Gate(kind, wanted[layer], join, source, output, **parts))
    return Attached(*edited, tuple(gates))


def _wanted(network: Network, kind: GateKind, at: Sequence[str]) -> dict[int, Site]:
    """Returns layer to gate -> site, in the order of the layers."""
    if not at:
        raise ModelError("name at least one site to attach attention")
    found: dict[int, Site] = {}
    for name in at:
        site = require_site(network, name, kind)
        found = dict.fromkeys(layers_to_gate(network, site), site) | found
    return dict(sorted(found.items()))


def _gate_sections(kind: GateKind, layer: int, width: int, reduction: int, join: Join) -> list[Section]:
    hidden = max(width // reduction, LEAST_HIDDEN)  # C / r of Hu 2018
    if kind == "cbam":
        return [Cbam(hidden=hidden, join=join)]
    if kind in OWN_GATES:
        return [_own_gate(kind, width, hidden, join)]
    features = (Reference(layer),)
    sections: list[Section] = [
        AvgPool(),
        Convolutional(filters=hidden, size=1, stride=1, pad=1, activation="relu"),
        Convolutional(filters=width, size=1, stride=1, pad=1, activation="logistic"),
        ScaleChannels(from_=features),
    ]
    return [*sections, Shortcut(from_=features)] if join == "add" else sections


def _own_gate(kind: GateKind, width: int, hidden: int, join: Join) -> Section:
    """Returns a gate whose gain takes out what it multiplies by when fresh."""
    gain = round(1 / (FRESH_FACTORS[kind] + (join == "add")), 12)
    match kind:
        case "eca":
            return Eca(join=join, gain=gain, size=_eca_size(width))
        case "coordatt":
            return CoordAtt(join=join, gain=gain, hidden=hidden)
        case _:
            return SimAm(join=join, gain=gain)


def _eca_size(width: int) -> int:
    """Returns the kernel of ECA's paper, the odd number next to (log2 C + 1) / 2, and at least 3."""
    size = int((math.log2(width) + 1) / 2)
    return max(3, size if size % 2 else size + 1)


def set_classes(network: Network, num_classes: int) -> Network:
    """Changes the number of classes: of every detection layer and the convolution in front of it.

    Raises:
        ModelError: `num_classes` below 1.
        CfgError: a detection layer without a convolution in front.
    """
    if num_classes < 1:
        raise ModelError(f"a detector has at least one class, got {num_classes}")
    changed: dict[int, Section] = {}
    for index in detection_layers(network):
        section, front = _detection(network, index), network.layers[index - 1] if index else None
        if not isinstance(front, Convolutional):
            raise network.error(index, "needs a convolution in front of it to change the classes")
        changed[index] = replace(section, classes=num_classes)
        changed[index - 1] = replace(front, filters=len(section.masked_anchors) * (5 + num_classes))
    return _with_layers(network, changed)


def set_anchors(network: Network, anchors: Sequence[tuple[float, float]]) -> Network:
    """Returns the network with these (width, height) anchors in input pixels.

    They are sorted by area; each `[yolo]` takes those its mask numbers. A `[region]` counts them in cells.

    Raises:
        ModelError: not as many anchors as the detection sections list, or a side that is not positive.
    """
    if any(not 0 < side < float("inf") for anchor in anchors for side in anchor):
        raise ModelError(f"anchors need positive sides in pixels, got {list(anchors)}")
    ordered = sorted(anchors, key=lambda anchor: (anchor[0] * anchor[1], anchor))
    flat = [float(side) for anchor in ordered for side in anchor]
    spans = strides(network)
    changed: dict[int, Section] = {}
    for index in detection_layers(network):
        section = _detection(network, index)
        if section.num != len(anchors):
            raise ModelError(f"{network.source} lists {section.num} anchors, got {len(anchors)}")
        span = spans[index]
        unit = float(span) if isinstance(section, Region) and span is not None else 1.0
        changed[index] = replace(section, anchors=tuple(side / unit for side in flat))
    return _with_layers(network, changed)


def set_size(network: Network, height: int, width: int) -> Network:
    """Returns the network for images of (`height`, `width`) pixels.

    Raises:
        CfgError: a side that is no multiple of the largest stride.
    """
    check_image_size(network, height, width)
    return replace(network, net=replace(network.net, height=height, width=width))


def set_letterbox(network: Network, letterbox: bool) -> Network:
    """Returns the network that keeps (True) or ignores (False) the aspect ratio of the images it reads."""
    return replace(network, net=replace(network.net, letter_box=letterbox))


def set_activation(network: Network, activation: Activation) -> Network:
    """Returns the network with another activation wherever it has one on a map, except in gates.

    Convolutions that are linear or logistic, and those of a single cell, keep theirs.
    """
    sizes = [shape.size for shape in shapes(network)]
    changed = {
        index: replace(section, activation=activation)
        for index, section in enumerate(network.layers)
        if isinstance(section, Convolutional | Shortcut | ScaleChannels)
        and section.activation not in ("linear", "logistic")
        and sizes[index] != (1, 1)
    }
    return _with_layers(network, changed)


def _detection(network: Network, index: int) -> Detection:
    section = network.layers[index]
    assert isinstance(section, Detection)
    return section


def _with_layers(network: Network, changed: Mapping[int, Section]) -> Network:
    layers = (changed.get(index, section) for index, section in enumerate(network.layers))
    return replace(network, layers=tuple(layers))
