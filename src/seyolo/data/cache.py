"""Folder of what is made once from data sets: unpacked archives, conversions, indexes."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from pathlib import Path

from seyolo.errors import DataError
from seyolo.files import cache_root, new_folder
from seyolo.media.folders import walk


def kept_folder(kind: str, name: str, stamp: str, fill: Callable[[Path], None]) -> Path:
    """Returns a folder of the cache, filled where it is not there yet; it is complete or absent.

    Args:
        kind: folder of the cache.
        name: readable start of the folder's name.
        stamp: of what it is made from; another one is another folder.
        fill: writes into the folder.

    Raises:
        DataError: the cache cannot be written.
    """
    folder = cache_root() / kind / f"{name[:80]}-{stamp}"
    if folder.is_dir():
        return folder
    try:
        with new_folder(folder) as prepared:
            fill(prepared)
    except OSError as error:
        if not folder.is_dir():  # else another process was faster
            advice = "free space, or set SEYOLO_CACHE to another folder"
            raise DataError(f"{folder}: cannot be written ({error}); {advice}") from error
    return folder


def stamp_of_file(path: Path) -> str:
    """Returns a digest of a file's name, size and time of change."""
    status = path.stat()
    return stamp_of([path.name, status.st_size, status.st_mtime_ns])


def stamp_of_folder(root: Path) -> str:
    """Returns a digest of the names, sizes and times of all files of a folder."""
    found: list[object] = [str(root.resolve())]
    for folder, files in sorted(walk(root)):
        for file in sorted(files):
            status = os.stat(os.path.join(folder, file))
            found += [folder, file, status.st_size, status.st_mtime_ns]
    return stamp_of(found)


def stamp_of(values: list[object]) -> str:
    """Returns a digest of values that print differently."""
    return hashlib.blake2b(repr(values).encode(errors="surrogateescape"), digest_size=8).hexdigest()
