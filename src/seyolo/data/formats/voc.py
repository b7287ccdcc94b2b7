"""VOC folders: `JPEGImages/`, `Annotations/*.xml` and the image lists in `ImageSets/Main/`.

Splits are `train.txt`, `val.txt` and `test.txt`; without `train.txt`, `train` is `trainval.txt` minus the
images of val. The classes are the lines of `labels.txt` or `classes.txt` in the folder, else the sorted names
of all annotations. Objects marked `difficult` are ignored
regions.

Corners count pixels from 1, and the last pixel belongs to the box, so a box reaches from xmin - 1 to xmax in
the coordinates of the other formats. Darknet's voc_label.py subtracts 1 from xmax, too, which makes every box
one pixel smaller and moves it by half a pixel.
"""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import NamedTuple
from xml.etree import ElementTree

from seyolo.data.formats.yolo import images_in_folder
from seyolo.data.labels import ImageSize, Marked, Problem, Reading, collect, row_of_pixels, size_of
from seyolo.data.text import read_lines, read_text, without_path
from seyolo.errors import DataError, quoted, shortened
from seyolo.media.images import is_image

_IMAGES, _ANNOTATIONS, _LISTS = "JPEGImages", "Annotations", "ImageSets/Main"
_CORNERS = ("xmin", "ymin", "xmax", "ymax")


class _Object(NamedTuple):
    name: str | None  # None: missing
    is_difficult: bool
    corners: tuple[str | None, ...]


class _Annotation(NamedTuple):
    size: tuple[int, int] | None = None  # (height, width)
    objects: tuple[_Object, ...] = ()
    problem: Problem | None = None  # of the whole file


@dataclass(frozen=True)
class VocFolder:
    """A data set in the layout of Pascal VOC: class names and the list file of each split."""

    root: Path
    names: tuple[str, ...]
    splits: Mapping[str, tuple[Path, ...]]
    _annotations: dict[Path, _Annotation] = field(default_factory=dict, repr=False)

    def images(self, split: str) -> Iterator[str]:
        """Yields the images of a split; raises DataError for a missing one."""
        (path,) = self.splits[split]
        has_val = path.stem == "trainval" and "val" in self.splits
        left_out = set(read_lines(self.splits["val"][0]).values()) if has_val else set()
        for line, name in read_lines(path).items():
            if name not in left_out:
                yield self._image(name, f"{path}:{line}")

    def read(self, split: str, image: Path, image_size: ImageSize) -> Reading:
        """Reads the annotation of an image."""
        path = self.root / _ANNOTATIONS / image.relative_to(self.root / _IMAGES).with_suffix(".xml")
        annotation = self._annotations.get(path) or _read_xml(path)
        if annotation.problem is not None:
            return Reading(problems=[annotation.problem])
        size = size_of(annotation.size, image_size)
        objects = enumerate(annotation.objects, start=1)
        labels, found = collect(objects, lambda entry: _row(entry, self.names, size), size)
        problems = [Problem(str(path), 0, f"object {number}: {text}") for number, text in found]
        return Reading(labels, problems, annotation.size)

    def unmatched_labels(self, images: Iterable[Path]) -> list[Problem]:
        """Lists annotations without image."""
        return [
            Problem(str(path), 0, f"no image of this name in {self.root / _IMAGES}")
            for path in sorted((self.root / _ANNOTATIONS).rglob("*.xml"))
            if path.relative_to(self.root / _ANNOTATIONS).with_suffix("").as_posix() not in self._images
        ]

    @cached_property
    def _images(self) -> dict[str, list[str]]:
        """Paths of all images by their name in a list: without ending, with slashes."""
        images: dict[str, list[str]] = {}
        folder = self.root / _IMAGES
        for path in images_in_folder(folder):
            name = os.path.splitext(os.path.relpath(path, folder))[0].replace(os.sep, "/")
            images.setdefault(name, []).append(path)
        return images

    def _image(self, name: str, where: str) -> str:
        stem = os.path.splitext(name)[0] if is_image(name) else name
        found = self._images.get(stem, [])
        if len(found) != 1:
            there = f"there are several: {', '.join(sorted(found))}" if found else "there is no such image"
            raise DataError(f"{where}: {self.root / _IMAGES / shortened(name)}: {there}")
        return found[0]


