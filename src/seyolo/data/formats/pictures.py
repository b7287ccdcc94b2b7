"""Splits as folders of images and list files: what formats with one label file per image share."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from seyolo.data.contents import ByImage, Listing
from seyolo.data.labels import ImageSize, Problem, Reading
from seyolo.data.text import read_lines
from seyolo.data.tree import Finder
from seyolo.errors import DataError, counted, shortened
from seyolo.media.folders import walk
from seyolo.media.images import is_picture

FITS = "; its end fits "
"""Start of what is said of a path whose end fits several files."""


@dataclass(frozen=True)
class Pictures(ByImage):
    """Class names, and the folders or list files of each split."""

    source: Path  # the file or folder that describes the data set
    names: tuple[str, ...]
    splits: Mapping[str, tuple[Path, ...]]
    roots: tuple[Path, ...]  # base folders of the paths in a list file, after the folder of the list itself
    layout: str
    finder: Finder = field(repr=False)

    def listed(self, split: str) -> Listing:
        """Lists the images of a split; raises DataError for a folder or list that is missing."""
        images: list[str] = []
        problems: list[Problem] = []
        for location in self.splits[split]:
            if os.path.isdir(location):
                images += images_in_folder(location)
            elif os.path.isfile(location):
                found, missing = _listed_in(location, self.roots, self.finder)
                images += found
                problems += missing
            else:
                reason = f"{shortened(str(location))} is no folder and no list file"
                advice = "put the images there, or remove the split from the file"
                raise DataError(f"{self.source}: split `{split}` is missing: {reason}; {advice}")
        return Listing(images, problems)

    def remarks(self) -> list[str]:
        """Returns what was found in another place than stated."""
        return self.finder.remarks()

    def has_label_file(self, image: str) -> bool:
        """Tells whether an image has a label file."""
        raise NotImplementedError

    def without_label_file(self, images: Sequence[str]) -> list[str]:
        """Returns the images without label file."""
        return [image for image in images if not self.has_label_file(image)]

    def without_labels(self, images: Mapping[str, Sequence[str]]) -> list[Problem]:
        """Returns a problem for each split of which no image has a label file."""
        return [
            Problem(str(self.source), 0, self._no_labels(split, paths))
            for split, paths in images.items()
            if paths and not any(map(self.has_label_file, paths))
        ]

    def _no_labels(self, split: str, paths: Sequence[str]) -> str:
        folders = dict.fromkeys(map(os.path.dirname, paths))
        places = list(dict.fromkeys((*self.sources(split, folders)[1:], *folders)))[-2:]
        said = f"split `{split}`: no label file for any of its {counted(len(paths), 'image')}"
        advice = "export again with labels, or put them there (empty files where nothing is)"
        return f"{said}, looked for in {' and '.join(places)}; {advice}"

    def sources(self, split: str, folders: Iterable[str]) -> list[str]:
        """Returns files and folders that the labels of a split come from."""
        raise NotImplementedError


class Unlabelled(Pictures):
    """Images without labels, all of a folder as the split `train`, for what needs none."""

    def read(self, split: str, image: Path, image_size: ImageSize) -> Reading:
        return Reading()

    def unmatched_labels(self, images: Mapping[str, Sequence[str]]) -> list[Problem]:
        return []

    def without_label_file(self, images: Sequence[str]) -> list[str]:
        return []

    def sources(self, split: str, folders: Iterable[str]) -> list[str]:
        return [str(self.source)]


def images_in_folder(folder: str | Path) -> Iterator[str]:
    """Yields the paths of all images in a folder and the folders below it, without hidden ones."""
    for parent, files in walk(folder):
        for file in files:
            if is_picture(file) and not file.startswith("."):
                yield os.path.join(parent, file)


def _listed_in(path: Path, roots: tuple[Path, ...], finder: Finder) -> tuple[list[str], list[Problem]]:
    """Returns the images of a list file, relative to its own folder or else to one of the roots."""
    folders = list(dict.fromkeys((path.parent, *roots)))
    found: list[str] = []
    problems = []
    for line, name in read_lines(path).items():
        image = finder.file(name, folders, path)
        if image is None:
            paths = dict.fromkeys(os.path.normpath(os.path.join(folder, name)) for folder in folders[:2])
            text = f"there is no image {' or '.join(map(shortened, paths))}"
            problems.append(Problem(str(path), line, text + _several(finder.ends(name))))
        else:
            found.append(image)
    return found, problems


def _several(paths: list[str]) -> str:
    return f"{FITS}{' and '.join(map(shortened, paths[:3]))}" if paths else ""


def names_file(folder: Path) -> Path | None:
    """Returns the file of class names in the folder of a data set, None without one."""
    files = (folder / name for name in ("labels.txt", "classes.txt"))
    return next((file for file in files if file.is_file()), None)


def mapped(path: str, under: re.Pattern[str], folder: str) -> str | None:
    """Returns a path with the last folder that `under` matches replaced; None where it matches none."""
    match = under.match(path)
    return None if match is None else f"{match[1]}{folder}{path[match.end() - 1 :]}"


def without_image(
    label_folder: str, ending: str, image_folder: Path, other: Iterable[str] = ()
) -> list[Problem]:
    """Returns a problem for each label file of a folder without an image of its name in another folder."""
    names = {file[: -len(ending)] for file in os.listdir(label_folder) if file.endswith(ending)}
    there = os.listdir(image_folder) if names and image_folder.is_dir() else ()
    names -= {os.path.splitext(file)[0] for file in there if is_picture(file)}
    return [
        Problem(os.path.join(label_folder, name + ending), 0, f"no image of this name in {image_folder}")
        for name in sorted(names.difference(other))
    ]
