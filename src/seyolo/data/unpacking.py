"""Archives as data sets: unpacked once, into the cache folder."""

from __future__ import annotations

import os
import shutil
from functools import partial
from pathlib import Path, PurePosixPath

from seyolo.data.archives import extract
from seyolo.data.cache import kept_folder, stamp_of_file
from seyolo.errors import DataError
from seyolo.files import cache_root
from seyolo.media.images import is_picture

ENDINGS = (".zip", ".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz")
MAX_BYTES = 64 << 30
"""Of the unpacked files; less where the disk has less space."""
_SPARED_BYTES = 1 << 30
_WANTED = frozenset({".csv", ".data", ".json", ".labels", ".mat", ".names", ".txt", ".xml", ".yaml", ".yml"})


def is_archive(path: Path) -> bool:
    """Tells whether a name has the ending of an archive."""
    return path.name.lower().endswith(ENDINGS)


def unpacked(archive: Path) -> Path:
    """Returns the folder of an archive's images and labels, by its name, size and time of change.

    Raises DataError for an archive that is missing, broken, unsafe, or too large for the disk.
    """
    if not archive.is_file():
        raise DataError(f"{archive}: no such file")
    ending = next(ending for ending in ENDINGS if archive.name.lower().endswith(ending))
    fill = partial(_fill, archive)
    return kept_folder("unpacked", archive.name[: -len(ending)], stamp_of_file(archive), fill)


def _fill(archive: Path, folder: Path) -> None:
    free = shutil.disk_usage(cache_root()).free - _SPARED_BYTES
    extract(archive, folder, _is_wanted, max(0, min(MAX_BYTES, free)))


def _is_wanted(name: PurePosixPath) -> bool:
    is_hidden = any(part.startswith(".") or part == "__MACOSX" for part in name.parts)
    return not is_hidden and (is_picture(name.name) or os.path.splitext(name)[1].lower() in _WANTED)
