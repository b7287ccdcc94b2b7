"""Darknet's `.data` file: `key = value` lines with the paths of image lists and class names.

    classes = 2
    train = data/train.txt
    valid = data/valid.txt
    names = data/obj.names

`train`, `valid` (here the split `val`) and `test`, in any spelling, are list files of images with YOLO
labels. As in Darknet, label files lie under `labels/` in place of `images/` or `JPEGImages/`, or beside the
image.

Darknet resolves every path from the working directory, usually the top of its tree. Here paths start at the
folder of the file that holds them, then at the folder of the `.data`, at the working directory and at the
folders above the `.data`; last, a file is found by the end of its path, which for a list has a folder in it.
"""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from seyolo.data.formats.yolo import YoloFiles
from seyolo.data.split_names import REST, by_split, left_out, split_of
from seyolo.data.text import read_class_names, read_lines
from seyolo.data.tree import Finder, top_of
from seyolo.errors import DataError, shortened

MOST_ABOVE = 5
"""Folders above that of the .data file, itself included, that paths are looked up in: Darknet has its own in
`build/darknet/x64/data/`."""
_KEYS = ("train", "valid", "test", "names", "classes")
# Keys of Darknet's own commands, classifiers and evaluation; ignored.
_IGNORED_KEYS = frozenset({"backup", "difficult", "eval", "labels", "results", "top"})
_UNDER_IMAGES = re.compile(r"(.*[/\\]|)(?:images|JPEGImages)[/\\]")


class _Value(NamedTuple):
    text: str
    where: str  # `file:line: key`


def read_darknet_data(source: Path, top: Path | None = None) -> YoloFiles:
    """Reads a Darknet `.data` file of a data set in the folder `top`.

    Raises DataError, with file and line, for an invalid key or value.
    """
    values = _read_values(source)
    if "names" not in values:
        raise DataError(f"{source}: no key `names`; add `names = obj.names`, a file of one class per line")
    finder = Finder(top or top_of(source))
    roots = _roots(source)
    names = read_class_names(_existing(values["names"], source, roots, finder))
    stated = values.get("classes")
    if stated is not None and stated.text != str(len(names)):
        listed = f"{shortened(values['names'].text)} lists {len(names)}"
        raise DataError(f"{stated.where} is {shortened(stated.text)}, but {listed}")
    keys = by_split(values, source)
    finder.notes += left_out(values, keys, source)
    splits = {split: (_existing(values[key], source, roots, finder),) for split, key in keys.items()}
    if not splits:
        raise DataError(f"{source}: names no split; add `train = train.txt` and `valid = valid.txt`")
    is_cvat = any(path.is_dir() for path in source.parent.glob("obj_*_data"))
    layout = "YOLO 1.1 as CVAT exports it" if is_cvat else "YOLO of Darknet"
    return YoloFiles(source, names, splits, roots, layout, finder, _UNDER_IMAGES)


def read_darknet_list(source: Path, name_files: Iterable[str]) -> YoloFiles:
    """Reads a list of images as the split `train`, with class names from a `.names` file beside it.

    Raises DataError without one, also by the names in `name_files`, and where several differ.
    """
    paths = {*source.parent.glob("*.names"), *(source.parent / name for name in name_files)}
    found = {read_class_names(path): path for path in sorted(paths) if path.is_file()}
    if len(found) != 1:
        files = " and ".join(map(str, found.values()))
        said = f"{files} differ" if found else f"no .names file is in {source.parent}"
        way = "give the .data file that names the list and its classes"
        raise DataError(f"{source}: a list of images, and {said}; {way}")
    ((names, path),) = found.items()
    finder = Finder(top_of(source), notes=[f"{source}: the class names are those of {path}"])
    layout, splits = "YOLO of Darknet", {"train": (source,)}
    return YoloFiles(source, names, splits, _roots(source), layout, finder, _UNDER_IMAGES)


def _roots(source: Path) -> tuple[Path, ...]:
    """Returns the folders that a path of a .data file may start from."""
    return (source.parent, Path(), *Path(os.path.abspath(source)).parents[1:MOST_ABOVE])


def _read_values(source: Path) -> dict[str, _Value]:
    values: dict[str, _Value] = {}
    for line, text in read_lines(source).items():
        if text[0] in "#;":
            continue
        key, equals, value = (part.strip() for part in text.partition("="))
        if not equals or not value:
            raise DataError(f"{source}:{line}: expected `key = value`, found `{text[:40]}`")
        if key not in _KEYS and key not in _IGNORED_KEYS and split_of(key) is None and key.lower() != REST:
            near = difflib.get_close_matches(key.lower(), (*_KEYS, *_IGNORED_KEYS), n=1)
            advice = f"did you mean `{near[0]}`?" if near else f"known are {', '.join(_KEYS)}"
            raise DataError(f"{source}:{line}: unknown key `{shortened(key)}`; {advice}")
        if key in values:
            raise DataError(f"{source}:{line}: {key} is repeated; remove one of the lines")
        values[key] = _Value(value, f"{source}:{line}: {key}")
    return values


def _existing(value: _Value, source: Path, roots: tuple[Path, ...], finder: Finder) -> Path:
    """Returns the file of a value."""
    found = finder.list_file(value.text, roots, source)
    if found is None:
        paths = dict.fromkeys((source.parent / value.text, Path(value.text)))
        places = " or ".join(shortened(str(path)) for path in paths)
        raise DataError(f"{value.where}: there is no file {places}; put it there, or mend the line")
    return Path(found)
