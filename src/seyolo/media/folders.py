"""Walks through folders that follow links, and come to every folder once, so that a loop of links ends."""

from __future__ import annotations

import glob
import os
from collections import deque
from collections.abc import Iterator
from pathlib import Path

from seyolo.errors import DataError

_ANY_DEPTH = "**"
_SKIPPED = frozenset({"__MACOSX"})


def walk(folder: str | Path) -> Iterator[tuple[str, list[str]]]:
    """Yields a folder and those below it with the names of their files, in any order.

    Hidden folders are left out. Links are followed, but each folder is visited once, under its own path
    rather than that of a link to it. Raises DataError for a folder that cannot be read.
    """
    waiting, linked, seen = [os.fspath(folder)], deque[str](), set[tuple[int, int]]()
    while waiting or linked:
        path = waiting.pop() if waiting else linked.popleft()
        status = os.stat(path)
        if (status.st_dev, status.st_ino) in seen:
            continue
        seen.add((status.st_dev, status.st_ino))
        files = []
        try:
            with os.scandir(path) as entries:
                for entry in entries:
                    if not entry.is_dir():
                        files.append(entry.name)
                    elif entry.name[0] != "." and entry.name not in _SKIPPED:
                        (linked if entry.is_symlink() else waiting).append(entry.path)
        except OSError as error:
            raise DataError(f"{path}: the folder cannot be read ({error.strerror})") from None
        yield path, files


def matches(pattern: str) -> Iterator[str]:
    """Yields the paths that match a glob pattern; `**` stands for folders at any depth."""
    parts = os.path.normpath(pattern).split(os.sep)
    if _ANY_DEPTH not in parts:
        yield from glob.iglob(pattern)
        return
    at = parts.index(_ANY_DEPTH)
    start, rest = os.sep.join((*parts[:at], "")), os.sep.join(parts[at + 1 :]) or "*"
    for base in glob.iglob(start) if at else [os.curdir]:
        for folder, _ in walk(base):
            inside = os.path.join(folder if at else os.path.relpath(folder), "")
            yield from matches(glob.escape(inside.removeprefix(f"{os.curdir}{os.sep}")) + rest)
