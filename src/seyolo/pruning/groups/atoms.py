"""One walk over the graph: an atom per channel that a layer makes, and what ties atoms together.

The output of each layer is a vector of atoms. Convolutions and `[implicit]` make new ones, `[shortcut]` ties
the first min(c) elementwise, `[scale_channels]`, `[sam]` and a depthwise convolution tie elementwise,
`[route]` concatenates or takes a part, `[reorg]` and `[reorg3d]` repeat, everything else passes its vector on
(`[cbam]` scales every channel by itself; its hidden units are no atoms). What a detection layer, a maximum
over channels or the end of the network reads is fixed, and so is the image.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from seyolo.darknet.cfg import Network
from seyolo.darknet.graph import IMAGE, channels, inputs
from seyolo.darknet.sections import (
    Convolutional,
    Detection,
    Implicit,
    MaxPool,
    Reorg,
    Reorg3d,
    Route,
    Sam,
    ScaleChannels,
    Section,
    Shortcut,
)

IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Split:
    """A vector of atoms in equal parts, of which each must keep equally many."""

    vector: IntArray
    num_parts: int


class Ties:
    """Union-find over atoms; the root of a set is its lowest atom."""

    def __init__(self, num_atoms: int) -> None:
        self._parent = list(range(num_atoms))

    def root(self, atom: int) -> int:
        """The lowest atom tied to this one."""
        parent = self._parent
        while parent[atom] != atom:
            parent[atom] = parent[parent[atom]]
            atom = parent[atom]
        return atom

    def tie(self, first: IntArray, second: IntArray) -> None:
        """Ties two vectors of equal length elementwise."""
        for one, other in zip(first.tolist(), second.tolist(), strict=True):
            low, high = sorted((self.root(one), self.root(other)))
            self._parent[high] = low

    def roots(self) -> IntArray:
        """Per atom its root."""
        return np.array([self.root(atom) for atom in range(len(self._parent))], dtype=np.int64)


@dataclass
class Walk:
    """What the walk finds.

    Attributes:
        owner: (atoms,) the layer that makes each atom, -1 for the image.
        channel: (atoms,) its output channel there.
        ties: which atoms go together.
        fixed: (atoms,) may not be removed.
        in_shortcut: (atoms,) read or added by a shortcut.
        image: the atoms of the image.
        vectors: per layer the atoms of its output.
        splits: where parts must stay equal.
    """

    owner: IntArray
    channel: IntArray
    ties: Ties
    fixed: BoolArray
    in_shortcut: BoolArray
    image: IntArray
    vectors: list[IntArray] = field(default_factory=list)
    splits: list[Split] = field(default_factory=list)


def is_depthwise(section: Convolutional, in_channels: int) -> bool:
    """Whether every input channel has output channels of its own."""
    return section.groups > 1 and section.groups == in_channels


def walk_atoms(network: Network) -> Walk:
    """Walks over any network.

    Raises:
        CfgError: the network cannot be wired.
    """
    channels(network)  # refuses what cannot be wired
    walk = _start(network)
    made = len(walk.image)
    for section, sources in zip(network.layers, inputs(network), strict=True):
        read = [walk.image if source == IMAGE else walk.vectors[source] for source in sources]
        if isinstance(section, Convolutional | Implicit):
            walk.vectors.append(np.arange(made, made + section.filters))
            made += section.filters
            if isinstance(section, Convolutional):
                _convolution(walk, section, read[0], walk.vectors[-1])
        else:
            walk.vectors.append(_pass_on(walk, section, read))
    walk.fixed[walk.image] = True
    walk.fixed[walk.vectors[-1]] = True
    return walk


def _start(network: Network) -> Walk:
    """A walk that knows its atoms, but nothing about them yet."""
    widths = [(IMAGE, network.net.channels)]
    makers = Convolutional | Implicit
    widths += [(i, s.filters) for i, s in enumerate(network.layers) if isinstance(s, makers)]
    owner = np.concatenate([np.full(width, layer, dtype=np.int64) for layer, width in widths])
    channel = np.concatenate([np.arange(width) for _, width in widths])
    fixed, in_shortcut = np.zeros((2, len(owner)), dtype=bool)
    image = np.arange(network.net.channels)
    return Walk(owner, channel, Ties(len(owner)), fixed, in_shortcut, image)


def _convolution(walk: Walk, section: Convolutional, read: IntArray, made: IntArray) -> None:
    if is_depthwise(section, len(read)):
        walk.ties.tie(np.repeat(read, section.filters // len(read)), made)
    elif section.groups > 1:
        walk.splits += [Split(read, section.groups), Split(made, section.groups)]


def _pass_on(walk: Walk, section: Section, read: Sequence[IntArray]) -> IntArray:
    """The atoms a layer without channels of its own puts out; notes what it ties, splits or fixes."""
    if isinstance(section, Route):
        return np.concatenate([_part(walk, section, vector) for vector in read])
    if isinstance(section, Shortcut):
        for other in read[1:]:
            width = min(len(read[0]), len(other))
            walk.ties.tie(read[0][:width], other[:width])
            walk.in_shortcut[read[0]] = walk.in_shortcut[other] = True
    elif isinstance(section, ScaleChannels | Sam):
        return _product(walk, section, read[0], read[1])
    elif isinstance(section, Reorg):
        return _reorg(walk, section, read[0])
    elif isinstance(section, Reorg3d):
        return np.tile(read[0], section.stride**2)
    elif isinstance(section, Detection):
        walk.fixed[read[0]] = True
    elif isinstance(section, MaxPool) and section.maxpool_depth:
        walk.fixed[read[0]] = True
        return read[0][: section.out_channels]
    return read[0]


def _product(walk: Walk, section: ScaleChannels | Sam, factors: IntArray, features: IntArray) -> IntArray:
    if isinstance(section, ScaleChannels) and section.scale_wh:
        walk.fixed[factors] = True  # one factor per pixel for all channels
    else:
        walk.ties.tie(factors, features)
    return features


def _reorg(walk: Walk, section: Reorg, read: IntArray) -> IntArray:
    """s² neighbours in the order of the channels end up mixed in s⁴ channels, so they go together."""
    area = section.stride**2
    neighbours = read.reshape(-1, area)
    for column in neighbours.T[1:]:
        walk.ties.tie(neighbours[:, 0], column)
    return np.tile(read, area)


def _part(walk: Walk, section: Route, vector: IntArray) -> IntArray:
    if section.groups == 1:
        return vector
    walk.splits.append(Split(vector, section.groups))
    return np.split(vector, section.groups)[section.group_id]
