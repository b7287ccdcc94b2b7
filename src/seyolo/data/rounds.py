"""Rounds of labelling in one folder: the images that have labels already, and the addition of others.

An image is known by its content, whatever its name is now. Images that no round has labelled may have labels
of their own, of a format with a file for each image, beside them or in the usual folders.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import NamedTuple

from seyolo.class_names import listed, same_classes
from seyolo.data.convert import IMAGE_FOLDERS, Target, image_names, link, yolo_text
from seyolo.data.datasets import load_dataset
from seyolo.data.formats.pictures import images_in_folder
from seyolo.data.formats.voc import annotation_paths
from seyolo.data.formats.yolo import UNDER_IMAGES, label_candidates, label_path
from seyolo.data.formats.yolo_apart import is_rows
from seyolo.data.layouts import has_json
from seyolo.data.samples import Sample
from seyolo.data.writing import check_new_folder
from seyolo.errors import DataError, counted

SPLIT = "train"
REVIEW_FILE = "review.csv"


@dataclass(frozen=True)
class Earlier:
    """Classes and images that earlier rounds left in a folder; nothing of a new one."""

    names: tuple[str, ...] = ()
    images: Sequence[str] = ()

    def order_of(self, names: Sequence[str], folder: Path) -> list[int]:
        """Returns the number of each class of a model in the folder; raises DataError for one it lacks."""
        if not self.names:
            return list(range(len(names)))
        order = [number for number in same_classes(names, self.names) if number is not None]
        if len(order) < len(names):
            lists = f"its classes are {listed(self.names)}, those of the model {listed(names)}"
            raise DataError(f"{folder}: {lists}; name another folder, or add the others to its data.yaml")
        return order


NOTHING = Earlier()


class Chosen(NamedTuple):
    """Images to label, and those left out because they have labels."""

    images: list[Path]
    there: dict[Path, str]  # path in the folder, of images of earlier rounds that are labelled again
    num_kept: int = 0
    remark: str = ""  # on images left out
    num_beside: int = 0


def earlier_rounds(out: Path, to: Target) -> Earlier:
    """Reads what earlier rounds left in a folder.

    Raises DataError for a folder with anything else in it, and for rounds of another format than YOLO.
    """
    if not (out / REVIEW_FILE).is_file():
        check_new_folder(out)
        return NOTHING
    data = out / "data.yaml"
    if to != "yolo" or not data.is_file():
        said = "holds an earlier round; images can be added to YOLO labels alone"
        raise DataError(f"{out}: {said}; leave --to out, or name another folder")
    dataset = load_dataset(data)
    return Earlier(dataset.names, dataset.listed(SPLIT).images)


def choose(images: Sequence[Path], earlier: Earlier, out: Path, *, overwrite: bool) -> Chosen:
    """Returns the images without labels, or with `overwrite` all; raises DataError where there are none."""
    there = _same(images, earlier.images)
    if overwrite:
        return Chosen(list(images), there)
    beside = [image for image in images if image not in there and _has_labels(image)]
    left_out = {*there, *beside}
    if not left_out:
        return Chosen(list(images), {})
    places = [f"{len(there):,} in {out}"] if there else []
    places += [f"{len(beside):,} beside them"] if beside else []
    verb = "has" if len(left_out) == 1 else "have"
    said = f"{len(left_out):,} of {counted(len(images), 'image')} {verb} labels already ({', '.join(places)})"
    if len(left_out) == len(images):
        raise DataError(f"{said}; give others, or label these again with --overwrite")
    rest = [image for image in images if image not in left_out]
    return Chosen(rest, {}, len(left_out), f"{said}, left out; --overwrite labels them again", len(beside))


def _same(images: Iterable[Path], others: Sequence[str]) -> dict[Path, str]:
    """Returns those of the images that are among others, with the path there."""
    by_size: dict[int, list[str]] = {}
    for other in others:
        by_size.setdefault(os.stat(other).st_size, []).append(other)
    by_content: dict[int, dict[bytes, str]] = {}
    found = {}
    for image in images:
        size = os.stat(image).st_size
        if size not in by_size:
            continue
        if size not in by_content:
            by_content[size] = {_digest(other): other for other in by_size[size]}
        if (same := by_content[size].get(_digest(image))) is not None:
            found[image] = same
    return found


def _digest(path: str | Path) -> bytes:
    return hashlib.blake2b(Path(path).read_bytes(), digest_size=16).digest()


def _has_labels(image: Path) -> bool:
    """Tells whether an image has a label file of YOLO, also an empty one, an xml of VOC or a json."""
    rows = label_path(image)
    if rows is not None and (is_rows(str(rows)) or not rows.stat().st_size):
        return True
    return any(map(os.path.isfile, annotation_paths(str(image)))) or has_json(image)


def add_round(samples: Sequence[Sample], there: Mapping[Path, str], out: Path) -> list[str]:
    """Adds images to the YOLO labels of earlier rounds; returns the path of each below `out`.

    A label file is written before its image: after an interruption the same command does the rest.

    Args:
        samples: images with labels whose classes are those of `out`.
        there: path in `out` by image, of those that are labelled again.
        out: the folder of the rounds.
    """
    folder = out / IMAGE_FOLDERS["yolo"].format(SPLIT)
    images = (Path(path) for path in images_in_folder(folder)) if folder.is_dir() else ()
    taken = [path.relative_to(folder).with_suffix("").as_posix() for path in images]
    new = [sample for sample in samples if sample.image not in there]
    names = iter(image_names(new, taken) if new else ())
    places = []
    for sample in samples:
        own = there.get(sample.image)
        place = folder / next(names) if own is None else Path(own)
        labels = label_path(place) or Path(next(label_candidates(place, UNDER_IMAGES)))
        labels.parent.mkdir(parents=True, exist_ok=True)
        labels.write_text(yolo_text(sample), encoding="utf-8")
        if own is None:
            link(sample.image, place)
        places.append(Path(os.path.relpath(place, out)).as_posix())
    return places


def keep_review(out: Path) -> None:
    """Keeps the list of the last round as review_1.csv, review_2.csv and so on."""
    review = out / REVIEW_FILE
    free = (out / f"{review.stem}_{number}{review.suffix}" for number in count(1))
    shutil.copyfile(review, next(path for path in free if not path.exists()))
