"""VOC: an xml per image, in the layout of Pascal VOC or beside the images.

A VOC folder holds `JPEGImages/`, `Annotations/*.xml` and the image lists in `ImageSets/Main/`. Splits are
`train.txt`, `val.txt` and `test.txt`, in any spelling (`Validation.txt`); without `train.txt`, `train` is
`trainval.txt` minus the images of val, or CVAT's `default.txt`; without any list all images are `train`. The
classes are the lines of `labels.txt`, `classes.txt` or CVAT's `labelmap.txt` in the folder, else the sorted
names of all annotations. Objects marked `difficult` are ignored regions.

Corners count pixels from 1, and the last pixel belongs to the box, so a box reaches from xmin - 1 to xmax in
the coordinates of the other formats. Darknet's voc_label.py subtracts 1 from xmax, too, which makes every box
one pixel smaller and moves it by half a pixel. CVAT and FiftyOne write those other coordinates as they are.
"""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import NamedTuple
from xml.etree import ElementTree

from seyolo.data.contents import ByImage, Listing
from seyolo.data.formats.pairs import Pairs, pair
from seyolo.data.formats.pictures import Pictures, images_in_folder, mapped, names_file
from seyolo.data.formats.yolo import UNDER_IMAGES
from seyolo.data.labels import ImageSize, Marked, Problem, Reading, collect, row_of_pixels, size_of
from seyolo.data.split_names import REST, SPLITS, by_split, left_out
from seyolo.data.text import read_lines, read_text, without_path
from seyolo.data.tree import Finder, Tree
from seyolo.errors import DataError, quoted, shortened
from seyolo.media.folders import walk
from seyolo.media.images import is_picture

_CVAT_CLASSES = "labelmap.txt"
_FOLDERS = ("annotations", "Annotations", "xmls", "labels")
"""Folders of annotations in place of `images`."""
_IMAGES, _ANNOTATIONS, _LISTS = "JPEGImages", "Annotations", "ImageSets/Main"
_BOTH = "trainval"
_ENDINGS = (".xml", ".XML")
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
class _Annotated:
    """Class names, and annotations that were read to find them."""

    names: tuple[str, ...]
    annotations: Mapping[str, _Annotation]
    first_pixel: int = 1  # its number

    def read_xml(self, path: str, image_size: ImageSize) -> Reading:
        """Reads the labels of an annotation."""
        annotation = self.annotations.get(path) or _read_xml(Path(path))
        if annotation.problem is not None:
            return Reading(problems=[annotation.problem])
        size = size_of(annotation.size, image_size)
        objects = enumerate(annotation.objects, start=1)
        labels, found = collect(objects, lambda entry: self._row(entry, size), size)
        problems = [Problem(path, 0, f"object {number}: {text}") for number, text in found]
        return Reading(labels, problems, annotation.size)

    def _row(self, entry: _Object, size: ImageSize) -> Marked:
        names, first = self.names, self.first_pixel
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
        row = row_of_pixels(names.index(entry.name), (left - first, top - first, right, bottom), size)
        return Marked(row, is_ignored=entry.is_difficult)


