"""Conversion of any data set into YOLO, COCO or VOC; images are hard links where possible.

Boxes keep what the format can hold: YOLO shares of the image to the last digit of a float32, COCO
thousandths of a pixel, VOC whole pixels. Ignored regions are written as crowds of COCO and as difficult
objects of VOC; those that a format has no form for are left out and counted.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple, get_args
from xml.etree import ElementTree

import numpy as np

from seyolo.boxes import cxcywh_to_xyxy
from seyolo.data.datasets import Dataset
from seyolo.data.samples import Sample, Samples
from seyolo.data.writing import output_folder, write_data_yaml
from seyolo.errors import UsageError
from seyolo.media.images import image_size

Target = Literal["yolo", "coco", "voc"]
IMAGE_FOLDERS = {"yolo": "images/{}", "coco": "{}", "voc": "JPEGImages"}
"""Folder of the images of a split, by format."""
_DECIMALS = 3  # of a pixel in COCO


@dataclass(frozen=True)
class Converted:
    """Counts of one split."""

    split: str
    num_images: int
    num_objects: int
    num_ignored: int  # regions that the format has a form for
    num_left_out: int  # ignored regions that it has none for


class _Named(NamedTuple):
    """An image and its path in the new data set below the folder of its split, with slashes."""

    sample: Sample
    name: str

    @property
    def stem(self) -> str:
        return os.path.splitext(self.name)[0]


Writer = Callable[[Path, str, list[_Named], tuple[str, ...]], int]
"""Writes a split into a folder, and returns the number of ignored regions that were left out."""


def write_lists(dataset: Dataset, out: Path) -> None:
    """Writes a `data.yaml` and a list of the images of each split; the images stay where they are.

    Raises DataError where `out` is not an empty folder.
    """
    with output_folder(out) as folder:
        for split in dataset.splits:
            images = (os.path.abspath(image) for image in dataset.images(split))
            _write(folder / f"{split}.txt", "".join(f"{image}\n" for image in images))
        write_data_yaml(
            folder / "data.yaml", {split: f"{split}.txt" for split in dataset.splits}, dataset.names
        )


def convert(dataset: Dataset, out: Path, to: Target = "yolo") -> list[Converted]:
    """Writes a data set into the folder `out` in another format, and returns the counts of each split.

    Raises DataError, and leaves `out` as it was, for an invalid label or image, and where `out` is not empty.
    """
    check_format(to)
    with output_folder(out) as folder:
        return write_splits(
            {split: dataset.split(split) for split in dataset.splits}, dataset.names, folder, to
        )


def check_format(to: str) -> None:
    """Raises UsageError for a format that is not written."""
    if to not in get_args(Target):
        raise UsageError(f"--to {to}: one of {', '.join(get_args(Target))}")


def write_splits(
    splits: Mapping[str, Samples], names: tuple[str, ...], folder: Path, to: Target
) -> list[Converted]:
    """Writes the samples of each split into a folder that is empty, and returns the counts of each split."""
    counts = []
    taken: set[str] = set()
    for split, samples in splits.items():
        if to != "voc":
            taken = set()  # each split has a folder of its own
        num_left_out = _WRITERS[to](folder, split, list(_named(samples, taken)), names)
        counts.append(_counted(split, samples, num_left_out))
    if to == "yolo":
        write_data_yaml(folder / "data.yaml", {split: f"images/{split}" for split in splits}, names)
    elif to == "voc":
        _write(folder / "labels.txt", "".join(f"{name}\n" for name in names))
    return counts


def image_names(samples: Sequence[Sample], taken: Iterable[str] = ()) -> list[str]:
    """Returns the paths that the images of a single split get, below the folder of IMAGE_FOLDERS.

    Args:
        samples: the images.
        taken: such paths of other images, without ending.
    """
    return [entry.name for entry in _named(samples, {name.lower() for name in taken})]


def count(dataset: Dataset) -> list[Converted]:
    """Returns the counts of each split of a data set whose labels stay as they are."""
    return [_counted(split, dataset.split(split), 0) for split in dataset.splits]


def _counted(split: str, samples: Sequence[Sample], num_left_out: int) -> Converted:
    num_ignored = sum(len(sample.ignored) for sample in samples) - num_left_out
    num_objects = sum(len(sample.class_ids) for sample in samples)
    return Converted(split, len(samples), num_objects, num_ignored, num_left_out)


def _named(samples: Sequence[Sample], taken: set[str]) -> Iterator[_Named]:
    """Yields each image with its path below the folder of all; later ones of equal paths get a number."""
    common = os.path.commonpath([sample.image.parent for sample in samples])
    for sample in samples:
        # Readers of YOLO replace a folder `images` by `labels`, so only the one on top may be called so.
        parts = os.path.relpath(sample.image.parent, common).split(os.sep)
        folder = "/".join(part for part in parts if part not in (".", "images", "JPEGImages"))
        stem = f"{folder}/{sample.image.stem}" if folder else sample.image.stem
        name, number = stem, 1
        while name.lower() in taken:
            number += 1
            name = f"{stem}_{number}"
        taken.add(name.lower())
        yield _Named(sample, name + sample.image.suffix)


def link(image: Path, target: Path) -> None:
    """Makes a hard link to an image, or a copy where the system makes none."""
    target.parent.mkdir(parents=True, exist_ok=True)
    source = os.path.realpath(image)
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def _write_yolo(folder: Path, split: str, named: list[_Named], names: tuple[str, ...]) -> int:
    for entry in named:
        link(entry.sample.image, folder / "images" / split / entry.name)
        _write(folder / "labels" / split / f"{entry.stem}.txt", yolo_text(entry.sample))
    return sum(len(entry.sample.ignored) for entry in named)


def yolo_text(sample: Sample) -> str:
    """Returns the label file of an image: shares of it in as few digits as give the same float32 again."""
    return "".join(
        f"{class_id} {' '.join(np.format_float_positional(value, trim='-') for value in box)}\n"
        for class_id, box in zip(sample.class_ids.tolist(), sample.boxes_cxcywh, strict=True)
    )


def _write_coco(folder: Path, split: str, named: list[_Named], names: tuple[str, ...]) -> int:
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for number, entry in enumerate(named, start=1):
        link(entry.sample.image, folder / split / entry.name)
        height, width = image_size(entry.sample.image)
        images.append({"id": number, "file_name": entry.name, "width": width, "height": height})
        for values in _coco_objects(entry.sample, height, width):
            annotations.append({"id": len(annotations) + 1, "image_id": number, **values})
    categories = [
        {"id": number, "name": name, "supercategory": ""} for number, name in enumerate(names, start=1)
    ]
    values = {"images": images, "annotations": annotations, "categories": categories}
    _write(folder / "annotations" / f"instances_{split}.json", json.dumps(values))
    return sum(int((~entry.sample.ignored.is_crowd).sum()) for entry in named)


def _coco_objects(sample: Sample, height: int, width: int) -> Iterator[dict[str, Any]]:
    ignored = sample.ignored
    crowds = ignored.boxes_cxcywh[ignored.is_crowd], ignored.class_ids[ignored.is_crowd]
    for is_crowd, (boxes, class_ids) in enumerate(((sample.boxes_cxcywh, sample.class_ids), crowds)):
        areas = sample.areas_px2 if not is_crowd else None
        for index, (left, top, right, bottom) in enumerate(_pixels(boxes, height, width).tolist()):
            bbox = [round(value, _DECIMALS) for value in (left, top, right - left, bottom - top)]
            area = (right - left) * (bottom - top)
            if areas is not None and not np.isnan(areas[index]):
                area = float(areas[index])
            class_id = int(class_ids[index]) + 1
            yield {"category_id": class_id, "bbox": bbox, "area": round(area, _DECIMALS), "iscrowd": is_crowd}


def _write_voc(folder: Path, split: str, named: list[_Named], names: tuple[str, ...]) -> int:
    for entry in named:
        link(entry.sample.image, folder / "JPEGImages" / entry.name)
        root = _voc_element(entry, names)
        path = folder / "Annotations" / f"{entry.stem}.xml"
        path.parent.mkdir(parents=True, exist_ok=True)
        ElementTree.indent(root)
        ElementTree.ElementTree(root).write(path, encoding="utf-8")
    _write(folder / "ImageSets" / "Main" / f"{split}.txt", "".join(f"{entry.stem}\n" for entry in named))
    return sum(int(entry.sample.ignored.is_crowd.sum()) for entry in named)


def _voc_element(entry: _Named, names: tuple[str, ...]) -> ElementTree.Element:
    sample, ignored = entry.sample, entry.sample.ignored
    height, width = image_size(sample.image)
    root = ElementTree.Element("annotation")
    ElementTree.SubElement(root, "filename").text = entry.name
    size = ElementTree.SubElement(root, "size")
    for key, value in (("width", width), ("height", height), ("depth", 3)):
        ElementTree.SubElement(size, key).text = str(value)
    difficult = ignored.boxes_cxcywh[~ignored.is_crowd], ignored.class_ids[~ignored.is_crowd]
    for is_difficult, (boxes, class_ids) in enumerate(((sample.boxes_cxcywh, sample.class_ids), difficult)):
        for class_id, corners in zip(class_ids.tolist(), _pixels(boxes, height, width), strict=True):
            element = ElementTree.SubElement(root, "object")
            ElementTree.SubElement(element, "name").text = names[class_id]
            ElementTree.SubElement(element, "difficult").text = str(is_difficult)
            box = ElementTree.SubElement(element, "bndbox")
            for key, value in zip(
                ("xmin", "ymin", "xmax", "ymax"), _voc_corners(corners, height, width), strict=True
            ):
                ElementTree.SubElement(box, key).text = str(value)
    return root


def _voc_corners(corners: np.ndarray, height: int, width: int) -> list[int]:
    """Returns the first and the last pixel of a box, counted from 1; a box has at least one."""
    left, top, right, bottom = np.rint(corners).astype(int).tolist()
    left, top = min(left, width - 1), min(top, height - 1)
    return [left + 1, top + 1, max(right, left + 1), max(bottom, top + 1)]


def _pixels(boxes_cxcywh: np.ndarray, height: int, width: int) -> np.ndarray:
    corners: np.ndarray = cxcywh_to_xyxy(boxes_cxcywh.astype(np.float64)) * np.array([width, height] * 2)
    return corners


_WRITERS: dict[str, Writer] = {"yolo": _write_yolo, "coco": _write_coco, "voc": _write_voc}
