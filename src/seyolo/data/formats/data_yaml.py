"""`data.yaml`: the class names and splits of a data set with YOLO labels.

A split is a folder of images, a list file of image paths, or a YAML list of these. Besides `train`, `val` and
`test`, in any spelling (`Validation`), any key of similar form (`test_small`) and any key whose value is an
existing folder or list file is a split; an error for another key suggests the nearest known one. PyYAML is
imported with the first file, because its import takes longer than detection in a photo.
"""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Mapping
from itertools import accumulate
from pathlib import Path

from seyolo.data.formats.yolo import YoloFiles
from seyolo.data.split_names import REST, SPLITS, by_split, left_out
from seyolo.data.text import read_text
from seyolo.data.tree import Finder, top_of
from seyolo.errors import DataError, quoted, shortened

MOST_NESTED = 100
_KEYS = ("path", *SPLITS, "names", "nc")
# Keys that publishers add to describe the source of the images; ignored.
_ORIGIN_KEYS = frozenset({"author", "description", "download", "license", "roboflow", "url", "version"})
# Keys of data sets with keypoints; `kpt_shape` tells which rows have them.
_KEYPOINT_KEYS = frozenset({"kpt_shape", "flip_idx", "kpt_names"})
# Errors of PyYAML for tagged values (`!!int x`), dates and numbers out of range, and deep nesting.
_VALUE_ERRORS = (ValueError, TypeError, AttributeError, LookupError, OverflowError, RecursionError)
_SPLIT_NAME = re.compile(rf"({'|'.join(SPLITS)})([\W_\d].*)?")
_UP = re.compile(r"(\.\.[/\\])+")  # before the paths of Roboflow


def read_data_yaml(source: Path, top: Path | None = None) -> YoloFiles:
    """Reads a `data.yaml` of a data set in the folder `top`.

    Raises DataError when it is missing, or a key or value is invalid.
    """
    finder = Finder(top or top_of(source))
    values = _spelled_alike(_read_yaml(source), source, finder)
    root = _root(values, source, finder)
    splits = _splits(values, root, source, finder)
    names = _names(values.get("names"), source)
    if values.get("nc", len(names)) != len(names):
        raise DataError(f"{source}: nc is {shortened(values['nc'])}, but names lists {len(names)}")
    if not splits:
        raise DataError(f"{source}: names no split; add `train: images/train` and `val: images/val`")
    layout = "YOLO as Roboflow exports it" if _is_roboflow(values, root, source) else "YOLO"
    keypoints = _keypoints(values.get("kpt_shape"), source)
    return YoloFiles(source, names, splits, (root,), layout, finder, keypoints=keypoints)


def _root(values: Mapping[object, object], source: Path, finder: Finder) -> Path:
    """Returns the folder that the splits start from; that of the file where `path` is of another machine."""
    stated = _text(values.get("path") or ".", "path", source)
    for root in (source.parent / stated.replace("\\", "/"), source.parent / stated):
        if os.path.isdir(root):  # unlike is_dir, it takes a name of any length
            return root
    parts = stated.replace("\\", "/").split("/")
    is_of_elsewhere = parts[0] == "" or parts[0].endswith(":") or parts[-1] == source.absolute().parent.name
    if not is_of_elsewhere or not any(_is_there(text, source.parent, finder) for text in _stated(values)):
        advice = "mend it, or remove the line where the splits lie beside the file"
        raise DataError(f"{source}: path: there is no folder {shortened(str(root))}; {advice}")
    here = f"its splits lie in {source.parent}, where the file is"
    finder.notes.append(f"{source}: path: there is no folder {shortened(stated)}; {here}")
    return source.parent


def _is_there(text: str, folder: Path, finder: Finder) -> bool:
    found = finder.lists(text, folder) if _is_list(text) else finder.ends(text, is_folder=True)
    return os.path.exists(folder / text) or bool(found)


def _is_list(text: str) -> bool:
    return os.path.splitext(text)[1].lower() == ".txt"


def _stated(values: Mapping[object, object]) -> list[str]:
    """Returns the folders and list files of the splits."""
    return [text for key in SPLITS for text in _as_list(values.get(key)) if isinstance(text, str)]


def _lie_inside(values: Mapping[object, object], root: Path) -> bool:
    """Tells whether `../train/images` means the folder beside the file, as Roboflow writes it."""
    inside = [root / text[up.end() :] for text in _stated(values) if (up := _UP.match(text))]
    return "path" not in values and any(map(os.path.exists, inside))


def _is_roboflow(values: Mapping[object, object], root: Path, source: Path) -> bool:
    is_said = "roboflow" in values or os.path.isfile(source.parent / "README.roboflow.txt")
    return is_said or _lie_inside(values, root)


def _spelled_alike(values: Mapping[object, object], source: Path, finder: Finder) -> dict[object, object]:
    """Returns the values with the keys of splits as they are called here: `val` for `Validation`."""
    keys = {str(key): value for key, value in values.items()}
    named = by_split(keys, source)
    finder.notes += left_out(keys, named, source)
    known = {name: split for split, name in named.items()}
    return {known.get(key, key): value for key, value in keys.items() if key.lower() != REST or key in known}


