"""Folder of a written data set: it appears under its name only when it is complete."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from seyolo.errors import DataError


@contextmanager
def output_folder(path: Path) -> Iterator[Path]:
    """Yields a folder beside `path`, renamed to `path` when the block succeeds, else removed.

    Raises:
        DataError: `path` is not an empty folder, or the system refuses to read or write a file.
    """
    path = path.absolute()
    if path.exists() and not (path.is_dir() and not any(path.iterdir())):
        raise DataError(f"{path}: already there and not an empty folder; name another or remove it first")
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        partial.mkdir(parents=True)
        yield partial
        if path.exists():
            path.rmdir()  # not every system renames onto an empty folder
        partial.rename(path)
    except OSError as error:
        raise DataError(f"{path}: cannot be written ({error}); free space or name another folder") from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)
