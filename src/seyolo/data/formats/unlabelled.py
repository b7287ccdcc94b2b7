"""Images without labels: all of a folder, as the split `train` of a data set without classes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from seyolo.data.formats.pictures import Pictures
from seyolo.data.labels import ImageSize, Problem, Reading
from seyolo.data.tree import Finder


class Unlabelled(Pictures):
    """Images on which something is measured that needs no labels."""

    def read(self, split: str, image: Path, image_size: ImageSize) -> Reading:
        """Returns no labels."""
        return Reading()

    def unmatched_labels(self, images: Mapping[str, Sequence[str]]) -> list[Problem]:
        """Returns no problem."""
        return []

    def without_label_file(self, images: Sequence[str]) -> list[str]:
        """Returns nothing: no image is expected to have a label file."""
        return []

    def sources(self, split: str, folders: Iterable[str]) -> list[str]:
        """Returns the folder of the images."""
        return [str(self.source)]


def read_unlabelled(folder: Path) -> Unlabelled:
    """Reads a folder of images and the folders below it."""
    return Unlabelled(folder, (), {"train": (folder,)}, (folder,), "images without labels", Finder(folder))
