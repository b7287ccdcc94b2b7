"""Layout of COCO data sets on disk: the split of a json, the jsons of other splits, the image folders.

File and folder names alone give the split: `annotations/instances_val2017.json` is `val`, lies beside
`instances_train2017.json`, and its images are in `val2017/` beside the folder `annotations/`.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import NamedTuple

from seyolo.data.split_names import REST, SPLITS, WORD
from seyolo.errors import DataError

_REST = re.compile(rf"(?<![a-z]){REST}(?![a-z])", re.IGNORECASE)
_ANYWHERE = re.compile("train|val|test", re.IGNORECASE)


class _Named(NamedTuple):
    split: str
    word: str  # that names it
    tail: str  # the name from the word on
    pattern: str  # the name without the word


def find_splits(source: Path) -> tuple[str, dict[str, Path]]:
    """Returns the split of a json and the files of all splits; raises DataError when two are of one split."""
    own = _parse(source.name)
    if own is not None:
        beside = {path: _parse(path.name) for path in sorted(source.parent.glob("*.json"))}
        return own.split, _others(source, own, beside)
    own = _of_folder(source)
    if own is not None:
        there = Path(os.path.normpath(source.parent / "..")).glob(f"*/{source.name}")
        return own.split, _others(source, own, {path: _of_folder(path) for path in sorted(there)})
    return "train", {"train": source}


def image_folders(source: Path, split: str) -> list[str]:
    """Returns the existing folders that may hold the images of a json, the most specific first."""
    here, above = source.parent, Path(os.path.normpath(source.parent / ".."))
    named = _parse(source.name)
    names = [split, *SPLITS] if named is None else [named.tail, named.word, split]
    bases = (here, here / "images", above, above / "images")
    folders = [
        *(base / name for base in bases for name in names),
        here,
        here / "images",
        here / "data",
        *bases[:1:-1],
    ]
    return [str(folder) for folder in dict.fromkeys(folders) if folder.is_dir()]


def _others(source: Path, own: _Named, named: dict[Path, _Named | None]) -> dict[str, Path]:
    files = {own.split: source}
    for path, other in sorted(named.items(), key=lambda item: _is_rest(item[1])):
        if other is None or other.pattern != own.pattern or os.path.samefile(path, source):
            continue
        if other.split in files:
            if _is_rest(other):
                continue
            double = f"holds the split `{other.split}`, as does {files[other.split]}"
            raise DataError(f"{path}: {double}; give this file, or remove one of them")
        files[other.split] = path
    return {split: files[split] for split in SPLITS if split in files}


def _is_rest(named: _Named | None) -> bool:
    return named is not None and named.word.lower() == REST


def _parse(file_name: str) -> _Named | None:
    # A separate word comes first: `latest_val.json` is `val`.
    match = WORD.search(file_name) or _ANYWHERE.search(file_name) or _REST.search(file_name)
    if match is None:
        return None
    split = next((split for split in SPLITS if match[0].lower().startswith(split)), "train")
    pattern = f"{file_name[: match.start()]}*{file_name[match.end() :]}".lower()
    return _Named(split, match[0], os.path.splitext(file_name)[0][match.start() :], pattern)


def _of_folder(source: Path) -> _Named | None:
    """Parses the name of the file's folder if the whole name is that of a split."""
    folder = os.path.basename(os.path.abspath(source.parent))
    return _parse(folder) if WORD.fullmatch(folder) else None
