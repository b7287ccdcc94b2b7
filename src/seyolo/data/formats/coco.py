"""COCO jsons: `images`, `annotations` and `categories` of one split per file.

Categories become classes 0 to C-1 in the order of their ids, without those that only group others. A `bbox`
is x, y, width and height in pixels; where it is missing, the box is drawn around `segmentation`.
Crowds (`iscrowd`) are ignored regions; boxes of width or height 0 are left out and counted: the published
train2017 has two. `area`, where stated, is the object's area in `ap_small`, as in pycocotools.

The split is part of the file name (`instances_val2017.json`) or of the folder name if the jsons of all splits
have the same name (`valid/_annotations.coco.json`), else `train`. Files whose names differ only in the split
are the other splits.

A file is read when its split is first used, so that evaluation on val does not read train, or when it tells
whether a category that groups others has objects. The files of all splits must have the same class names.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from seyolo.data.contents import ByImage, Listing
from seyolo.data.formats.coco_categories import Category, class_ids, grouping, is_int, read_categories
from seyolo.data.formats.coco_layout import find_splits, image_folders
from seyolo.data.formats.coco_outline import outline_box
from seyolo.data.formats.foreign import foreign
from seyolo.data.labels import ImageSize, Marked, Problem, Reading, collect, row_of_pixels, size_of
from seyolo.data.text import read_text
from seyolo.data.tree import Finder, top_of
from seyolo.errors import DataError, counted, quoted, shortened
from seyolo.json_files import MOST
from seyolo.media.images import is_picture

_KEYS = ("images", "annotations", "categories")
_START_BYTES = 4096


class _Annotation(NamedTuple):
    number: int  # index in the list
    id: object
    category: object
    bbox: object  # None: there is only the outline
    outline: object
    area: object  # in pixels; None: not stated
    is_crowd: object  # `iscrowd`


class _Image(NamedTuple):
    file_name: str
    size: tuple[int, int] | None  # (height, width)
    annotations: list[_Annotation]


class _File(NamedTuple):
    categories: dict[int, Category]
    grouping: frozenset[int]  # categories that no annotation of this file has, and that group others
    images: dict[object, _Image]  # by image id


class _Split(NamedTuple):
    class_ids: dict[object, int]  # by category id
    images: dict[object, _Image]  # by image id


@dataclass(frozen=True)
class CocoFiles(ByImage):
    """A data set of COCO jsons: class names and the file of each split."""

    source: Path
    names: tuple[str, ...]
    splits: Mapping[str, tuple[Path, ...]]
    layout: str
    finder: Finder = field(repr=False)
    left_out: tuple[str, ...] = ()  # categories that only group others
    _files: dict[Path, _File] = field(default_factory=dict, repr=False)  # read, and not yet a split
    _read: dict[str, _Split] = field(default_factory=dict, repr=False)
    _images: dict[tuple[str, str], _Image] = field(default_factory=dict, repr=False)

    def listed(self, split: str) -> Listing:
        """Lists the images of a split; raises DataError for a damaged file."""
        (path,) = self.splits[split]
        found, listing = _find_images(self._split(split).images, path, split, self.finder)
        self._images.update({(split, name): image for name, image in found.items()})
        return listing

    def read(self, split: str, image: Path, image_size: ImageSize) -> Reading:
        """Returns the labels of an image that `images` returned."""
        entry = self._images[split, str(image)]
        size = size_of(entry.size, image_size)
        to_row = partial(_row, class_ids=self._split(split).class_ids, size=size)
        labels, found = collect(enumerate(entry.annotations), to_row, size)
        problems = []
        for position, text in found:
            annotation = entry.annotations[position]
            about = f"id {shortened(annotation.id)}, {shortened(entry.file_name)}"
            where = f"annotations[{annotation.number}] ({about})"
            problems.append(Problem(str(self.splits[split][0]), 0, f"{where}: {text}"))
        return Reading(labels, problems, entry.size)

    @property
    def lists_by_reading(self) -> bool:
        """True where the images of a split are listed by reading all its labels."""
        return True

    def sources(self, split: str, folders: Iterable[str]) -> list[str]:
        """Returns the jsons of all splits, since objects of one decide what the classes are."""
        return [str(path) for paths in self.splits.values() for path in paths]

    def unmatched_labels(self, images: Mapping[str, Sequence[str]]) -> list[Problem]:
        """Returns nothing: an annotation without image is an error already when the file is read."""
        return []

    def remarks(self) -> list[str]:
        """Returns the categories that are no classes, and what was found in another place than stated."""
        few, found = _few(self.left_out), [*self.finder.remarks(), *self._unlisted()]
        if not self.left_out:
            return found
        if len(self.left_out) == 1:
            return [f"left out the category {few}, which groups others and has no object", *found]
        return [f"left out the categories {few}, which group others and have no object", *found]

    def _unlisted(self) -> list[str]:
        """Returns a sentence on images that no json names, in folders of images that one does."""
        if {split for split, _ in self._images} != set(self.splits):
            return []
        listed = {os.path.normpath(image) for _, image in self._images}
        folders = sorted(set(map(os.path.dirname, listed)))
        there = (
            os.path.join(folder, file) for folder in folders for file in sorted(os.listdir(folder or "."))
        )
        others = [path for path in there if _is_shown(path) and path not in listed]
        if not others:
            return []
        are = "is" if len(others) == 1 else "are"
        jsons = "it" if len(self.splits) == 1 else "the jsons"
        said = f"{counted(len(others), 'image')} beside those of {jsons} {are} not listed there and not used"
        return [f"{self.source}: {said}; the first is {shortened(others[0])}"]

    def _split(self, split: str) -> _Split:
        if split not in self._read:
            (path,) = self.splits[split]
            file = self._files.pop(path, None) or _read_file(path)
            names, class_ids = _classes(file, self.left_out, path)
            if names != self.names:
                others = f"those of {self.source} are {_few(self.names)}"
                advice = "make them equal, or rename one of the files"
                raise DataError(f"{path}: its classes are {_few(names)}, but {others}; {advice}")
            self._read[split] = _Split(class_ids, file.images)
        return self._read[split]


def read_coco(source: Path, top: Path | None = None) -> CocoFiles:
    """Reads a COCO json of a data set in the folder `top`, and finds those of the other splits.

    Raises DataError when one is invalid.
    """
    _, paths = find_splits(source)
    files = {source: _read_file(source)}
    left_out = _group_names(files[source])
    for path in paths.values():
        if left_out and path not in files:  # a category may have objects in another split
            files[path] = _read_file(path)
            left_out -= _names(files[path]) - _group_names(files[path])
    names, _ = _classes(files[source], left_out, source)
    folders = {path.parent for path in paths.values()}
    finder = Finder(top or (source.parent.parent if len(folders) > 1 else top_of(source)))
    splits = {name: (path,) for name, path in paths.items()}
    return CocoFiles(source, names, splits, _layout(source), finder, tuple(sorted(left_out)), files)


_EXPORTERS = {
    "_annotations.coco.json": "Roboflow",
    "instances_default.json": "CVAT",
    "labels.json": "FiftyOne",
    "result.json": "Label Studio",
}


def _layout(source: Path) -> str:
    tool = _EXPORTERS.get(source.name)
    if tool is None and source.name.startswith("instances_"):
        with source.open("rb") as file:  # the licence that CVAT writes
            is_cvat = re.search(rb'"licenses":\s*\[\{"name":\s*"",\s*"id":\s*0', file.read(_START_BYTES))
        tool = "CVAT" if is_cvat else None
    return f"COCO as {tool} exports it" if tool else "COCO"


def _read_file(path: Path) -> _File:
    values = _read_json(path)
    categories = read_categories(values["categories"], str(path))
    images = _images(values["images"], path)
    _add_annotations(images, values["annotations"], path)
    every = (annotation.category for image in images.values() for annotation in image.annotations)
    used = frozenset(filter(is_int, every))
    return _File(categories, grouping(categories, used), images)


def _names(file: _File) -> set[str]:
    return {category.name for category in file.categories.values()}


def _group_names(file: _File) -> set[str]:
    return {file.categories[number].name for number in file.grouping}


def _classes(file: _File, left_out: Collection[str], path: Path) -> tuple[tuple[str, ...], dict[object, int]]:
    """Returns class names, and classes by category id, without the grouping categories of these names."""
    groups = frozenset(number for number in file.grouping if file.categories[number].name in left_out)
    return class_ids(file.categories, groups, str(path))


def _read_json(path: Path) -> dict[str, list[dict[str, Any]]]:
    text = read_text(path)
    try:
        values: Any = json.loads(text, object_hook=_without_outline)
    except json.JSONDecodeError as error:
        raise DataError(f"{path}:{error.lineno}: not valid JSON ({error.msg})") from None
    except RecursionError:
        raise DataError(f"{path}: not valid JSON for us: nested too deep") from None
    except ValueError as error:
        raise DataError(f"{path}: not valid JSON ({shortened(str(error))})") from None
    for key in _KEYS:
        if not isinstance(values, dict) or key not in values:
            if (other := foreign([path])) is not None:
                raise DataError(other)
            raise DataError(f"{path}: no key `{key}`; a COCO json of boxes has {', '.join(_KEYS)}")
        if not isinstance(values[key], list) or not all(isinstance(value, dict) for value in values[key]):
            raise DataError(f"{path}: {key}: expected a list of objects")
    return {key: values[key] for key in _KEYS}


def _without_outline(values: dict[str, Any]) -> dict[str, Any]:
    """Drops outlines while parsing where there are boxes: they fill most of a COCO json."""
    if values.get("bbox"):
        values.pop("segmentation", None)
    return values


def _images(values: list[dict[str, Any]], path: Path) -> dict[object, _Image]:
    images: dict[object, _Image] = {}
    for number, value in enumerate(values):
        where = f"{path}: images[{number}]"
        image_id, file_name = _get(value, "id", where), _get(value, "file_name", where)
        if not isinstance(file_name, str) or not file_name:
            raise DataError(f"{where}: file_name: expected the name of an image, found {quoted(file_name)}")
        if not is_int(image_id) and not isinstance(image_id, str):
            raise DataError(f"{where}: id: expected a number, found {quoted(image_id)}")
        if image_id in images:
            raise DataError(f"{where}: the id {shortened(image_id)} is repeated")
        images[image_id] = _Image(file_name, _size(value, where), [])
    return images


def _size(image: dict[str, Any], where: str) -> tuple[int, int] | None:
    """Returns (height, width), or None if the file does not state it."""
    height, width = image.get("height"), image.get("width")
    if not height and not width:
        return None
    if not is_int(height) or not is_int(width) or not 0 < min(height, width) <= max(height, width) <= MOST:
        raise DataError(
            f"{where}: expected width and height in pixels, found {quoted(width)} and {quoted(height)}"
        )
    return height, width


def _add_annotations(images: dict[object, _Image], values: list[dict[str, Any]], path: Path) -> None:
    for number, value in enumerate(values):
        annotation_id, is_crowd = value.get("id"), value.get("iscrowd", 0)
        try:
            outline = value.get("segmentation")
            bbox = value.get("bbox") or None if outline else value["bbox"]
            shape = bbox, outline, value.get("area"), is_crowd
            entry = _Annotation(number, annotation_id, value["category_id"], *shape)
            images[value["image_id"]].annotations.append(entry)
        except (KeyError, TypeError):
            missing = [f"no `{key}`" for key in ("image_id", "category_id", "bbox") if key not in value]
            fault = missing[0] if missing else f"there is no image with the id {quoted(value['image_id'])}"
            raise DataError(
                f"{path}: annotations[{number}] (id {shortened(annotation_id)}): {fault}"
            ) from None


def _find_images(
    images: Mapping[object, _Image], path: Path, split: str, finder: Finder
) -> tuple[dict[str, _Image], Listing]:
    folders = image_folders(path, split)
    found: dict[str, _Image] = {}
    problems = []
    for image in images.values():
        file = finder.file(image.file_name, folders, path)
        if file is None:
            problems.append(Problem(str(path), 0, f"there is no image {shortened(image.file_name)}"))
        elif file in found:
            raise DataError(f"{path}: images: {shortened(image.file_name)} is repeated")
        else:
            found[file] = image
    summary = ""
    if problems:
        first = problems[0].text.removeprefix("there is no image ")
        verb = "is" if len(problems) == 1 else "are"
        count = f"{len(problems):,} of {counted(len(images), 'image')} {verb} missing, the first is {first}"
        summary = f"{path}: {count}; looked in {', '.join(folders)}"
    return found, Listing(list(found), problems, summary=summary)


def _row(annotation: _Annotation, class_ids: Mapping[object, int], size: ImageSize) -> Marked | None:
    is_outline = annotation.bbox is None and bool(annotation.outline)
    bbox = outline_box(annotation.outline, size) if is_outline else annotation.bbox
    if not isinstance(bbox, list) or len(bbox) != 4 or not {int, float}.issuperset(map(type, bbox)):
        raise DataError(f"bbox: expected [x, y, width, height] in pixels, found {quoted(bbox)}")
    try:
        left, top, width, height = map(float, bbox)
    except OverflowError:
        raise DataError("bbox: holds a number that is too large") from None
    if (width == 0 <= height) or (height == 0 <= width):
        return None
    class_id = class_ids.get(annotation.category) if is_int(annotation.category) else None
    if class_id is None:
        raise DataError(f"category_id {quoted(annotation.category)} is none of the categories")
    row = row_of_pixels(class_id, (left, top, left + width, top + height), size)
    if annotation.is_crowd not in (0, 1, None):
        raise DataError(f"iscrowd: expected 0 or 1, found {quoted(annotation.is_crowd)}")
    is_crowd = bool(annotation.is_crowd)
    return Marked(row, _area(annotation.area), is_crowd, is_crowd, is_outline)


def _area(value: object) -> float | None:
    if value is None:
        return None
    if not isinstance(value, int | float) or not 0 <= value <= MOST**2:
        raise DataError(f"area: expected a number of square pixels, found {quoted(value)}")
    return float(value)


def _get(value: Mapping[str, Any], key: str, where: str) -> Any:
    if key not in value:
        raise DataError(f"{where}: no `{key}`")
    return value[key]


def _is_shown(path: str) -> bool:
    return is_picture(path) and not os.path.basename(path).startswith(".")


def _few(names: tuple[str, ...]) -> str:
    return shortened(", ".join(names[:5])) + (f" … ({len(names)})" if len(names) > 5 else "")
