"""Index: the labels of a large split as read before, kept in the cache folder.

It is used as long as nothing changed: names, sizes and times of change of the files in every folder of the
images and of the labels, and of the lists and the file that describe the data set. A damaged index is made
again, and none is kept while a file is so new that another change of it might show the same time.
"""

from __future__ import annotations

import hashlib
import os
import time
import zipfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from seyolo.data.samples import Samples
from seyolo.files import cache_root, replacing

LEAST_IMAGES = 2_000
"""Smaller splits are read anew each time."""
_SETTLED_S = 2.0
_FORM = b"4"  # of the index


def _files(path: str) -> Iterator[tuple[str, os.stat_result]]:
    """Yields a file, or the files directly in a folder."""
    if os.path.isdir(path):
        with os.scandir(path) as entries:
            yield from ((entry.name, entry.stat()) for entry in entries if entry.is_file())
    elif os.path.isfile(path):
        yield path, os.stat(path)


class Index:
    """The index of a split; `names` are the classes, which labels of other splits may decide on."""

    def __init__(
        self, source: Path, split: str, images: Sequence[str], files: Iterable[str], names: Sequence[str] = ()
    ) -> None:
        self.images = images
        self._newest_ns = 0
        digest = hashlib.blake2b(_FORM, digest_size=16)
        known = [os.path.abspath(source), split, *names, "", *images]
        digest.update("\0".join(known).encode(errors="surrogateescape"))
        for path in sorted({*files, *map(os.path.dirname, images)}):
            self._add(path, digest)
        self.signature = digest.digest()
        place = hashlib.blake2b(os.fsencode(f"{os.path.abspath(source)}\0{split}"), digest_size=8).hexdigest()
        self.path = cache_root() / "index" / f"{source.stem[:60]}-{split[:20]}-{place}.npz"

    def _add(self, path: str, digest: hashlib.blake2b) -> None:
        """Adds a file, or the files directly in a folder."""
        lines = []
        for name, status in _files(path):
            self._newest_ns = max(self._newest_ns, status.st_mtime_ns)
            lines.append(f"{name}\0{status.st_size}\0{status.st_mtime_ns}\n")
        digest.update("".join(sorted(lines)).encode(errors="surrogateescape"))

    def read(self) -> Samples | None:
        """Returns the samples, None where there is no index of the files as they are."""
        try:
            with self.path.open("rb") as file, np.load(file, allow_pickle=False) as stored:
                arrays = {name: stored[name] for name in stored.files}
        except (OSError, ValueError, EOFError, KeyError, zipfile.BadZipFile):
            return None
        signature = arrays.pop("signature", np.empty(0, np.uint8))
        if signature.tobytes() != self.signature or not Samples.fits(self.images, arrays):
            return None
        return Samples(self.images, arrays)

    def write(self, samples: Samples) -> None:
        """Keeps the samples, unless a file has just changed or the cache cannot be written."""
        if self._newest_ns > time.time_ns() - _SETTLED_S * 1e9:
            return
        arrays: dict[str, Any] = {**samples.arrays, "signature": np.frombuffer(self.signature, np.uint8)}
        with suppress(OSError), replacing(self.path, sync=False) as temporary, temporary.open("wb") as file:
            np.savez(file, **arrays)