def read_voc(root: Path) -> VocFolder:
    """Reads splits and classes of a VOC folder; raises DataError when it has no image lists or classes."""
    for folder in (_IMAGES, _ANNOTATIONS):
        if not (root / folder).is_dir():
            raise DataError(f"{root}: not a VOC folder: it has no {folder}; {_advice(root)}")
    splits = _splits(root)
    listed = next((root / name for name in ("labels.txt", "classes.txt") if (root / name).is_file()), None)
    if listed is not None:
        return VocFolder(root, _read_names(listed), splits)
    annotations = {path: _read_xml(path) for path in sorted((root / _ANNOTATIONS).rglob("*.xml"))}
    objects = [entry for annotation in annotations.values() for entry in annotation.objects]
    names = tuple(sorted({entry.name for entry in objects if entry.name}))
    if not names:
        raise DataError(f"{root / _ANNOTATIONS}: no object in any xml; name the classes in {root}/labels.txt")
    return VocFolder(root, names, splits, annotations)


def _advice(root: Path) -> str:
    inside = sorted(path.parent for path in root.glob(f"*/{_IMAGES}")) + sorted(root.glob("*.y*ml"))
    if inside:
        return f"did you mean {inside[0]}?"
    return f"expected are {_IMAGES}, {_ANNOTATIONS} and {_LISTS}; other formats are given by their file"


def _splits(root: Path) -> dict[str, tuple[Path, ...]]:
    lists = {name: root / _LISTS / f"{name}.txt" for name in ("train", "val", "test", "trainval")}
    there = {name: path for name, path in lists.items() if path.is_file()}
    if "train" not in there and "trainval" in there:
        there = {"train": there["trainval"], **there}
    there.pop("trainval", None)
    if not there:
        advice = f"write {_LISTS}/train.txt and val.txt with one image's name per line"
        raise DataError(f"{root}: names no split; {advice}")
    return {name: (path,) for name, path in there.items()}


def _read_names(path: Path) -> tuple[str, ...]:
    names = tuple(read_lines(path).values())
    if not names or len(set(names)) < len(names):
        raise DataError(
            f"{path}: expected one class per line, each once; found {shortened(', '.join(names)) or 'none'}"
        )
    return names


def _read_xml(path: Path) -> _Annotation:
    try:
        text = read_text(path)
    except DataError as error:
        advice = "" if path.exists() else "; an image without objects needs an xml without <object>"
        return _damaged(path, 0, without_path(error, path) + advice)
    # A document type can define entities that expand to gigabytes or read other files.
    if "<!DOCTYPE" in text:
        return _damaged(path, 0, "has a DOCTYPE, which no annotation needs; remove it")
    try:
        root = ElementTree.fromstring(text)
    except ElementTree.ParseError as error:
        return _damaged(path, error.position[0], f"not valid XML ({error.msg})")
    if root.tag != "annotation":
        return _damaged(path, 0, f"expected <annotation> as the outermost element, found <{root.tag[:40]}>")
    return _Annotation(_size(root), tuple(map(_object, root.findall("object"))))


def _damaged(path: Path, line: int, text: str) -> _Annotation:
    return _Annotation(problem=Problem(str(path), line, text))


def _size(root: ElementTree.Element) -> tuple[int, int] | None:
    """Returns (height, width), None if missing or 0, as some programs write it."""
    texts = (root.findtext("size/height", ""), root.findtext("size/width", ""))
    height, width = (int(text) if re.fullmatch(r"\s*\d{1,9}\s*", text, re.ASCII) else 0 for text in texts)
    return (height, width) if height and width else None


def _object(element: ElementTree.Element) -> _Object:
    name = (element.findtext("name") or "").strip() or None
    is_difficult = (element.findtext("difficult") or "").strip() == "1"
    return _Object(name, is_difficult, tuple(element.findtext(f"bndbox/{corner}") for corner in _CORNERS))


def _row(entry: _Object, names: tuple[str, ...], size: ImageSize) -> Marked:
    if entry.name is None:
        raise DataError("has no <name>")
    if entry.name not in names:
        near = difflib.get_close_matches(entry.name, names, n=1)
        advice = (
            f"did you mean `{shortened(near[0])}`?"
            if near
            else f"there are {shortened(', '.join(names[:5]))}"
        )
        raise DataError(f"`{shortened(entry.name)}` is none of the classes; {advice}")
    left, top, right, bottom = map(_corner, _CORNERS, entry.corners)
    row = row_of_pixels(names.index(entry.name), (left - 1, top - 1, right, bottom), size)
    return Marked(row, is_ignored=entry.is_difficult)


def _corner(name: str, text: str | None) -> float:
    try:
        return float(text or "")
    except ValueError:
        raise DataError(f"{name}: expected a number, found {quoted(text)}") from None
