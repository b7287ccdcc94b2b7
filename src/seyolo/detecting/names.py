"""Sets of file names at eight bytes per name, and unique file names.

Python's own sets take five times as much memory for the names of a million images.
"""

from __future__ import annotations

import os
from collections.abc import Iterable

import numpy as np


class NameSet:
    """A set of texts that holds their 64-bit hashes.

    Two of a million texts share a hash with a probability of 3e-8.
    """

    def __init__(self, names: Iterable[str]) -> None:
        hashes = np.fromiter((hash(name) for name in names), np.int64)
        self._hashes, counts = np.unique(hashes, return_counts=True)
        self._repeated = self._hashes[counts > 1]

    def __contains__(self, name: str) -> bool:
        return _holds(self._hashes, name)

    def repeats(self, name: str) -> bool:
        """Tells whether the name occurs more than once."""
        return _holds(self._repeated, name)


def _holds(hashes: np.ndarray, name: str) -> bool:
    value = hash(name)
    position = int(np.searchsorted(hashes, value))
    return position < len(hashes) and int(hashes[position]) == value


class UniqueNames:
    """File names made unique by numbers: `a.jpg`, `a-2.jpg`.

    Args:
        names: all names that will be passed to `take`.
    """

    def __init__(self, names: Iterable[str]) -> None:
        self._all = NameSet(names)
        self._taken: dict[str, int] = {}

    def take(self, name: str) -> str:
        """Returns the name, or a numbered one when it is taken."""
        if not self._all.repeats(name):
            return name
        stem, ending = os.path.splitext(name)
        number = self._taken.get(name, 0) + 1
        while number > 1 and f"{stem}-{number}{ending}" in self._all:
            number += 1
        self._taken[name] = number
        return name if number == 1 else f"{stem}-{number}{ending}"
