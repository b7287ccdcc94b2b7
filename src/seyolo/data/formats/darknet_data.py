"""Darknet's `.data` file: `key = value` lines with the paths of image lists and class names.

    classes = 2
    train = data/train.txt
    valid = data/valid.txt
    names = data/obj.names

`train`, `valid` (here the split `val`) and `test` are list files of images with YOLO labels. As in Darknet,
label files lie under `labels/` in place of `images/` or `JPEGImages/`, or beside the image.

Darknet resolves every path from the working directory. Here paths start at the folder of the file that holds
them, then (for a line of a list) at the folder of the `.data`, then at the working directory.
"""

from __future__ import annotations

import difflib
import os
import re
from pathlib import Path
from typing import NamedTuple

from seyolo.data.formats.yolo import YoloFiles
from seyolo.data.text import read_lines, read_text
from seyolo.errors import DataError, shortened

_SPLITS = {"train": "train", "valid": "val", "test": "test"}
_KEYS = (*_SPLITS, "names", "classes")
# Keys of Darknet's own commands, classifiers and evaluation; ignored.
_IGNORED_KEYS = frozenset({"backup", "difficult", "eval", "labels", "results", "top"})
_UNDER_IMAGES = re.compile(r"(.*[/\\]|)(?:images|JPEGImages)[/\\]")


class _Value(NamedTuple):
    text: str
    where: str  # `file:line: key`


def read_darknet_data(source: Path) -> YoloFiles:
    """Reads a Darknet `.data` file; raises DataError, with file and line, for an invalid key or value."""
    values = _read_values(source)
    if "names" not in values:
        raise DataError(f"{source}: no key `names`; add `names = obj.names`, a file of one class per line")
    names = _read_names(_existing(values["names"], source))
    stated = values.get("classes")
    if stated is not None and stated.text != str(len(names)):
        listed = f"{shortened(values['names'].text)} lists {len(names)}"
        raise DataError(f"{stated.where} is {shortened(stated.text)}, but {listed}")
    splits = {_SPLITS[key]: (_existing(values[key], source),) for key in _SPLITS if key in values}
    if not splits:
        raise DataError(f"{source}: names no split; add `train = train.txt` and `valid = valid.txt`")
    return YoloFiles(source, names, splits, (source.parent, Path()), _UNDER_IMAGES)


def _read_values(source: Path) -> dict[str, _Value]:
    values: dict[str, _Value] = {}
    for line, text in read_lines(source).items():
        if text[0] in "#;":
            continue
        key, equals, value = (part.strip() for part in text.partition("="))
        if not equals or not value:
            raise DataError(f"{source}:{line}: expected `key = value`, found `{text[:40]}`")
        if key not in _KEYS and key not in _IGNORED_KEYS:
            near = difflib.get_close_matches(key.lower(), (*_KEYS, *_IGNORED_KEYS, "val"), n=1)
            meant = "valid" if near == ["val"] else "".join(near)
            advice = f"did you mean `{meant}`?" if near else f"known are {', '.join(_KEYS)}"
            raise DataError(f"{source}:{line}: unknown key `{shortened(key)}`; {advice}")
        if key in values:
            raise DataError(f"{source}:{line}: {key} is repeated; remove one of the lines")
        values[key] = _Value(value, f"{source}:{line}: {key}")
    return values


def _existing(value: _Value, source: Path) -> Path:
    """Returns the file of a value, from the folder of the .data file or else the working directory."""
    paths = list(dict.fromkeys((source.parent / value.text, Path(value.text))))
    found = next((path for path in paths if os.path.isfile(path)), None)
    if found is None:
        raise DataError(
            f"{value.where}: there is no file {' or '.join(shortened(str(path)) for path in paths)}"
        )
    return found


def _read_names(path: Path) -> tuple[str, ...]:
    names = tuple(line.strip() for line in read_text(path).rstrip().splitlines())
    if not names:
        raise DataError(f"{path}: names no class; write one per line")
    for line, name in enumerate(names, start=1):
        if not name:
            raise DataError(f"{path}:{line}: empty line between the class names; remove it")
        if name in names[: line - 1]:
            raise DataError(
                f"{path}:{line}: the class {shortened(name)} is repeated; remove one of the lines"
            )
    return names
