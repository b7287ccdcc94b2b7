"""Where attention may be attached, found on the graph: no layer numbers, no names.

residual  on the branch of each two-input shortcut, just before the addition
stage     behind the last shortcut of each run of shortcuts with one resolution, before the downsampling
neck      behind each concatenation or addition where the detection part joins what was upsampled with more
head      in front of the last convolution before each `[yolo]`
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import groupby
from typing import Literal, get_args

from seyolo.darknet.cfg import Network
from seyolo.darknet.graph import IMAGE, channels, consumers, detection_layers, inputs, strides
from seyolo.darknet.sections import (
    AvgPool,
    Cbam,
    Convolutional,
    Dropout,
    Route,
    ScaleChannels,
    Section,
    Shortcut,
    Upsample,
)
from seyolo.errors import ModelError

GateKind = Literal["se", "cbam"]
Place = Literal["residual", "stage", "neck", "head"]
PLACES: tuple[Place, ...] = get_args(Place)


def layers_to_gate(network: Network, place: Place) -> tuple[int, ...]:
    """The layers whose output a gate at `place` reads; empty where the network has no such place."""
    finders: dict[Place, Callable[[Network], Iterable[int]]] = {
        "residual": _residual,
        "stage": _stage,
        "neck": _neck,
        "head": _head,
    }
    return tuple(dict.fromkeys(finders[place](network)))


def default_place(network: Network, kind: GateKind) -> Place:
    """Where gates go unless told: the first place the network has of `residual`, `neck` and `head`.

    A place that has gates of this kind is one, too: whoever forgets about them is told, see `require_place`.
    """
    order: tuple[Place, ...] = ("residual", "neck", "head")
    known = (place for place in order if layers_to_gate(network, place) or gated_layers(network, place, kind))
    return next(known, "head")


def require_place(network: Network, place: str, kind: GateKind) -> Place:
    """`place` as a `Place` for gates of this kind.

    Raises:
        ModelError: there is no such place, `network` does not have it (those it has are named), or it has
            gates of this kind there already.
    """
    for known in PLACES:
        if known == place and (gated := gated_layers(network, known, kind)):
            layers = ", ".join(map(str, gated[:5])) + (", …" if len(gated) > 5 else "")
            message = f"{network.source} has {kind.upper()} gates already at {place!r} (layers {layers})"
            raise ModelError(f"{message}: they would stand twice; leave attention out, or name another place")
        if known == place and layers_to_gate(network, known):
            return known
    reason = "the network does not have" if place in PLACES else "there is no"
    existing = [known for known in PLACES if layers_to_gate(network, known)]
    proposal = f"; {network.source} has {', '.join(existing)}" if existing else "; it has none at all"
    raise ModelError(f"{reason} place {place!r} to attach attention{proposal}")


def _residual(network: Network) -> Iterable[int]:
    widths = channels(network)
    for index in _shortcuts(network):
        front, *named = inputs(network)[index]
        branch = network.layers[_without_dropout(network, front)]
        equal = len(named) == 1 and widths[front] == widths[named[0]]
        if equal and isinstance(branch, Convolutional):
            yield front


def _stage(network: Network) -> Iterable[int]:
    spans = strides(network)
    for _, run in groupby(_shortcuts(network), key=lambda index: spans[index]):
        yield list(run)[-1]


def _neck(network: Network) -> Iterable[int]:
    behind_upsample: list[bool] = []
    for index, sources in enumerate(inputs(network)):
        section = network.layers[index]
        known = any(source != IMAGE and behind_upsample[source] for source in sources)
        behind_upsample.append(known or isinstance(section, Upsample))
        joins = known and len(set(sources)) > 1
        lateral = any(source == IMAGE or not behind_upsample[source] for source in sources)
        if joins and (isinstance(section, Route) or (isinstance(section, Shortcut) and lateral)):
            yield index


def _head(network: Network) -> Iterable[int]:
    for index in detection_layers(network):
        last = _without_dropout(network, index - 1)
        if last > 0 and isinstance(network.layers[last], Convolutional):
            yield last - 1


def gated_layers(network: Network, place: Place, kind: GateKind) -> tuple[int, ...]:
    """The layers where a gate of this kind would stand on top of another one.

    At `residual` those of which every branch has its gate: while one has none, the others are left alone.
    """
    gates = find_gates(network, kind)
    if place != "residual":
        taken = {*gates, *gates.values()}
        return tuple(layer for layer in layers_to_gate(network, place) if layer in taken)
    fronts = [inputs(network)[index][0] for index in _shortcuts(network)]
    branches = [_without_dropout(network, front) for front in fronts]
    return () if layers_to_gate(network, place) else tuple(layer for layer in branches if layer in gates)


def find_gates(network: Network, kind: GateKind) -> dict[int, int]:
    """The gates of this kind, by their last layer, and the layer each scales.

    Only those in front of all that reads that layer: a gate on one of several branches is another place.
    """
    readers = consumers(network)
    gates = {}
    for index, section in enumerate(network.layers):
        found = _gate_at(network, index, section, kind)
        if found is not None and all(found < reader <= index for reader in readers[found]):
            gates[index] = found
    return gates


def _gate_at(network: Network, index: int, section: Section, kind: GateKind) -> int | None:
    """The layer that a gate scales whose last layer is `index`, or None."""
    if kind == "cbam":
        return index - 1 if isinstance(section, Cbam) and index else None
    if isinstance(section, Shortcut) and _closes_gate(network, index, section):
        index, section = index - 1, network.layers[index - 1]
    if not isinstance(section, ScaleChannels) or section.scale_wh:
        return None
    # Squeezed by the mean, two 1x1 convolutions, and back.
    source = section.from_[0].layer
    front = network.layers[source + 1 : index]
    kinds = (AvgPool, Convolutional, Convolutional)
    is_gate = len(front) == len(kinds) and all(map(isinstance, front, kinds))
    return source if is_gate else None


def _shortcuts(network: Network) -> list[int]:
    """The shortcuts that are not themselves the last step of a gate."""
    return [
        index
        for index, section in enumerate(network.layers)
        if isinstance(section, Shortcut) and not _closes_gate(network, index, section)
    ]


def _closes_gate(network: Network, index: int, section: Shortcut) -> bool:
    front = network.layers[index - 1]
    named = {reference.layer for reference in section.from_}
    return isinstance(front, ScaleChannels) and named == {front.from_[0].layer}


def _without_dropout(network: Network, index: int) -> int:
    while index > 0 and isinstance(network.layers[index], Dropout):
        index -= 1
    return index
