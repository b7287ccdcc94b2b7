"""YOLO labels: one text file per image, one row `class cx cy w h` per object, or a class and points.

Columns are fractions of the image's width and height. A split is a folder of images or a list file of image
paths. The label file has the image's path with the last `/images/` replaced by `/labels/`, or lies beside the
image; an image without label file, or with an empty one, is a negative.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from seyolo.data.formats.yolo_rows import RowForm, parse_row
from seyolo.data.labels import Collected, ImageSize, Problem, Reading, collect, size_of
from seyolo.data.text import read_lines, read_text, without_path
from seyolo.errors import DataError, shortened
from seyolo.media.images import is_image, is_picture

UNDER_IMAGES = re.compile(r"(.*[/\\]|)images[/\\]")  # up to the last `images/`, which becomes `labels/`


@dataclass(frozen=True)
class YoloFiles:
    """A data set with YOLO labels."""

    source: Path  # the file that describes the data set
    names: tuple[str, ...]
    splits: Mapping[str, tuple[Path, ...]]  # folders or list files
    roots: tuple[Path, ...]  # base folders of the paths in a list file, after the folder of the list itself
    under_images: re.Pattern[str] = UNDER_IMAGES
    keypoints: tuple[int, int] | None = None  # `kpt_shape` of a data.yaml

    def images(self, split: str) -> Iterator[str]:
        """Yields the images of a split; raises DataError for a folder, list or image that is missing."""
        for location in self.splits[split]:
            if os.path.isdir(location):
                yield from images_in_folder(location)
            elif os.path.isfile(location):
                yield from _images_in_list(location, self.roots)
            else:
                reason = f"{shortened(str(location))} is no folder and no list file"
                raise DataError(f"{self.source}: split `{split}` is missing: {reason}")

    def read(self, split: str, image: Path, image_size: ImageSize) -> Reading:
        """Reads the label file of an image."""
        path = label_path(image, self.under_images)
        form = RowForm(self.names, self.keypoints)
        return Reading() if path is None else read_labels(path, form, image_size)

    def unmatched_labels(self, images: Iterable[Path]) -> list[Problem]:
        """Lists label files without image in label folders; not where images and labels share a folder."""
        problems = []
        for folder in sorted({image.parent for image in images}):
            paths = list(_label_candidates(folder / "any.jpg", self.under_images))
            label_folder = os.path.dirname(paths[0])
            if len(paths) == 1 or not os.path.isdir(label_folder):
                continue
            stems = {os.path.splitext(file)[0] for file in os.listdir(folder) if is_image(file)}
            for file in sorted(os.listdir(label_folder)):
                stem, ending = os.path.splitext(file)
                if ending == ".txt" and stem not in stems and stem != "classes":
                    path = os.path.join(label_folder, file)
                    problems.append(Problem(path, 0, f"no image of this name in {folder}"))
        return problems


def label_path(image: Path, under_images: re.Pattern[str] = UNDER_IMAGES) -> Path | None:
    """Returns the label file of an image, None if there is none."""
    paths = _label_candidates(image, under_images)
    return next((Path(path) for path in paths if os.path.isfile(path)), None)


def _label_candidates(image: Path, under_images: re.Pattern[str]) -> Iterator[str]:
    """Yields the possible paths of an image's label file, the preferred one first."""
    beside = f"{os.path.splitext(image)[0]}.txt"
    match = under_images.match(beside)
    if match is not None:
        yield f"{match[1]}labels{beside[match.end() - 1 :]}"
    yield beside


def read_labels(path: Path, form: RowForm, image_size: ImageSize) -> Reading:
    """Reads a label file; a file that is not text is a problem, too."""
    try:
        text = read_text(path)
    except DataError as error:
        return Reading(problems=[Problem(str(path), 0, without_path(error, path))])
    labels, problems = parse_labels(text, form, image_size)
    return Reading(labels, [Problem(str(path), line, text) for line, text in problems])


def parse_labels(text: str, form: RowForm, image_size: ImageSize) -> Collected:
    """Parses the rows of one image; returns the usable ones and the problems of the others by line."""
    rows = ((line, row.split()) for line, row in enumerate(text.splitlines(), start=1) if row.strip())
    size = size_of(None, image_size)
    return collect(rows, partial(parse_row, form=form, image_size=size), size)


def images_in_folder(folder: Path) -> Iterator[str]:
    """Yields the paths of all images in a folder and the folders below it, without hidden files."""
    for parent, _, files in os.walk(folder):
        for file in files:
            if is_picture(file) and not file.startswith("."):
                yield os.path.join(parent, file)


def _images_in_list(path: Path, roots: tuple[Path, ...]) -> Iterator[str]:
    """Yields the images of a list file, relative to its own folder or else to one of the roots."""
    folders = (path.parent, *roots)
    for line, name in read_lines(path).items():
        paths = [os.path.normpath(os.path.join(folder, name)) for folder in folders]
        found = next(filter(os.path.isfile, paths), None)
        if found is None:
            raise DataError(
                f"{path}:{line}: there is no image {' or '.join(map(shortened, dict.fromkeys(paths)))}"
            )
        yield found
