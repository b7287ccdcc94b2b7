"""Atoms of channel groups: one per channel that a layer makes, and the ties between them.

The output of each layer is a vector of atoms. The channel rule of its section (see `groups.rules`) makes new
atoms, ties, splits or fixes those it reads, or passes them on.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from seyolo.darknet.graph import IMAGE

IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Split:
    """A vector of atoms in equal parts; every part must keep equally many."""

    vector: IntArray
    num_parts: int


class Ties:
    """Union-find over atoms; the root of a set is its lowest atom."""

    def __init__(self) -> None:
        self._parent: list[int] = []

    def extend(self, num_atoms: int) -> IntArray:
        """Adds atoms that are not tied yet, and returns them."""
        first = len(self._parent)
        self._parent += range(first, first + num_atoms)
        return np.arange(first, first + num_atoms)

    def root(self, atom: int) -> int:
        """Returns the lowest atom tied to this one."""
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
        """Returns the root of each atom."""
        return np.array([self.root(atom) for atom in range(len(self._parent))], dtype=np.int64)


@dataclass(frozen=True, eq=False)
class Walk:
    """Result of a walk over a network.

    Attributes:
        owner: (atoms,) the layer that makes each atom, -1 for the image.
        channel: (atoms,) its output channel there.
        ties: atoms that must be kept or removed together.
        fixed: (atoms,) may not be removed.
        in_shortcut: (atoms,) read or added by a shortcut.
        image: the atoms of the image.
        vectors: per layer the atoms of its output.
        splits: vectors whose parts must keep equally many.
    """

    owner: IntArray
    channel: IntArray
    ties: Ties
    fixed: BoolArray
    in_shortcut: BoolArray
    image: IntArray
    vectors: tuple[IntArray, ...]
    splits: tuple[Split, ...]


class WalkBuilder:
    """A walk over the layers in order; the channel rules note on it what they find.

    Args:
        image_channels: channels of the image, whose atoms are fixed.

    Attributes:
        vectors: the atoms of the output of each layer so far.
    """

    def __init__(self, image_channels: int) -> None:
        self._ties = Ties()
        self._owner: list[IntArray] = []
        self._channel: list[IntArray] = []
        self._fixed: list[IntArray] = []
        self._in_shortcut: list[IntArray] = []
        self._splits: list[Split] = []
        self._image = self._add(IMAGE, image_channels)
        self.vectors: list[IntArray] = []

    def read(self, source: int) -> IntArray:
        """Returns the atoms of the output of a layer; -1 is the image."""
        return self._image if source == IMAGE else self.vectors[source]

    def make(self, count: int) -> IntArray:
        """Returns `count` new atoms, owned by the layer that is next in `vectors`."""
        return self._add(len(self.vectors), count)

    def tie(self, first: IntArray, second: IntArray) -> None:
        """Ties two vectors of equal length elementwise."""
        self._ties.tie(first, second)

    def split(self, vector: IntArray, num_parts: int) -> None:
        """Demands that equal parts of a vector keep equally many atoms."""
        self._splits.append(Split(vector, num_parts))

    def fix(self, vector: IntArray) -> None:
        """Demands that all atoms are kept."""
        self._fixed.append(vector)

    def mark_shortcut(self, *vectors: IntArray) -> None:
        """Notes that a shortcut reads or adds these atoms."""
        self._in_shortcut += vectors

    def finish(self) -> Walk:
        """Returns the result; the image and the output of the last layer are fixed."""
        owner = np.concatenate(self._owner)
        fixed, in_shortcut = np.zeros((2, len(owner)), dtype=bool)
        for vector in (self._image, self.vectors[-1], *self._fixed):
            fixed[vector] = True
        for vector in self._in_shortcut:
            in_shortcut[vector] = True
        channel, vectors, splits = np.concatenate(self._channel), tuple(self.vectors), tuple(self._splits)
        return Walk(owner, channel, self._ties, fixed, in_shortcut, self._image, vectors, splits)

    def _add(self, layer: int, count: int) -> IntArray:
        self._owner.append(np.full(count, layer, dtype=np.int64))
        self._channel.append(np.arange(count))
        return self._ties.extend(count)
