"""Data sets as users have them: a `data.yaml` that names classes and where the pictures of each split lie.

A split is a folder of pictures, a list file of picture paths, or a YAML list of those. Labels lie in the
same place with the last `/images/` replaced by `/labels/`, or beside the picture; a picture without label
file, or with an empty one, is a negative.

Notable: loading opens no pictures. Any key that looks like a split (`test_small`) or leads to a folder or
list file is one; other keys are errors that name the near miss.
"""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import yaml

from seyolo.data.labels import Labels, read_labels, read_text
from seyolo.errors import DataError
from seyolo.files import write_text
from seyolo.media.pictures import is_picture, picture_size

_SPLITS = ("train", "val", "test")
_KEYS = ("path", *_SPLITS, "names", "nc")
# Publishers add these to say where the pictures came from; they change nothing here.
_ORIGIN_KEYS = frozenset({"author", "description", "download", "license", "roboflow", "url", "version"})
_UNDER_IMAGES = re.compile(r"(.*[/\\]|)images[/\\]")
_SPLIT_NAME = re.compile(rf"({'|'.join(_SPLITS)})([\W_\d].*)?")


@dataclass(frozen=True, eq=False)
class Sample:
    """One labelled picture: boxes_cxcywh (n, 4) float32 in parts of the picture, class_ids (n,) int64."""

    image: Path
    boxes_cxcywh: np.ndarray
    class_ids: np.ndarray


@dataclass(frozen=True)
class SplitContent:
    """All samples of a split by path; how many boxes were clipped, and how many repeated rows left out."""

    samples: list[Sample]
    num_clipped: int
    num_duplicates: int


@dataclass(frozen=True)
class Dataset:
    """Class names, the locations (folders or list files) of each split, their root, and the source file."""

    names: tuple[str, ...]
    splits: Mapping[str, tuple[Path, ...]]
    source: Path
    root: Path

    def split(self, name: str) -> list[Sample]:
        """Returns the samples of a split sorted by path.

        Raises DataError for an unknown, missing or empty split and for a bad label.
        """
        return self.read_split(name).samples

    def read_split(self, name: str) -> SplitContent:
        """As `split`, with the counts of clipped boxes and of repeated rows."""
        images = self.images(name)
        labels = [self.read_labels(image) for image in images]
        samples = [
            Sample(image, label.boxes_cxcywh, label.class_ids)
            for image, label in zip(images, labels, strict=True)
        ]
        num_clipped = sum(label.num_clipped for label in labels)
        return SplitContent(samples, num_clipped, sum(label.num_duplicates for label in labels))

    def images(self, name: str) -> list[Path]:
        """Returns the pictures of a split sorted by path, each once; raises DataError as `split`."""
        if name not in self.splits:
            raise DataError(f"{self.source}: no split `{name}`; there are {', '.join(self.splits)}")
        found = {image for location in self.splits[name] for image in self._images_at(location, name)}
        if not found:
            places = ", ".join(map(str, self.splits[name]))
            raise DataError(f"{self.source}: split `{name}` has no pictures; put some into {places}")
        return [Path(image) for image in sorted(found)]

    def read_labels(self, image: Path) -> Labels:
        """Reads the labels of one picture; raises DataError naming file and line of a bad row."""
        path = label_path(image)
        if path is None:
            return Labels(np.empty((0, 4), np.float32), np.empty(0, np.int64))
        return read_labels(path, len(self.names), partial(picture_size, image))

    def _images_at(self, location: Path, name: str) -> Iterator[str]:
        if location.is_dir():
            return _images_in_folder(location)
        if location.is_file():
            return _images_in_list(location, self.root)
        raise DataError(f"{self.source}: split `{name}` is missing: {location} is no folder and no list file")


def load_dataset(path: str | Path) -> Dataset:
    """Loads the description of a data set; pictures are listed and labels read by `Dataset.split`.

    Args:
        path: a `data.yaml` with path, train, val, test (or any other split) and names.

    Raises DataError when the file is missing, of another kind, or holds a key or value that makes no sense.
    """
    source = Path(path)
    if source.suffix.lower() not in {".yaml", ".yml"}:
        raise DataError(f"{source}: not a data.yaml; write one with path, train, val, test and names")
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
    return Dataset(names, splits, source, root)


def write_data_yaml(path: str | Path, splits: Mapping[str, str], names: tuple[str, ...]) -> None:
    """Writes a `data.yaml` whose splits lie at the given places relative to its own folder."""
    values = {"path": ".", **splits, "names": dict(enumerate(names))}
    write_text(path, yaml.safe_dump(values, sort_keys=False, allow_unicode=True))


def label_path(image: Path) -> Path | None:
    """Returns the label file of a picture, None where there is none."""
    return next((Path(path) for path in label_candidates(image) if os.path.isfile(path)), None)


def label_candidates(image: Path) -> Iterator[str]:
    """Yields the places where the labels of a picture may lie, the preferred one first."""
    beside = f"{os.path.splitext(image)[0]}.txt"
    under_images = _UNDER_IMAGES.match(beside)
    if under_images is not None:
        yield f"{under_images[1]}labels{beside[under_images.end() - 1 :]}"
    yield beside


def _read_yaml(source: Path) -> dict[object, object]:
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


def _images_in_folder(folder: Path) -> Iterator[str]:
    for parent, _, files in os.walk(folder):
        for file in files:
            if is_picture(file) and not file.startswith("."):
                yield os.path.join(parent, file)


def _images_in_list(path: Path, root: Path) -> Iterator[str]:
    """Yields the pictures named in a list file, relative to its own folder or else to the data set's root."""
    for line, text in enumerate(read_text(path).splitlines(), start=1):
        if name := text.strip():
            places = [os.path.normpath(os.path.join(folder, name)) for folder in (path.parent, root)]
            found = next((place for place in places if os.path.isfile(place)), None)
            if found is None:
                raise DataError(f"{path}:{line}: there is no picture {' or '.join(dict.fromkeys(places))}")
            yield found
