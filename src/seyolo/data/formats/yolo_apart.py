"""YOLO label files in other folders than YOLO looks in: found by the names of their images, and reported.

A folder counts where more of its files have names of images without labels than of others: copies of labels
and detections of a model do not count.
"""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Iterable

from seyolo.data.labels import Problem
from seyolo.errors import counted
from seyolo.media.folders import walk

_ROW = re.compile(rb"\s*\d+(\.0*)?([ \t]+[-+.\deE]+){4,}\s*(\n|$)")
_HASH = re.compile(r"[0-9a-f]{8}-(?=.)")  # Label Studio puts it before the name of an uploaded file


def is_rows(path: str) -> bool:
    """Tells whether a file starts with a row of YOLO labels."""
    with open(path, "rb") as file:
        return _ROW.match(file.read(4096)) is not None


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
    problems = []
    for folder, files in {folder: files for base in set(bases) for folder, files in walk(base)}.items():
        stems = [stem_of(file) for file in sorted(files) if file.endswith(".txt")]
        for named in (stems, [_HASH.sub("", stem, count=1) for stem in stems]):
            pairs = [
                (stem, image_of[name]) for stem, name in zip(stems, named, strict=True) if name in image_of
            ]
            own = [(stem, image) for stem, image in pairs if os.path.dirname(image) != folder]
            is_copy = len(labelled.intersection(named)) >= len(own)
            if not is_copy and is_rows(os.path.join(folder, f"{own[0][0]}.txt")):
                problems.append(Problem(folder, 0, _said(folder, own, named is stems)))
                break
    return sorted(problems)


def _said(folder: str, own: list[tuple[str, str]], is_named_so: bool) -> str:
    places = sorted({os.path.dirname(image) or os.curdir for _, image in own})
    text = (
        f"holds labels of {counted(len(own), 'image')} in {' and '.join(places[:2])}, where they are not read"
    )
    if not is_named_so:
        example = f"`{own[0][0]}.txt` is of {os.path.basename(own[0][1])}"
        return f"{text}: {example}; export again with images, or take the first 9 characters off the names"
    move = f": mv {shlex.quote(folder)}/*.txt {shlex.quote(places[0])}/" if len(places) == 1 else ""
    return f"{text}; rename the two folders `images` and `labels`, or move the labels beside the images{move}"
