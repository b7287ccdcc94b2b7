"""Folders of a data set, and files found by the end of a path.

Labels often state paths that hold elsewhere: with backslashes, of another machine, with a leading folder
too many. Such a file is found where the end of its path fits one file of the data set's folder better than
any other.
"""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from urllib.parse import unquote

from seyolo.data.split_names import split_of
from seyolo.errors import shortened
from seyolo.media.folders import walk
from seyolo.media.images import is_picture

_LONGEST = 4096  # characters of a path
_HASH = re.compile(r"[0-9a-f]{8}-(?=.)")  # Label Studio puts it before the name of an uploaded file
_PARTS = frozenset({"annotations", "cfg"})
"""Folders inside a data set that hold the file that describes it."""
_LOCAL_FILE = re.compile(r".*[?&]d=([^&]+).*")  # Label Studio's address of a file in local storage


class Tree:
    """All files of a folder by their folder: paths relative to `root`, with slashes."""

    def __init__(self, root: str | Path) -> None:
        self.root = Path(root)
        start = os.path.join(root, "")
        self.folders: dict[str, list[str]] = {
            path.removeprefix(start).replace(os.sep, "/") if path != os.fspath(root) else "": sorted(files)
            for path, files in sorted(walk(root))
        }

    @cached_property
    def endings(self) -> dict[str, Counter[str]]:
        """Numbers of files by their ending in lower case, hidden ones left out, for each folder."""
        return {
            folder: Counter(os.path.splitext(file)[1].lower() for file in files if file[0] != ".")
            for folder, files in self.folders.items()
        }

    @cached_property
    def num_images(self) -> Counter[str]:
        """Numbers of images in each folder and in all below it."""
        found: Counter[str] = Counter()
        for folder, endings in self.endings.items():
            own = sum(number for ending, number in endings.items() if is_picture(f"x{ending}"))
            parts = folder.split("/") if folder else []
            for depth in range(len(parts) + 1):
                found["/".join(parts[:depth])] += own
        return found

    def path(self, folder: str, name: str = "") -> Path:
        """Returns the path of a file or folder."""
        return self.root / folder / name

    def below(self, folder: str) -> list[str]:
        """Returns the names of the folders directly in a folder."""
        start = f"{folder}/" if folder else ""
        names = (
            name.removeprefix(start) for name in self.folders if name != folder and name.startswith(start)
        )
        return sorted({name for name in names if name and "/" not in name})

    @cached_property
    def _folders_of_file(self) -> dict[str, list[str]]:
        found: dict[str, list[str]] = {}
        for folder, files in self.folders.items():
            for file in files:
                found.setdefault(file, []).append(folder)
        return found

    @cached_property
    def _folders_of_folder(self) -> dict[str, list[str]]:
        found: dict[str, list[str]] = {}
        for folder in self.folders:
            above, _, name = folder.rpartition("/")
            found.setdefault(name, []).append(above)
        return found

    def has_folder(self, parts: list[str]) -> bool:
        """Tells whether the path of any folder ends so."""
        *above, name = parts
        folders = self._folders_of_folder.get(name, [])
        return any(_common_end(folder, above) == len(above) for folder in folders)

    def best(self, parts: list[str], *, is_folder: bool = False) -> list[str]:
        """Returns the files or folders that share the longest end with a path; several fit equally."""
        *above, name = parts
        folders = (self._folders_of_folder if is_folder else self._folders_of_file).get(name, [])
        lengths = [_common_end(folder, above) for folder in folders]
        longest = max(lengths, default=0)
        return [
            os.path.join(f, name) for f, length in zip(folders, lengths, strict=True) if length == longest
        ]


def _common_end(folder: str, parts: list[str]) -> int:
    count = 0
    for mine, other in zip(reversed(folder.split("/") if folder else []), reversed(parts), strict=False):
        if mine != other:
            break
        count += 1
    return count


def top_of(source: Path) -> Path:
    """Returns the folder of the data set that a file in it describes, which may lie in a part of its own."""
    is_part = source.absolute().parent.name in _PARTS
    return Path(os.path.normpath(source.parent / "..")) if is_part else source.parent


