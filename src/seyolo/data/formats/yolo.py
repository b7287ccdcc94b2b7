"""YOLO labels: one text file per image, one row `class cx cy w h` per object, or a class and points.

Columns are fractions of the image's width and height. A split is a folder of images or a list file of image
paths. The label file has the image's path with the last `/images/` replaced by `/labels/`, or lies beside the
image; an image without label file, or with an empty one, is a negative.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import chain
from pathlib import Path

from seyolo.data.formats.pictures import Pictures, mapped, without_image
from seyolo.data.formats.yolo_apart import elsewhere, is_rows
from seyolo.data.formats.yolo_many import read_many
from seyolo.data.formats.yolo_rows import RowForm, have_polygons, parse_row
from seyolo.data.labels import Collected, ImageSize, Problem, Reading, collect, size_of
from seyolo.data.text import read_text, without_path
from seyolo.errors import DataError
from seyolo.media.folders import walk
from seyolo.media.images import image_size

UNDER_IMAGES = re.compile(r"(.*[/\\]|)images[/\\]")  # up to the last `images/`, which becomes `labels/`

MOST_PROBED = 1_000  # label files


@dataclass(frozen=True)
class YoloFiles(Pictures):
    """A data set with YOLO labels."""

    under_images: re.Pattern[str] = UNDER_IMAGES
    keypoints: tuple[int, int] | None = None  # `kpt_shape` of a data.yaml
    _polygons: dict[str, bool] = field(default_factory=dict, repr=False)  # by split, see `have_polygons`

    def read(self, split: str, image: Path, image_size: ImageSize) -> Reading:
        """Reads the label file of an image."""
        path = label_path(image, self.under_images)
        form = RowForm(self.names, self.keypoints, partial(self._are_polygons, split))
        return Reading() if path is None else read_labels(path, form, image_size)

    def readings(self, split: str, images: Sequence[str]) -> Iterator[Reading]:
        """Yields what the label file of each image says."""
        find = partial(label_candidates, under_images=self.under_images)
        for image, found in zip(images, read_many(images, find, len(self.names)), strict=True):
            yield self.read(split, Path(image), partial(image_size, image)) if found is None else found

    def _are_polygons(self, split: str) -> bool:
        """Tells whether rows of points in the first label files of a split are polygons for certain."""
        if split not in self._polygons:
            images = sorted(self.listed(split).images)[:MOST_PROBED]
            paths = (label_path(Path(image), self.under_images) for image in images)
            texts = (path.read_bytes().decode(errors="replace") for path in paths if path is not None)
            self._polygons[split] = have_polygons(texts)
        return self._polygons[split]

    def unmatched_labels(self, images: Mapping[str, Sequence[str]]) -> list[Problem]:
        """Lists label files without image, labels in folders where they are not read, and bare splits."""
        by_folder = _by_folder(chain.from_iterable(images.values()))
        folders = sorted(by_folder)
        problems = [problem for folder in folders for problem in _alone_beside(folder)]
        problems += [problem for folder in folders for problem in _hidden(folder, self._label_folder(folder))]
        for labels, place in dict.fromkeys(filter(None, map(self._roots, folders))):
            for below, _ in sorted(walk(labels)) if os.path.isdir(labels) else ():
                own = os.path.normpath(os.path.join(place, os.path.relpath(below, labels)))
                problems += without_image(below, ".txt", Path(own), ("classes", "labels"))
        bare, labelled = self._bare(by_folder)
        if bare:
            problems += elsewhere(bare, labelled, map(self._base, {os.path.dirname(path) for path in bare}))
        return [*self.without_labels(images), *problems]

    def has_label_file(self, image: str) -> bool:
        """Tells whether an image has a label file."""
        return label_path(Path(image), self.under_images) is not None

    def without_label_file(self, images: Sequence[str]) -> list[str]:
        """Returns the images without label file, by listing folders: faster than a look at each path."""
        bare, _ = self._bare(_by_folder(images))
        return [image for image in images if image in bare]

    def _bare(self, by_folder: Mapping[str, Mapping[str, str]]) -> tuple[set[str], set[str]]:
        """Returns the images without label file, and the names of the others."""
        bare, labelled = set[str](), set[str]()
        for folder, own in by_folder.items():
            places = (self._label_folder(folder), folder)
            files = chain.from_iterable(
                os.listdir(place) for place in places if place and os.path.isdir(place)
            )
            there = {file[:-4] for file in files if file.endswith(".txt")}
            bare.update(image for image, stem in own.items() if stem not in there)
            labelled.update(there.intersection(own.values()))
        return bare, labelled

    def _roots(self, folder: str) -> tuple[str, str] | None:
        """Returns the folder `labels` and the folder that it takes the place of; None where there is none."""
        match = self.under_images.match(os.path.join(folder, "any"))
        return None if match is None else (f"{match[1]}labels", match[0][:-1])

    def _base(self, folder: str) -> str:
        """Returns the folder in which labels are likely that belong to the images of a folder."""
        roots = self._roots(folder)
        if roots is not None:
            return os.path.dirname(roots[0]) or os.curdir
        is_inside = Path(os.path.abspath(self.source.parent)) in Path(os.path.abspath(folder)).parents
        return os.path.dirname(folder) if is_inside else folder

    def sources(self, split: str, folders: Iterable[str]) -> list[str]:
        """Returns the source, the list files and the folders of the labels."""
        labels = [path for folder in folders if (path := self._label_folder(folder)) is not None]
        return [str(self.source), *map(str, self.splits.get(split, ())), *labels]

    def _label_folder(self, images: str) -> str | None:
        path = mapped(os.path.join(images, "any"), self.under_images, "labels")
        return None if path is None else os.path.dirname(path)


def _by_folder(images: Iterable[str]) -> dict[str, dict[str, str]]:
    """Returns the names of images, without ending, by folder and path."""
    found: dict[str, dict[str, str]] = {}
    for image in images:
        folder, _, name = image.rpartition(os.sep)
        folder = folder or (os.sep if image.startswith(os.sep) else os.curdir)
        found.setdefault(folder, {})[image] = name.rpartition(".")[0]
    return found


def _alone_beside(folder: str) -> list[Problem]:
    """Returns a problem for each label file among images that has none of its name."""
    return [problem for problem in without_image(folder, ".txt", Path(folder)) if is_rows(problem.file)]


def _hidden(folder: str, labels: str | None) -> list[Problem]:
    """Returns a problem for each label file beside its image where other labels of `labels/` are read."""
    if labels is None or labels == folder or not os.path.isdir(labels):
        return []
    beside = {file for file in os.listdir(folder) if file.endswith(".txt")}
    pairs = [
        [Path(place, file) for place in (folder, labels)] for file in sorted(beside & {*os.listdir(labels)})
    ]
    said = "is not read, since {} holds other labels of this name; remove one of them"
    return [
        Problem(str(own), 0, said.format(read))
        for own, read in pairs
        if read.is_file() and is_rows(str(own)) and own.read_bytes().split() != read.read_bytes().split()
    ]


def label_path(image: Path, under_images: re.Pattern[str] = UNDER_IMAGES) -> Path | None:
    """Returns the label file of an image, None if there is none."""
    paths = label_candidates(image, under_images)
    return next((Path(path) for path in paths if os.path.isfile(path)), None)


def label_candidates(image: str | Path, under_images: re.Pattern[str]) -> Iterator[str]:
    """Yields the possible paths of an image's label file, the preferred one first."""
    beside = f"{os.path.splitext(image)[0]}.txt"
    if (path := mapped(beside, under_images, "labels")) is not None:
        yield path
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
