"""`data.yaml`: names the classes of a data set with YOLO labels and where the images of each split lie.

A split is a folder of images, a list file of image paths, or a YAML list of those.

Notable: any key that looks like a split (`test_small`) or leads to a folder or list file is one; other keys
are errors that name the near miss. PyYAML is imported with the first file, since that takes longer than to
detect in a photo.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from pathlib import Path

from seyolo.data.formats.yolo import YoloFiles
from seyolo.data.labels import read_text
from seyolo.errors import DataError
from seyolo.files import write_text

_SPLITS = ("train", "val", "test")
_KEYS = ("path", *_SPLITS, "names", "nc")
# Publishers add these to say where the images came from; they change nothing here.
_ORIGIN_KEYS = frozenset({"author", "description", "download", "license", "roboflow", "url", "version"})
_SPLIT_NAME = re.compile(rf"({'|'.join(_SPLITS)})([\W_\d].*)?")


def read_data_yaml(source: Path) -> YoloFiles:
    """Reads a `data.yaml` with path, train, val, test (or any other split) and names.

    Raises DataError when the file is missing, of another kind, or holds a key or value that makes no sense.
    """
    values = _read_yaml(source)
    root = source.parent / _text(values.get("path") or ".", "path", source)
    if not root.is_dir():
        raise DataError(f"{source}: path: there is no folder {root}")
    splits = _splits(values, root, source)
    names = _names(values.get("names"), source)
    if values.get("nc", len(names)) != len(names):
        raise DataError(f"{source}: nc is {values['nc']}, but names lists {len(names)}")
    if not splits:
        raise DataError(f"{source}: names no split; add `train: images/train` and `val: images/val`")
    return YoloFiles(source, names, splits, (root,))


def write_data_yaml(path: str | Path, splits: Mapping[str, str], names: tuple[str, ...]) -> None:
    """Writes a `data.yaml` whose splits lie at the given places relative to its own folder."""
    import yaml  # noqa: PLC0415 (see the top of this file)

    values = {"path": ".", **splits, "names": dict(enumerate(names))}
    write_text(path, yaml.safe_dump(values, sort_keys=False, allow_unicode=True))


def _read_yaml(source: Path) -> dict[object, object]:
    import yaml  # noqa: PLC0415 (see the top of this file)

    text = read_text(source)
    try:
        values = yaml.safe_load(text)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f"{source}:{mark.line + 1}" if mark else str(source)
        raise DataError(f"{where}: not valid YAML ({getattr(error, 'problem', None) or error})") from error
    if not isinstance(values, dict):
        raise DataError(f"{source}: expected keys (path, train, val, test, names), found {text[:40]!r}")
    return values


def _text(value: object, key: object, source: Path) -> str:
    if not isinstance(value, str):
        raise DataError(f"{source}: {key}: expected text, found {value!r}; put it in quotes if it is meant")
    return value


def _names(value: object, source: Path) -> tuple[str, ...]:
    if isinstance(value, dict):
        if set(value) != set(range(len(value))):
            raise DataError(
                f"{source}: names: expected the numbers 0 to {len(value) - 1}, found {list(value)}"
            )
        value = [value[index] for index in range(len(value))]
    if not isinstance(value, list) or not value:
        raise DataError(f"{source}: names: expected a list of class names, found {value!r}")
    names = tuple(_text(name, "names", source) for name in value)
    if len(set(names)) < len(names):
        raise DataError(f"{source}: names: a class name stands twice in {', '.join(names)}")
    return names


def _splits(values: Mapping[object, object], root: Path, source: Path) -> dict[str, tuple[Path, ...]]:
    splits = {}
    for key, value in values.items():
        if key in {"path", "names", "nc", *_ORIGIN_KEYS} or (key in _SPLITS and value is None):
            continue
        if not _SPLIT_NAME.fullmatch(str(key)):
            _check_other_split(str(key), value, root, source)
        places = value if isinstance(value, list) and value else [value]
        splits[str(key)] = tuple(root / _text(place, key, source) for place in places)
    return splits


def _check_other_split(key: str, value: object, root: Path, source: Path) -> None:
    """Lets a key of any name be a split when it leads somewhere and is no slip of a known key."""
    near = difflib.get_close_matches(key.lower(), _KEYS, n=1, cutoff=0.7)
    if near:
        raise DataError(f"{source}: unknown key `{key}`; did you mean `{near[0]}`?")
    places = value if isinstance(value, list) and value else [value]
    if not all(isinstance(place, str) and (root / place).exists() for place in places):
        raise DataError(
            f"{source}: unknown key `{key}`, and its value leads to no folder or list file; "
            f"known are {', '.join(_KEYS)}"
        )