@dataclass(frozen=True)
class VocFolder(ByImage):
    """A data set in the layout of Pascal VOC: class names and the list file of each split."""

    root: Path
    splits: Mapping[str, tuple[Path, ...]]
    annotated: _Annotated = field(repr=False)
    layout: str = "VOC"
    notes: tuple[str, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """Class names."""
        return self.annotated.names

    def listed(self, split: str) -> Listing:
        """Lists the images of a split."""
        (path,) = self.splits[split]
        if path.is_dir():
            return Listing([image for images in self._images.values() for image in images], [])
        has_val = path.stem.lower() == _BOTH and "val" in self.splits
        left_out = set(read_lines(self.splits["val"][0]).values()) if has_val else set()
        found: list[str] = []
        problems = []
        for line, name in read_lines(path).items():
            images = self._named(name)
            if name in left_out:
                continue
            if len(images) == 1:
                found += images
            else:
                several = f"there are several: {', '.join(sorted(images))}"
                place = self.root / _IMAGES / shortened(name)
                text = f"{place}: {several if images else 'there is no such image'}"
                problems.append(Problem(str(path), line, text))
        return Listing(found, problems)

    def read(self, split: str, image: Path, image_size: ImageSize) -> Reading:
        """Reads the annotation of an image."""
        place = self.root / _ANNOTATIONS / image.relative_to(self.root / _IMAGES)
        paths = [str(place.with_suffix(ending)) for ending in _ENDINGS]
        return self.annotated.read_xml(next(filter(os.path.isfile, paths), paths[0]), image_size)

    def unmatched_labels(self, images: Mapping[str, Sequence[str]]) -> list[Problem]:
        """Lists annotations without image."""
        return [
            Problem(str(path), 0, f"no image of this name in {self.root / _IMAGES}")
            for path in sorted(_xmls_below(self.root / _ANNOTATIONS))
            if path.relative_to(self.root / _ANNOTATIONS).with_suffix("").as_posix() not in self._images
        ]

    def remarks(self) -> list[str]:
        """Returns the lists that are left out; names in the others are found or not."""
        return list(self.notes)

    def sources(self, split: str, folders: Iterable[str]) -> list[str]:
        """Returns the list files and the folders of all annotations."""
        below = [path for path, _ in walk(self.root / _ANNOTATIONS)]
        return [str(self.root), *map(str, self.splits[split]), *below]

    @cached_property
    def _images(self) -> dict[str, list[str]]:
        """Paths of all images by their name in a list: without ending, with slashes."""
        images: dict[str, list[str]] = {}
        folder = self.root / _IMAGES
        for path in images_in_folder(folder):
            name = os.path.splitext(os.path.relpath(path, folder))[0].replace(os.sep, "/")
            images.setdefault(name, []).append(path)
        return images

    def _named(self, name: str) -> list[str]:
        return self._images.get(os.path.splitext(name)[0] if is_picture(name) else name, [])


@dataclass(frozen=True)
class VocBeside(Pictures):
    """Annotations beside the images, in `annotations/` in place of `images/`, or in any folder by their name;
    an image may have none."""

    annotated: _Annotated = field(repr=False, kw_only=True)
    pairs: Pairs = field(repr=False, kw_only=True)

    def read(self, split: str, image: Path, image_size: ImageSize) -> Reading:
        """Reads the annotation of an image."""
        path = self._path(str(image))
        return Reading() if path is None else self.annotated.read_xml(path, image_size)

    def _path(self, image: str) -> str | None:
        places = (*annotation_paths(image), self.pairs.of(image))
        return next(filter(os.path.isfile, places), None)

    def unmatched_labels(self, images: Mapping[str, Sequence[str]]) -> list[Problem]:
        """Lists annotations without image, and splits without annotation."""
        return [*self.pairs.problems, *self.without_labels(images)]

    def has_label_file(self, image: str) -> bool:
        """Tells whether an image has an annotation."""
        return self._path(image) is not None

    def sources(self, split: str, folders: Iterable[str]) -> list[str]:
        """Returns the folders of the annotations."""
        own = (path for folder in folders for path in self._label_folders(folder))
        return [str(self.source), *self.pairs.folders(), *own]

    @staticmethod
    def _label_folders(images: str) -> list[str]:
        paths = map(os.path.dirname, annotation_paths(os.path.join(images, "any.jpg")))
        return [path for path in dict.fromkeys(paths) if os.path.isdir(path)]


def annotation_paths(image: str) -> list[str]:
    """Returns where the annotation of an image may lie, the preferred place first."""
    beside = f"{os.path.splitext(image)[0]}.xml"
    places = (mapped(beside, UNDER_IMAGES, folder) for folder in _FOLDERS)
    return [path for path in (*places, beside) if path is not None]


def read_voc(root: Path) -> VocFolder:
    """Reads splits and classes of a VOC folder; raises DataError when it has no images or classes."""
    for folder in (_IMAGES, _ANNOTATIONS):
        if not (root / folder).is_dir():
            raise DataError(f"{root}: not a VOC folder: it has no {folder}")
    splits, notes = _splits(root)
    is_cvat = (root / _CVAT_CLASSES).is_file()
    layout = "VOC as CVAT exports it" if is_cvat else "VOC"
    xmls = sorted(map(str, _xmls_below(root / _ANNOTATIONS)))
    return VocFolder(root, splits, _annotated(root, xmls), layout, notes)


def _xmls_below(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.suffix in _ENDINGS and path.name[0] != "."]


def read_voc_beside(
    source: Path,
    splits: Mapping[str, tuple[Path, ...]],
    tree: Tree,
    xmls: Sequence[str],
    notes: Iterable[str] = (),
) -> VocBeside:
    """Reads annotations beside images, or in a folder of their own, given the xml files of all splits."""
    annotated, layout = _annotated(source, xmls), "VOC, an xml for each image"
    pairs = pair(tree, xmls, annotation_paths, lambda _: "")
    if (source / "data").is_dir() and {os.path.dirname(path) for path in xmls} == {str(source / "labels")}:
        annotated, layout = replace(annotated, first_pixel=0), "VOC as FiftyOne exports it"
    return VocBeside(
        source,
        annotated.names,
        splits,
        (source,),
        layout,
        Finder(source, notes=[*notes, *pairs.notes]),
        annotated=annotated,
        pairs=pairs,
    )


def _annotated(root: Path, xmls: Iterable[str]) -> _Annotated:
    """Returns the classes: those of a file, else all that the annotations name."""
    if (root / _CVAT_CLASSES).is_file():
        return _Annotated(_cvat_names(root / _CVAT_CLASSES), {}, first_pixel=0)
    if (listed := names_file(root)) is not None:
        return _Annotated(_read_names(listed), {})
    annotations = {path: _read_xml(Path(path)) for path in xmls}
    objects = [entry for annotation in annotations.values() for entry in annotation.objects]
    names = tuple(sorted({entry.name for entry in objects if entry.name}))
    if not names:
        raise DataError(f"{root / _ANNOTATIONS}: no object in any xml; name the classes in {root}/labels.txt")
    return _Annotated(names, annotations)


def _cvat_names(path: Path) -> tuple[str, ...]:
    """Returns the classes of CVAT's `labelmap.txt`, which also names the background."""
    lines = [line for line in read_lines(path).values() if not line.startswith("#")]
    names = [line.partition(":")[0] for line in lines]
    found = tuple(dict.fromkeys(name for name in names if name and name != "background"))
    if not found:
        raise DataError(f"{path}: expected one class per line, `name:color:parts:actions`; found none")
    return found


def _splits(root: Path) -> tuple[dict[str, tuple[Path, ...]], tuple[str, ...]]:
    """Returns the list of each split, and a sentence on the list of no split that is left out."""
    lists = {path.stem: path for path in sorted((root / _LISTS).glob("*.txt"))}
    named = by_split(lists, root / _LISTS)
    both = next((name for name in lists if name.lower() == _BOTH), None)
    if both is not None and named.get("train", REST).lower() == REST:
        named["train"] = both
    there = {split: lists[named[split]] for split in SPLITS if split in named}
    if not there and lists:
        advice = f"write {_LISTS}/train.txt and val.txt with one image's name per line"
        raise DataError(f"{root}: names no split; {advice}")
    found: dict[str, tuple[Path, ...]] = {
        name: (path,) for name, path in (there or {"train": root / _IMAGES}).items()
    }
    return found, tuple(left_out(lists, named, root / _LISTS))


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


def _corner(name: str, text: str | None) -> float:
    try:
        return float(text or "")
    except ValueError:
        raise DataError(f"{name}: expected a number, found {quoted(text)}") from None
