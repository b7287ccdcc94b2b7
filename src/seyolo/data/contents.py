"""Contents of a data set, as the reader of each format gives them: class names, splits, images and labels."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple, Protocol

from seyolo.data.labels import ImageSize, Problem, Reading
from seyolo.media.images import image_size


class Listing(NamedTuple):
    """Images of a split in any order, and a problem for each that is missing."""

    images: list[str]
    problems: list[Problem]
    foreign: Sequence[str] = ()  # images of a kind that cannot be read here
    summary: str = ""  # of the problems, for the error of verbs that stop at once; by default the first


class ByImage:
    """Contents that are read image by image."""

    @property
    def lists_by_reading(self) -> bool:
        """True where the images of a split are listed by reading all its labels."""
        return False

    def readings(self, split: str, images: Sequence[str]) -> Iterator[Reading]:
        """Yields what `read` returns for each of these images."""
        for image in images:
            yield self.read(split, Path(image), partial(image_size, image))

    def read(self, split: str, image: Path, image_size: ImageSize) -> Reading:
        """Reads the labels of an image."""
        raise NotImplementedError

    def without_label_file(self, images: Sequence[str]) -> list[str]:
        """Returns nothing: an image without labels is missing in the file of all, or an error."""
        return []


class Contents(Protocol):
    """Images and labels of a data set in one format."""

    @property
    def layout(self) -> str:
        """Name of the format, and of the tool that exports it so."""

    @property
    def names(self) -> tuple[str, ...]:
        """Class names in the order of their ids."""

    @property
    def splits(self) -> Mapping[str, tuple[Path, ...]]:
        """Folders or files with the images of each split, or with lists of them."""

    @property
    def lists_by_reading(self) -> bool:
        """True where the images of a split are listed by reading all its labels."""

    def listed(self, split: str) -> Listing:
        """Lists the images of a split; raises DataError where the split itself is missing or damaged."""

    def read(self, split: str, image: Path, image_size: ImageSize) -> Reading:
        """Reads the labels of one of these images; problems of single labels are part of the result."""

    def readings(self, split: str, images: Sequence[str]) -> Iterator[Reading]:
        """Yields what `read` returns for each of these images, whose sizes are read where they are needed."""

    def unmatched_labels(self, images: Mapping[str, Sequence[str]]) -> list[Problem]:
        """Lists labels without image, and splits without labels, given the images of each split."""

    def without_label_file(self, images: Sequence[str]) -> list[str]:
        """Returns those of the images that have no label file, and so count as images without objects."""

    def remarks(self) -> list[str]:
        """Returns sentences on how the files were read so far."""

    def sources(self, split: str, folders: Iterable[str]) -> Iterable[str]:
        """Returns files and folders that the labels of a split come from, given the folders of its images."""
