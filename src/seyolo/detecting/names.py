"""Names of the files of each source, unique, in memory that a million images afford.

A `NameSet` holds eight bytes per name, a fifth of Python's own sets.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from seyolo.errors import UsageError
from seyolo.media.sources import is_live, kind_of

# Endings that OpenCV cannot write, or only without colour, and those of the annotated images.
WRITTEN_ENDINGS = {".pbm": ".ppm", ".pgm": ".ppm", ".jfif": ".jpg", ".jp2": ".png"}


class NameSet:
    """A set of texts that holds their 64-bit hashes; two of a million share one with probability 3e-8."""

    def __init__(self, names: Iterable[str]) -> None:
        hashes = np.fromiter((hash(name) for name in names), np.int64)
        self._hashes, counts = np.unique(hashes, return_counts=True)
        self._repeated = self._hashes[counts > 1]

    def __contains__(self, name: str) -> bool:
        return _holds(self._hashes, name)

    @property
    def has_repeats(self) -> bool:
        """Tells whether any name occurs more than once."""
        return len(self._repeated) > 0

    def repeats(self, name: str) -> bool:
        """Tells whether the name occurs more than once."""
        return _holds(self._repeated, name)


def _holds(hashes: np.ndarray, name: str) -> bool:
    if not len(hashes):
        return False
    value = hash(name)
    position = int(np.searchsorted(hashes, value))
    return position < len(hashes) and int(hashes[position]) == value


class UniqueNames:
    """File names made unique by numbers: `a.jpg`, `a-2.jpg`; `names` are all that `take` will get."""

    def __init__(self, names: Iterable[str]) -> None:
        self._all = NameSet(names)
        self._taken: dict[str, int] = {}
        self.are_unique = not self._all.has_repeats

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


class Place(NamedTuple):
    """Names for the files of a source: its annotated file, and the stem of all others."""

    file: str
    stem: str


class Places:
    """Unique file names for every source; `names` includes finished sources and those of other workers."""

    def __init__(self, names: Sequence[str]) -> None:
        self._files = UniqueNames(_file_name(name) for name in names)
        self._stems = UniqueNames(_stem(_file_name(name)) for name in names)
        self._are_unique = self._files.are_unique and self._stems.are_unique

    def skip(self, name: str) -> None:
        """Passes over a source of another worker, whose names nobody else gets."""
        if not self._are_unique:
            self.take(name)

    def take(self, name: str) -> Place:
        """Returns the names for the next source."""
        file = _file_name(name)
        return Place(self._files.take(file), self._stems.take(_stem(file)))


def _file_name(name: str) -> str:
    kind = kind_of(name)
    if kind == "picture":
        stem, ending = os.path.splitext(os.path.basename(name))
        return stem + WRITTEN_ENDINGS.get(ending.lower(), ending)
    stems = {"video": _stem(name), "camera": f"camera-{name}", "stream": "stream", "stdin": "stdin"}
    return stems[kind] + (".jpg" if kind == "stdin" else ".mp4")


def _stem(name: str) -> str:
    return os.path.splitext(os.path.basename(name))[0]


def check_places(names: Sequence[str], folder: Path) -> None:
    """Raises UsageError for a folder where annotated images or videos would overwrite sources."""
    if not folder.exists():
        return
    real_folder = os.path.realpath(folder)
    files = (os.path.realpath(name) for name in names if not is_live(name))
    inside = {file for file in files if os.path.dirname(file) == real_folder}
    places = Places(names)
    for name in names if inside else ():
        file = places.take(name).file
        if os.path.join(real_folder, file) in inside:
            raise UsageError(f"--out {folder}: would overwrite {folder / file}; give another folder")
