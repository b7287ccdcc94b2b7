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
from seyolo.darknet.graph import PICTURE, channels, detection_layers, inputs, strides
from seyolo.darknet.sections import Convolutional, Dropout, Route, ScaleChannels, Shortcut, Upsample
from seyolo.errors import ModelError

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


def default_place(network: Network) -> Place:
    """Where gates go unless told: the first place the network has of `residual`, `neck` and `head`."""
    order: tuple[Place, ...] = ("residual", "neck", "head")
    return next((place for place in order if layers_to_gate(network, place)), "head")


def require_place(network: Network, place: str) -> Place:
    """`place` as a `Place`.

    Raises:
        ModelError: there is no such place, or `network` does not have it; those it has are named.
    """
    for known in PLACES:
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
        known = any(source != PICTURE and behind_upsample[source] for source in sources)
        behind_upsample.append(known or isinstance(section, Upsample))
        joins = known and len(set(sources)) > 1
        lateral = any(source == PICTURE or not behind_upsample[source] for source in sources)
        if joins and (isinstance(section, Route) or (isinstance(section, Shortcut) and lateral)):
            yield index


def _head(network: Network) -> Iterable[int]:
    for index in detection_layers(network):
        last = _without_dropout(network, index - 1)
        if last > 0 and isinstance(network.layers[last], Convolutional):
            yield last - 1


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
