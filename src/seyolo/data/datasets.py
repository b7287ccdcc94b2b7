"""Data sets as users have them, whatever their format: classes, splits, images, labels.

Each format is a module with one class that does what `Contents` says; OPENERS and `load_dataset` choose it by
the kind of file.

Notable: loading opens no images as a rule.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Protocol

import numpy as np

from seyolo.data.formats.coco import read_coco
from seyolo.data.formats.darknet_data import read_darknet_data
from seyolo.data.formats.data_yaml import read_data_yaml
from seyolo.data.formats.voc import read_voc
from seyolo.data.labels import ImageSize, Labels, Problem, Reading
from seyolo.errors import DataError
from seyolo.media.images import image_size


class Contents(Protocol):
    """What a data set of one format holds."""

    @property
    def names(self) -> tuple[str, ...]:
        """Of the classes, in the order of their ids."""

    @property
    def splits(self) -> Mapping[str, tuple[Path, ...]]:
        """Where the images of each split lie or are listed: folders or files."""

    def images(self, split: str) -> Iterable[str]:
        """Gives the images of a split in any order; raises DataError for what is missing."""

    def read(self, split: str, image: Path, image_size: ImageSize) -> Reading:
        """Reads the labels of one of these images; what is wrong with them is in the result."""

    def strays(self, images: Iterable[Path]) -> list[Problem]:
        """Finds labels whose image is not there, given the images of all splits."""


OPENERS: Mapping[str, Callable[[Path], Contents]] = {
    ".yaml": read_data_yaml,
    ".yml": read_data_yaml,
    ".data": read_darknet_data,
    ".json": read_coco,
}
"""What reads a file with this ending; a folder is VOC's."""


@dataclass(frozen=True, eq=False)
class Sample:
    """One labelled image: boxes_cxcywh (n, 4) float32 in parts of the image, class_ids (n,) int64."""

    image: Path
    boxes_cxcywh: np.ndarray
    class_ids: np.ndarray


@dataclass(frozen=True)
class SplitContent:
    """All samples of a split by path; how many labels were clipped, were repetitions, were left out.

    Left out are what the format marks as not to be learned from: crowds of COCO, difficult objects of VOC.
    """

    samples: list[Sample]
    num_clipped: int
    num_duplicates: int
    num_skipped: int


@dataclass(frozen=True)
class Dataset:
    """Class names, the places of each split, the file or folder they come from, and what reads its format."""

    names: tuple[str, ...]
    splits: Mapping[str, tuple[Path, ...]]
    source: Path
    contents: Contents

    def split(self, name: str) -> list[Sample]:
        """Returns the samples of a split sorted by path.

        Raises DataError for an unknown, missing or empty split and for a bad label.
        """
        return self.read_split(name).samples

    def read_split(self, name: str) -> SplitContent:
        """As `split`, with the counts of labels that were clipped or left out."""
        images = self.images(name)
        labels = [self._labels(name, image) for image in images]
        return SplitContent(
            samples=[
                Sample(image, label.boxes_cxcywh, label.class_ids)
                for image, label in zip(images, labels, strict=True)
            ],
            num_clipped=sum(label.num_clipped for label in labels),
            num_duplicates=sum(label.num_duplicates for label in labels),
            num_skipped=sum(label.num_skipped for label in labels),
        )

    def images(self, name: str) -> list[Path]:
        """Returns the images of a split sorted by path, each once; raises DataError as `split`."""
        if name not in self.splits:
            raise DataError(f"{self.source}: no split `{name}`; there are {', '.join(self.splits)}")
        found = set(self.contents.images(name))
        if not found:
            places = ", ".join(map(str, self.splits[name]))
            raise DataError(f"{self.source}: split `{name}` has no images; put some into {places}")
        return [Path(image) for image in sorted(found)]

    def _labels(self, name: str, image: Path) -> Labels:
        reading = self.contents.read(name, image, partial(image_size, image))
        if reading.problems:
            raise DataError(f"{reading.problems[0]}; `seyolo data check` lists them all")
        return reading.labels


def load_dataset(path: str | Path) -> Dataset:
    """Loads the description of a data set; images are listed and labels read by `Dataset.split`.

    Args:
        path: a `data.yaml`, a Darknet `.data`, a COCO `.json`, or a VOC folder.

    Raises DataError when it is missing, of another kind, or holds something that makes no sense.
    """
    source = Path(path)
    contents = _opener(source)(source)
    return Dataset(contents.names, contents.splits, source, contents)


def _opener(source: Path) -> Callable[[Path], Contents]:
    if source.is_dir():
        return read_voc
    opener = OPENERS.get(source.suffix.lower())
    if opener is None:
        problem = "not a data set by its name" if source.exists() else "no such file or folder"
        raise DataError(
            f"{source}: {problem}; give a data.yaml, a Darknet .data, a COCO .json or a VOC folder"
        )
    return opener