@dataclass
class Finder:
    """Finds the files and folders that labels name; `moved` counts by source what lay in another place.

    The folder `root` is walked when a path first leads nowhere.
    """

    root: Path
    moved: dict[str, list[tuple[str, str]]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    @cached_property
    def _tree(self) -> Tree:
        return Tree(self.root)

    def file(self, text: str, folders: Iterable[str | Path], source: str | Path) -> str | None:
        """Returns the path of a file, from one of the folders or else by the end of its path."""
        for folder in folders:
            path = os.path.normpath(os.path.join(folder, text))
            if os.path.isfile(path):
                return path
        found = self.ends(text)
        return self._moved(text, found[0], source) if len(found) == 1 else None

    def list_file(self, text: str, folders: Iterable[str | Path], source: str | Path) -> str | None:
        """Returns the path of a list of images or classes as `file`, but by its end only as `lists` does."""
        for folder in folders:
            path = os.path.normpath(os.path.join(folder, text))
            if os.path.isfile(path):
                return path
        found = self.lists(text, Path(source).parent)
        return self._moved(text, found[0], source) if len(found) == 1 else None

    def lists(self, text: str, beside: Path) -> list[str]:
        """Returns the files that fit the end of a path best and lie in a folder that it names, or `beside`.

        A name such as `val.txt` alone says too little: other programs have files of that name.
        """
        return [
            path
            for path in self.ends(text)
            if os.path.abspath(os.path.dirname(path)) == os.path.abspath(beside)
            or any(_common_end(path.replace(os.sep, "/"), parts) > 1 for parts in _readings(text))
        ]

    def folder(self, text: str, source: str | Path) -> str | None:
        """Returns the folder with this end of its path."""
        found = self.ends(text, is_folder=True)
        return self._moved(text, found[0], source) if len(found) == 1 else None

    def ends(self, text: str, *, is_folder: bool = False) -> list[str]:
        """Returns the paths that fit the end of a path best."""
        for parts in _readings(text) if len(text) <= _LONGEST else ():
            found = self._tree.best(parts, is_folder=is_folder)
            if fitting := [path for path in found if not self._contradicts(parts, path)]:
                return [os.path.normpath(os.path.join(self.root, path)) for path in fitting]
        return []

    def _contradicts(self, parts: list[str], path: str) -> bool:
        """Tells whether the stated path leads to another folder of the data set, or to another split."""
        own = path.replace(os.sep, "/").split("/")
        stated = parts[: -_common_end(path.replace(os.sep, "/"), parts) or None]
        splits, own_splits = ({split_of(name) for name in names} - {None} for names in (parts[:-1], own[:-1]))
        is_elsewhere = bool(stated) and stated[-1] not in own
        is_elsewhere = is_elsewhere and self._tree.has_folder(parts[len(stated) - 1 : -1])
        return is_elsewhere or bool(splits and own_splits and not splits & own_splits)

    def _moved(self, text: str, path: str, source: str | Path) -> str:
        self.moved.setdefault(str(source), []).append((text, path))
        return path

    def remarks(self) -> list[str]:
        """Returns a sentence for each file whose paths lead elsewhere, and other notes of the reader."""
        return [*self.notes, *(_remark(source, moved) for source, moved in self.moved.items())]


def _readings(text: str) -> Iterator[list[str]]:
    """Yields the parts of a path as written on another system, then without Label Studio's additions."""
    slashed = text.replace("\\", "/")
    for reading in dict.fromkeys((slashed, unquote(_LOCAL_FILE.sub(r"\1", slashed)))):
        parts = [part for part in reading.split("/") if part not in ("", ".", "..")]
        if parts:
            yield parts
            yield [*parts[:-1], _HASH.sub("", parts[-1], count=1)]


def _remark(source: str, moved: list[tuple[str, str]]) -> str:
    text, path = moved[0]
    if len(moved) == 1:
        return f"{source}: {shortened(text)} leads nowhere; taken is {shortened(path)}"
    first = f"the first, {shortened(text)}, is {shortened(path)}"
    return f"{source}: {len(moved):,} paths lead nowhere and were found by their ends; {first}"
