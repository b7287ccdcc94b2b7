"""Sites where attention may be attached, found on the graph: no layer numbers, no names.

residual  on the branch of each two-input shortcut, just before the addition
stage     behind the last shortcut of each run of shortcuts with one resolution, before the downsampling
neck      behind each concatenation or addition where the detection part joins an upsampled layer with another
head      in front of the last convolution before each `[yolo]`
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from itertools import groupby
from typing import Literal, get_args

from seyolo.darknet.cfg import Network
from seyolo.darknet.graph import IMAGE, channels, consumers, detection_layers, inputs, strides
from seyolo.darknet.sections import (
    AvgPool,
    Cbam,
    Convolutional,
    CoordAtt,
    Dropout,
    Eca,
    Route,
    ScaleChannels,
    Section,
    Shortcut,
    SimAm,
    Upsample,
)
from seyolo.errors import ModelError

GateKind = Literal["se", "cbam", "eca", "coordatt", "simam"]
GATE_TITLES: Mapping[GateKind, str] = {
    "se": "SE", "cbam": "CBAM", "eca": "ECA", "coordatt": "CoordAtt", "simam": "SimAM",
}  # fmt: skip
OWN_GATES: Mapping[GateKind, type[Section]] = {"cbam": Cbam, "eca": Eca, "coordatt": CoordAtt, "simam": SimAm}
"""The section that is a whole gate; SE consists of Darknet's own sections."""
Site = Literal["residual", "stage", "neck", "head"]
SITES: tuple[Site, ...] = get_args(Site)
USUAL_SITES: tuple[Site, ...] = ("residual", "neck", "head")


def layers_to_gate(network: Network, site: Site) -> tuple[int, ...]:
    """Returns the layers whose output a gate at `site` reads; empty where the network has no such site."""
    return tuple(dict.fromkeys(_FINDERS[site](network)))


def default_site(network: Network, kind: GateKind) -> Site:
    """Returns the first of `USUAL_SITES` that the network has.

    A site that already has gates of this kind also counts; `require_site` then refuses it.
    """
    known = (s for s in USUAL_SITES if layers_to_gate(network, s) or gated_layers(network, s, kind))
    return next(known, "head")


def usual_sites(network: Network) -> tuple[Site, ...]:
    """Returns those of `USUAL_SITES` that the network has; all where it has none, for an error to name."""
    return tuple(site for site in USUAL_SITES if layers_to_gate(network, site)) or USUAL_SITES


def require_site(network: Network, name: str, kind: GateKind) -> Site:
    """Returns the site of that name, for gates of this kind.

    Raises:
        ModelError: there is no such site, `network` does not have it (those it has are named), or it has
            gates of this kind there already.
    """
    existing = [site for site in SITES if layers_to_gate(network, site)]
    for site in SITES:
        if site == name and (gated := gated_layers(network, site, kind)):
            layers = ", ".join(map(str, gated[:5])) + (", …" if len(gated) > 5 else "")
            message = f"{network.source} has {GATE_TITLES[kind]} gates already at {name!r} (layers {layers})"
            raise ModelError(f"{message}: they would stand twice; leave attention out, or name another site")
        if site == name and site in existing:
            return site
    reason = "the network does not have" if name in SITES else "there is no"
    proposal = f"; {network.source} has {', '.join(existing)}" if existing else "; it has none at all"
    raise ModelError(f"{reason} site {name!r} to attach attention{proposal}")


def gated_layers(network: Network, site: Site, kind: GateKind) -> tuple[int, ...]:
    """Returns the layers where a new gate of this kind would follow an existing one.

    At `residual` none while some branch has no gate: `attach` then gates only the branches without one.
    """
    gates, open_layers = find_gates(network, kind), layers_to_gate(network, site)
    if site != "residual":
        taken = {*gates, *gates.values()}
        return tuple(layer for layer in open_layers if layer in taken)
    branches = [_without_dropout(network, inputs(network)[index][0]) for index in _shortcuts(network)]
    return () if open_layers else tuple(layer for layer in branches if layer in gates)


def find_gates(network: Network, kind: GateKind) -> dict[int, int]:
    """Returns the gates of this kind: last layer -> the layer it scales.

    Only gates on layers that nothing else reads: a gate on one of several branches is another site.
    """
    readers = consumers(network)
    gates = {}
    for index, section in enumerate(network.layers):
        found = _gate_at(network, index, section, kind)
        if found is not None and all(found < reader <= index for reader in readers[found]):
            gates[index] = found
    return gates


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
    for section, sources in zip(network.layers, inputs(network), strict=True):
        known = [source != IMAGE and behind_upsample[source] for source in sources]
        behind_upsample.append(any(known) or isinstance(section, Upsample))
        joins = any(known) and len(set(sources)) > 1
        if joins and (isinstance(section, Route) or (isinstance(section, Shortcut) and not all(known))):
            yield len(behind_upsample) - 1


def _head(network: Network) -> Iterable[int]:
    for index in detection_layers(network):
        last = _without_dropout(network, index - 1)
        if last > 0 and isinstance(network.layers[last], Convolutional):
            yield last - 1


_FINDERS: Mapping[Site, Callable[[Network], Iterable[int]]] = {
    "residual": _residual,
    "stage": _stage,
    "neck": _neck,
    "head": _head,
}


def _gate_at(network: Network, index: int, section: Section, kind: GateKind) -> int | None:
    """Returns the layer scaled by the gate that ends at `index`, or None if no gate ends there."""
    if kind in OWN_GATES:
        return index - 1 if isinstance(section, OWN_GATES[kind]) and index else None
    if isinstance(section, Shortcut) and _closes_gate(network, index, section):
        index, section = index - 1, network.layers[index - 1]
    if not isinstance(section, ScaleChannels) or section.scale_wh:
        return None
    source = section.from_[0].layer
    front = tuple(map(type, network.layers[source + 1 : index]))
    return source if front == (AvgPool, Convolutional, Convolutional) else None  # squeeze, then two 1x1


def _shortcuts(network: Network) -> list[int]:
    """Returns the shortcuts that are not themselves the last step of a gate."""
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
