"""YOLO label files in other folders than YOLO looks in: found by the names of their images, and reported.

A folder counts where its files have names of images without labels, and none the name of another: copies of
labels and detections of a model do not count.
"""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Iterable, Iterator
from contextlib import suppress
from itertools import islice

from seyolo.data.labels import Problem
from seyolo.errors import DataError, counted
from seyolo.media.folders import walk

_ROW = re.compile(rb"\s*\d+(\.0*)?([ \t]+[-+.\deE]+){4,}\s*(\n|$)")
_HASH = re.compile(r"[0-9a-f]{8}-.")  # Label Studio puts it before the name of an uploaded file
_HASH_LENGTH = 9
_MOST_FOLDERS = 1_000


def is_rows(path: str) -> bool:
    """Tells whether a file starts with a row of YOLO labels."""
    try:
        with open(path, "rb") as file:
            return _ROW.match(file.read(4096)) is not None
    except OSError:
        return False


def stem_of(path: str) -> str:
    """Returns the name of a file without its ending."""
    return os.path.splitext(os.path.basename(path))[0]


def elsewhere(bare: Iterable[str], labelled: set[str], bases: Iterable[str]) -> list[Problem]:
    """Returns a problem for each folder below the bases that holds labels of images without label file.

    Args:
        bare: images without label file.
        labelled: names of the other images, without ending.
        bases: folders that are searched.
    """
    image_of = {stem_of(path): path for path in sorted(bare)}
    folders = {os.path.normpath(folder): files for base in set(bases) for folder, files in _below(base)}
    problems = []
    for folder, files in folders.items():
        stems = {file[:-4] for file in files if file.endswith(".txt")}
        hashed = {stem[_HASH_LENGTH:]: stem for stem in stems if _HASH.match(stem)}
        for stem_of_name in ({stem: stem for stem in stems}, hashed):
            own = [(stem_of_name[name], image_of[name]) for name in sorted(image_of.keys() & stem_of_name)]
            own = [(stem, image) for stem, image in own if os.path.normpath(os.path.dirname(image)) != folder]
            is_copy = not own or not labelled.isdisjoint(stem_of_name)
            if not is_copy and is_rows(os.path.join(folder, f"{own[0][0]}.txt")):
                problems.append(Problem(folder, 0, _said(folder, own, stem_of_name is not hashed)))
                break
    return sorted(problems)


def _below(base: str) -> Iterator[tuple[str, list[str]]]:
    """Yields the first folders below a base, which may be a home folder, until one cannot be read."""
    with suppress(DataError):
        yield from islice(walk(base), _MOST_FOLDERS)


def _said(folder: str, own: list[tuple[str, str]], is_named_so: bool) -> str:
    places = sorted({os.path.dirname(image) or os.curdir for _, image in own})
    text = (
        f"holds labels of {counted(len(own), 'image')} in {' and '.join(places[:2])}, where they are not read"
    )
    if not is_named_so:
        example = f"`{own[0][0]}.txt` is of {os.path.basename(own[0][1])}"
        return f"{text}: {example}; export again with images, or take {_HASH_LENGTH} characters off the names"
    move = f": mv {shlex.quote(folder)}/*.txt {shlex.quote(places[0])}/" if len(places) == 1 else ""
    return f"{text}; rename the two folders `images` and `labels`, or move the labels beside the images{move}"
