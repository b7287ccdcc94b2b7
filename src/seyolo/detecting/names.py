"""Names of a million files at eight bytes each: which there are, and new ones where several are the same."""

from __future__ import annotations

import os
from collections.abc import Iterable

import numpy as np


class NameSet:
    """A set of texts that are not kept, only their 64-bit hashes.

    Of a million texts two share a hash with a probability of 3e-8.
    """

    def __init__(self, names: Iterable[str]) -> None:
        hashes = np.fromiter((hash(name) for name in names), np.int64)
        self._hashes, counts = np.unique(hashes, return_counts=True)
        self._repeated = self._hashes[counts > 1]

    def __contains__(self, name: str) -> bool:
        return _holds(self._hashes, name)

    def repeats(self, name: str) -> bool:
        """Whether the name was there more than once."""
        return _holds(self._repeated, name)


def _holds(hashes: np.ndarray, name: str) -> bool:
    value = hash(name)
    position = int(np.searchsorted(hashes, value))
    return position < len(hashes) and int(hashes[position]) == value


class UniqueNames:
    """File names, the second of the same name numbered: `a.jpg`, `a-2.jpg`.

    Args:
        names: all that `take` will be asked for.
    """

    def __init__(self, names: Iterable[str]) -> None:
        self._all = NameSet(names)
        self._taken: dict[str, int] = {}

    def take(self, name: str) -> str:
        """The name, or a new one when it was taken before."""
        if not self._all.repeats(name):
            return name
        stem, ending = os.path.splitext(name)
        number = self._taken.get(name, 0) + 1
        while number > 1 and f"{stem}-{number}{ending}" in self._all:
            number += 1
        self._taken[name] = number
        return name if number == 1 else f"{stem}-{number}{ending}"