def _read_yaml(source: Path) -> dict[object, object]:
    import yaml  # noqa: PLC0415 (see the module docstring)

    text = read_text(source)
    steps = (1 if bracket in "[{" else -1 for bracket in re.findall(r"[][{}]", text))
    if max(accumulate(steps), default=0) > MOST_NESTED:  # PyYAML takes seconds to find out
        raise DataError(f"{source}: lists are nested more than {MOST_NESTED} deep; expected a data.yaml")
    try:
        values = yaml.safe_load(text)
    except (yaml.YAMLError, *_VALUE_ERRORS) as error:
        mark = getattr(error, "problem_mark", None)
        where = f"{source}:{mark.line + 1}" if mark else str(source)
        said = "nested too deep" if isinstance(error, RecursionError) else error
        reason = shortened(str(getattr(error, "problem", None) or said))
        raise DataError(f"{where}: not valid YAML ({reason})") from error
    if not isinstance(values, dict):
        raise DataError(f"{source}: expected keys (path, train, val, test, names), found {text[:40]!r}")
    return values


def _text(value: object, key: object, source: Path) -> str:
    if not isinstance(value, str):
        raise DataError(f"{source}: {shortened(key)}: expected text, found {quoted(value)}; put it in quotes")
    return value


def _names(value: object, source: Path) -> tuple[str, ...]:
    if isinstance(value, dict):
        numbers = range(len(value))
        if set(value) != set(numbers):
            raise DataError(
                f"{source}: names: expected the numbers 0 to {numbers[-1]}, found {shortened(list(value))}"
            )
        value = [value[number] for number in numbers]
    if not isinstance(value, list) or not value:
        raise DataError(f"{source}: names: expected a list of class names, found {quoted(value)}")
    names = tuple(_text(name, "names", source) for name in value)
    if len(set(names)) < len(names):
        raise DataError(f"{source}: names: a class name is repeated in {shortened(', '.join(names))}")
    return names


def _keypoints(value: object, source: Path) -> tuple[int, int] | None:
    """Returns how many keypoints an object has, and how many values each of them."""
    match value:
        case None:
            return None
        case [int(count), int(size)] if count > 0 and size in {2, 3}:
            return count, size
    raise DataError(f"{source}: kpt_shape: expected a number of keypoints and 2 or 3, found {quoted(value)}")


def _splits(
    values: Mapping[object, object], root: Path, source: Path, finder: Finder
) -> dict[str, tuple[Path, ...]]:
    splits = {}
    is_roboflow = _is_roboflow(values, root, source)
    for key, value in values.items():
        if key in {"path", "names", "nc", *_ORIGIN_KEYS, *_KEYPOINT_KEYS} or (
            key in SPLITS and value is None
        ):
            continue
        if not _SPLIT_NAME.fullmatch(str(key)):
            _check_other_split(str(key), value, root, source)
        texts = [_text(path, key, source) for path in _as_list(value)]
        places = tuple(_place(text, values, root, source, finder) for text in texts)
        if is_roboflow and key != "train" and not any(map(os.path.exists, places)):
            # An export without test images still names them.
            missing = shortened(", ".join(map(os.path.normpath, places)))
            finder.notes.append(f"{source}: {key}: there is no {missing}; this split is left out")
            continue
        splits[str(key)] = places
    return splits


def _place(text: str, values: Mapping[object, object], root: Path, source: Path, finder: Finder) -> Path:
    """Returns the folder or list file of a split.

    Roboflow writes `../train/images` although `train/` lies beside the file. Raises DataError where both
    are there.
    """
    stated = root / text
    if (up := _UP.match(text)) and _lie_inside(values, root):
        inside = root / text[up.end() :]
        if os.path.exists(inside) and os.path.exists(stated) and not os.path.samefile(inside, stated):
            ways = f"{stated} (as written) and {inside} (as Roboflow means it)"
            raise DataError(f"{source}: {text} fits {ways}; write `path: .` above it to take it as written")
        return inside
    if os.path.exists(stated) or not os.path.isdir(source.parent):
        return stated
    found = finder.list_file(text, (), source) if _is_list(text) else finder.folder(text, source)
    return stated if found is None else Path(found)


def _check_other_split(key: str, value: object, root: Path, source: Path) -> None:
    """Refuses a key that resembles a known one, or whose value is no existing folder or list file."""
    near = difflib.get_close_matches(key.lower(), _KEYS, n=1, cutoff=0.7)
    if near:
        raise DataError(f"{source}: unknown key `{shortened(key)}`; did you mean `{near[0]}`?")
    if not all(isinstance(path, str) and os.path.exists(root / path) for path in _as_list(value)):
        problem = f"unknown key `{shortened(key)}`, and its value leads to no folder or list file"
        raise DataError(f"{source}: {problem}; known are {', '.join(_KEYS)}")


def _as_list(value: object) -> list[object]:
    return value if isinstance(value, list) and value else [value]
