"""Data sets in any format: classes, splits, images and labels.

A format is a module in `formats` with a class that has the members of `Contents`, and a row of FORMATS.
Loading a data set opens no images as a rule.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import NamedTuple, Protocol, Self

import numpy as np
from jaxtyping import UInt8

from seyolo.data.formats.coco import read_coco
from seyolo.data.formats.darknet_data import read_darknet_data
from seyolo.data.formats.data_yaml import read_data_yaml
from seyolo.data.formats.voc import read_voc
from seyolo.data.labels import NOTHING_IGNORED, Ignored, ImageSize, Problem, Reading
from seyolo.errors import DataError, shortened
from seyolo.media.images import image_size, is_image, is_turned, read_encoded, read_image, unreadable
from seyolo.tiling.grid import Tile, Tiling


class Contents(Protocol):
    """Images and labels of a data set in one format."""

    @property
    def names(self) -> tuple[str, ...]:
        """Class names in the order of their ids."""

    @property
    def splits(self) -> Mapping[str, tuple[Path, ...]]:
        """Folders or files with the images of each split, or with lists of them."""

    def images(self, split: str) -> Iterable[str]:
        """Returns the image paths of a split in any order; raises DataError for missing files."""

    def read(self, split: str, image: Path, image_size: ImageSize) -> Reading:
        """Reads the labels of one of these images; problems of single labels are part of the result."""

    def unmatched_labels(self, images: Iterable[Path]) -> list[Problem]:
        """Lists labels without image, given the images of all splits."""


class Format(NamedTuple):
    """A format of data sets."""

    name: str  # in messages
    endings: tuple[str, ...]  # of the file; none: a folder
    read: Callable[[Path], Contents]


FORMATS = (
    Format("a data.yaml", (".yaml", ".yml"), read_data_yaml),
    Format("a Darknet .data", (".data",), read_darknet_data),
    Format("a COCO .json", (".json",), read_coco),
    Format("a VOC folder", (), read_voc),
)


@dataclass(frozen=True, eq=False)
class Sample:
    """A labelled image."""

    image: Path
    boxes_cxcywh: np.ndarray  # (n, 4) float32 as fractions of the image
    class_ids: np.ndarray  # (n,) int64
    ignored: Ignored = NOTHING_IGNORED
    areas_px2: np.ndarray | None = None  # as in `Labels`
    stated_size: tuple[int, int] | None = None  # (height, width) in its labels
    tiling: Tiling | None = None  # the way in which evaluation cuts it
    tile: Tile | None = None  # the part of the image that this sample is, and its labels are of

    def read(self) -> UInt8[np.ndarray, "h w 3"]:
        """Reads the image, or its tile; raises DataError as `read_whole`."""
        return self.part_of(self.read_whole())

    def part_of(self, whole: UInt8[np.ndarray, "H W 3"]) -> UInt8[np.ndarray, "h w 3"]:
        """Returns the part of the image that this sample is; a tile as a copy, which frees the rest."""
        return whole if self.tile is None else self.tile.of(whole).copy()

    def read_whole(self) -> UInt8[np.ndarray, "H W 3"]:
        """Reads the image; raises DataError as `read_image`, and where its labels state another size."""
        pixels = read_image(self.image)
        if problem := size_problem(self.image, (pixels.shape[0], pixels.shape[1]), self.stated_size):
            raise DataError(f"{self.image}: {problem}")
        return pixels

    def size(self) -> tuple[int, int]:
        """Returns (height, width) of the image from its header; raises DataError as `read`."""
        size = image_size(self.image)
        if problem := size_problem(self.image, size, self.stated_size):
            raise DataError(f"{self.image}: {problem}")
        return size


def size_problem(image: Path, size: tuple[int, int], stated_size: tuple[int, int] | None) -> str | None:
    """Returns what is wrong where labels state another size than that of the image as it is shown."""
    if stated_size is None or stated_size == size:
        return None
    text = f"has {size[1]}x{size[0]} pixels, but its labels state {stated_size[1]}x{stated_size[0]}"
    if stated_size == size[::-1] and is_turned(read_encoded(image)):
        advice = "label it as it is shown, or remove its orientation"
        return f"{text}, which is the size before its orientation turns it; {advice}"
    return f"{text}; label this image, or put back the image that was labelled"


@dataclass(frozen=True)
class Dataset:
    """A data set in any format."""

    names: tuple[str, ...]
    splits: Mapping[str, tuple[Path, ...]]  # folders or files
    source: Path  # as loaded
    contents: Contents
    tiling: Tiling | None = None  # the way in which training and evaluation cut the images

    def tiled(self, tiling: Tiling | None) -> Self:
        """Returns the data set cut in this way by training and evaluation; None does not cut."""
        return replace(self, tiling=tiling)

    def split(self, name: str) -> list[Sample]:
        """Returns the samples of a split sorted by path.

        Raises DataError for an unknown, missing or empty split and for an invalid label.
        """
        images, foreign = self.listed(name)
        if foreign:
            count = f"{len(foreign):,} of {len(images) + len(foreign):,} images of split `{name}`"
            warnings.warn(f"{self.source}: {count} {unreadable(foreign)}", stacklevel=2)
        samples = [self.sample(name, image) for image in images]
        return samples if self.tiling is None else [replace(s, tiling=self.tiling) for s in samples]

    def images(self, name: str) -> list[Path]:
        """Returns the images of a split sorted by path, each once; raises DataError as `split`."""
        return self.listed(name)[0]

    def listed(self, name: str) -> tuple[list[Path], list[str]]:
        """Returns the images of a split as `images`, and those of a kind that cannot be read here."""
        if name not in self.splits:
            known = shortened(", ".join(self.splits))
            raise DataError(f"{self.source}: no split `{name}`; there are {known}")
        found = sorted(set(self.contents.images(name)))
        readable = [Path(image) for image in found if is_image(image)]
        foreign = [image for image in found if not is_image(image)]
        if not found:
            paths = ", ".join(map(str, self.splits[name]))
            raise DataError(f"{self.source}: split `{name}` has no images; put some into {paths}")
        if not readable:
            raise DataError(f"{self.source}: all images of split `{name}` {unreadable(foreign)}")
        return readable, foreign

    def sample(self, split: str, image: Path) -> Sample:
        """Returns one of the images of a split with its labels; raises DataError for an invalid label."""
        reading = self.contents.read(split, image, partial(image_size, image))
        if reading.problems:
            raise DataError(f"{reading.problems[0]}; `seyolo data check` lists all problems")
        labels = reading.labels
        boxes = labels.boxes_cxcywh, labels.class_ids, labels.ignored, labels.areas_px2
        return Sample(image, *boxes, reading.stated_size)


def load_dataset(path: str | Path) -> Dataset:
    """Loads a data set from a `data.yaml`, a Darknet `.data`, a COCO `.json`, or a VOC folder.

    Raises DataError when the path is missing, of another kind, or invalid.
    """
    source = Path(path)
    ending, is_folder = source.suffix.lower(), source.is_dir()
    for candidate in FORMATS:
        if (is_folder and not candidate.endings) or (not is_folder and ending in candidate.endings):
            contents = candidate.read(source)
            return Dataset(contents.names, contents.splits, source, contents)
    problem = "not a data set by its name" if source.exists() else "no such file or folder"
    *names, last = (candidate.name for candidate in FORMATS)
    raise DataError(f"{source}: {problem}; give {', '.join(names)} or {last}")
