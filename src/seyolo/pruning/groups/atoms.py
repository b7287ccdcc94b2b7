"""Atoms of channel groups: one per channel that a layer makes, and the ties between them.

The output of each layer is a vector of atoms. The channel rule of its section (see `groups.rules`) makes new
atoms, ties, splits or fixes those it reads, or passes them on.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from seyolo.darknet.graph import IMAGE

IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]
FloatArray = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Split:
    """A vector of atoms in equal parts; every part must keep equally many."""

    vector: IntArray
    num_parts: int


class Walk:
    """A walk over the layers in order; the channel rules note on it what they find."""

    def __init__(self, image_channels: int) -> None:
        self.owner = [IMAGE] * image_channels  # per atom the layer that makes it
        self.channel = list(range(image_channels))  # per atom its output channel there
        self.fixed = set(self.channel)  # atoms that may not be removed
        self.in_shortcut: set[int] = set()  # atoms that a shortcut reads or adds
        self.splits: list[Split] = []
        self.image: IntArray = np.arange(image_channels)  # its atoms
        self.vectors: list[IntArray] = []  # per layer so far the atoms of its output
        self._ties: list[tuple[IntArray, IntArray]] = [(self.image, self.image)]

    def read(self, source: int) -> IntArray:
        """Returns the atoms of the output of a layer; -1 is the image."""
        return self.image if source == IMAGE else self.vectors[source]

    def make(self, count: int) -> IntArray:
        """Returns `count` new atoms, owned by the layer that is next in `vectors`."""
        first = len(self.owner)
        self.owner += [len(self.vectors)] * count
        self.channel += range(count)
        return np.arange(first, first + count)

    def tie(self, first: IntArray, second: IntArray) -> None:
        """Ties two vectors of equal length elementwise: their atoms are kept or removed together."""
        self._ties.append((first, second))

    def split(self, vector: IntArray, num_parts: int) -> None:
        """Demands that equal parts of a vector keep equally many atoms."""
        self.splits.append(Split(vector, num_parts))

    def fix(self, vector: IntArray) -> None:
        """Demands that all atoms are kept."""
        self.fixed.update(vector.tolist())

    def mark_shortcut(self, *vectors: IntArray) -> None:
        """Notes that a shortcut reads or adds these atoms."""
        for vector in vectors:
            self.in_shortcut.update(vector.tolist())

    def roots(self) -> IntArray:
        """Returns per atom the lowest atom that is tied to it, directly or through others."""
        first, second = (np.concatenate(side) for side in zip(*self._ties, strict=True))
        ties = coo_array((np.ones(len(first)), (first, second)), shape=(len(self.owner),) * 2)
        _, component = connected_components(ties, directed=False)
        _, lowest, component = np.unique(component, return_index=True, return_inverse=True)
        roots: IntArray = lowest[component]
        return roots
