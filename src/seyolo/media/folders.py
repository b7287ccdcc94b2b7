"""Walks through folders that follow links, and come to every folder once, so that a loop of links ends."""

from __future__ import annotations

import glob
import os
from collections.abc import Iterator
from pathlib import Path

_ANY_DEPTH = "**"


def folders_below(folder: str | Path) -> Iterator[tuple[str, list[str]]]:
    """Yields every folder from `folder` down with the names of its files, without hidden folders."""
    seen = set()
    for parent, folders, files in os.walk(folder, followlinks=True):
        about = os.stat(parent)
        if (about.st_dev, about.st_ino) in seen:
            folders.clear()
            continue
        seen.add((about.st_dev, about.st_ino))
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        yield parent, files


def matches(pattern: str) -> Iterator[str]:
    """Yields the paths that match a glob pattern; `**` stands for folders at any depth."""
    parts = os.path.normpath(pattern).split(os.sep)
    if _ANY_DEPTH not in parts:
        yield from glob.iglob(pattern)
        return
    at = parts.index(_ANY_DEPTH)
    start, rest = os.sep.join((*parts[:at], "")), os.sep.join(parts[at + 1 :]) or "*"
    for base in glob.iglob(start) if at else [os.curdir]:
        for folder, _ in folders_below(base):
            inside = os.path.join(folder if at else os.path.relpath(folder), "")
            yield from matches(glob.escape(inside.removeprefix(f"{os.curdir}{os.sep}")) + rest)
