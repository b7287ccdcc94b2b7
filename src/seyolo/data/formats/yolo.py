"""Images with YOLO labels: one text file per image, one row `class cx cy w h` per object.

Columns are in parts of the image's width and height. A split is a folder of images or a list file of
image paths. Labels lie in the same place with the last `/images/` replaced by `/labels/`, or beside the
image; an image without label file, or with an empty one, is a negative.
"""

from __future__ import annotations

import math
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from seyolo.data.labels import (
    NO_LABELS,
    EntryProblem,
    ImageSize,
    Labels,
    Problem,
    Reading,
    Row,
    collect,
    read_text,
)
from seyolo.errors import DataError
from seyolo.media.images import is_image

UNDER_IMAGES = re.compile(r"(.*[/\\]|)images[/\\]")
"""What stands before and as the last folder that `labels` takes the place of."""


@dataclass(frozen=True)
class YoloFiles:
    """A data set with YOLO labels.

    Args:
        source: the file that describes it.
        names: of the classes.
        splits: the folders or list files of each.
        roots: folders that lines of a list file may start at, after the list's own.
        under_images: as UNDER_IMAGES.
    """

    source: Path
    names: tuple[str, ...]
    splits: Mapping[str, tuple[Path, ...]]
    roots: tuple[Path, ...]
    under_images: re.Pattern[str] = UNDER_IMAGES

    def images(self, split: str) -> Iterator[str]:
        """Yields the images of a split; raises DataError for a place or image that is missing."""
        for location in self.splits[split]:
            if location.is_dir():
                yield from _images_in_folder(location)
            elif location.is_file():
                yield from _images_in_list(location, self.roots)
            else:
                raise DataError(
                    f"{self.source}: split `{split}` is missing: {location} is no folder and no list file"
                )

    def read(self, split: str, image: Path, image_size: ImageSize) -> Reading:
        """Reads the label file of an image."""
        path = label_path(image, self.under_images)
        return Reading(NO_LABELS, []) if path is None else read_labels(path, len(self.names), image_size)

    def strays(self, images: Iterable[Path]) -> list[Problem]:
        """Finds label files without image in folders of labels, not where both lie together."""
        problems = []
        for folder in sorted({image.parent for image in images}):
            places = list(label_candidates(folder / "any.jpg", self.under_images))
            label_folder = os.path.dirname(places[0])
            if len(places) == 1 or not os.path.isdir(label_folder):
                continue
            stems = {os.path.splitext(file)[0] for file in os.listdir(folder) if is_image(file)}
            for file in sorted(os.listdir(label_folder)):
                stem, ending = os.path.splitext(file)
                if ending == ".txt" and stem not in stems and stem != "classes":
                    path = os.path.join(label_folder, file)
                    problems.append(Problem(path, 0, f"no image of this name in {folder}"))
        return problems


def label_path(image: Path, under_images: re.Pattern[str] = UNDER_IMAGES) -> Path | None:
    """Returns the label file of an image, None where there is none."""
    places = label_candidates(image, under_images)
    return next((Path(path) for path in places if os.path.isfile(path)), None)


def label_candidates(image: Path, under_images: re.Pattern[str] = UNDER_IMAGES) -> Iterator[str]:
    """Yields the places where the labels of an image may lie, the preferred one first."""
    beside = f"{os.path.splitext(image)[0]}.txt"
    match = under_images.match(beside)
    if match is not None:
        yield f"{match[1]}labels{beside[match.end() - 1 :]}"
    yield beside


def read_labels(path: Path, num_classes: int, image_size: ImageSize) -> Reading:
    """Reads a label file; one that is no text is a problem, too."""
    try:
        text = read_text(path)
    except DataError as error:
        return Reading(NO_LABELS, [Problem(str(path), 0, str(error).removeprefix(f"{path}: "))])
    labels, problems = parse_labels(text, num_classes, image_size)
    return Reading(labels, [Problem(str(path), line, text) for line, text in problems])


def parse_labels(text: str, num_classes: int, image_size: ImageSize) -> tuple[Labels, list[EntryProblem]]:
    """Reads the rows of one image; returns the usable ones and the lines and faults of the others."""
    rows = ((line, row.split()) for line, row in enumerate(text.splitlines(), start=1) if row.strip())
    return collect(rows, partial(_parse_row, num_classes=num_classes), image_size)


def _parse_row(columns: list[str], num_classes: int) -> Row:
    if len(columns) != 5:
        raise DataError(f"expected 5 columns (class cx cy w h), found {len(columns)}")
    try:
        class_id, cx, cy, w, h = map(float, columns)
    except ValueError:
        raise DataError(f"`{' '.join(columns)}` are not five numbers") from None
    if not all(map(math.isfinite, (class_id, cx, cy, w, h))):
        raise DataError(f"`{' '.join(columns)}` holds a value that is not finite")
    if not class_id.is_integer() or not 0 <= class_id < num_classes:
        raise DataError(
            f"class {columns[0]} is out of range, the data set names {num_classes} (0 is the first)"
        )
    if w <= 0 or h <= 0:
        raise DataError(f"width {columns[3]} and height {columns[4]} must be above 0")
    return int(class_id), cx, cy, w, h


def _images_in_folder(folder: Path) -> Iterator[str]:
    for parent, _, files in os.walk(folder):
        for file in files:
            if is_image(file) and not file.startswith("."):
                yield os.path.join(parent, file)


def _images_in_list(path: Path, roots: tuple[Path, ...]) -> Iterator[str]:
    """Yields the images named in a list file, relative to its own folder or else to one of the roots."""
    folders = (path.parent, *roots)
    for line, text in enumerate(read_text(path).splitlines(), start=1):
        if name := text.strip():
            places = [os.path.normpath(os.path.join(folder, name)) for folder in folders]
            found = next((place for place in places if os.path.isfile(place)), None)
            if found is None:
                raise DataError(f"{path}:{line}: there is no image {' or '.join(dict.fromkeys(places))}")
            yield found
