"""How COCO data sets lie on disk: the split a json is of, the files of the other splits, where images are.

What is known of a split is in names only: `annotations/instances_val2017.json` is `val`, stands beside
`instances_train2017.json`, and its images lie in `val2017/` beside the folder `annotations/`.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import NamedTuple

from seyolo.errors import DataError

_SPLITS = ("train", "val", "test")
# As a word of its own wherever that can be: `latest_val.json` is of val.
_WORD = re.compile(r"(?<![a-z])(train(ing)?|val(id(ation)?)?|test(ing)?)(?![a-z])", re.IGNORECASE)
_ANYWHERE = re.compile("train|val|test", re.IGNORECASE)


class _Named(NamedTuple):
    """The split a name speaks of, the word for it, that to the end of the name, and the name without it."""

    split: str
    word: str
    tail: str
    pattern: str


def find_splits(source: Path) -> tuple[str, dict[str, Path]]:
    """Returns the split a json is of and the files of all splits, train first.

    Raises DataError when two files are of the same split.
    """
    own = _parse(source.name)
    if own is not None:
        beside = {path: _parse(path.name) for path in sorted(source.parent.glob("*.json"))}
        return own.split, _others(source, own, beside)
    own = _of_folder(source)
    if own is not None:
        there = _normal(source.parent / "..").glob(f"*/{source.name}")
        return own.split, _others(source, own, {path: _of_folder(path) for path in sorted(there)})
    return "val", {"val": source}


def image_folders(source: Path, split: str) -> list[str]:
    """Returns the existing folders that images of a json may lie in, the most particular first."""
    here, above = source.parent, _normal(source.parent / "..")
    named = _parse(source.name)
    names = [split] if named is None else [named.tail, named.word, split]
    bases = (here, here / "images", above, above / "images")
    folders = [*(base / name for base in bases for name in names), here, here / "images", *bases[:1:-1]]
    return [str(folder) for folder in dict.fromkeys(folders) if folder.is_dir()]


def _others(source: Path, own: _Named, named: dict[Path, _Named | None]) -> dict[str, Path]:
    files = {own.split: source}
    for path, other in named.items():
        if other is None or other.pattern != own.pattern or os.path.samefile(path, source):
            continue
        if other.split in files:
            raise DataError(f"{path}: is of the split `{other.split}` as {files[other.split]} is; remove one")
        files[other.split] = path
    return {split: files[split] for split in _SPLITS if split in files}


def _parse(file_name: str) -> _Named | None:
    match = _WORD.search(file_name) or _ANYWHERE.search(file_name)
    if match is None:
        return None
    split = next(split for split in _SPLITS if match[0].lower().startswith(split))
    pattern = f"{file_name[: match.start()]}*{file_name[match.end() :]}".lower()
    return _Named(split, match[0], os.path.splitext(file_name)[0][match.start() :], pattern)


def _of_folder(source: Path) -> _Named | None:
    """What the name of the file's folder says when it is a split's as a whole."""
    folder = os.path.basename(os.path.abspath(source.parent))
    return _parse(folder) if _WORD.fullmatch(folder) else None


def _normal(path: Path) -> Path:
    return Path(os.path.normpath(path))
