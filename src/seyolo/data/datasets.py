"""Data sets in any layout: classes, splits, images and labels.

A format is a module in `formats` with a class that has the members of `Contents`; FORMATS lists those given
by a file, `layouts` recognises those given by a folder. Loading a data set opens no images as a rule.
"""

from __future__ import annotations

import logging
import os
import warnings
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import NamedTuple, Self

from seyolo.data.contents import Contents, Listing
from seyolo.data.formats.coco import read_coco
from seyolo.data.formats.darknet_data import read_darknet_data
from seyolo.data.formats.data_yaml import read_data_yaml
from seyolo.data.formats.foreign import foreign, without_images
from seyolo.data.formats.pictures import FITS
from seyolo.data.index import LEAST_IMAGES, Index
from seyolo.data.labels import Problem, Reading
from seyolo.data.layouts import read_named, recognised
from seyolo.data.samples import Sample, Samples
from seyolo.data.unpacking import is_archive, unpacked
from seyolo.errors import DataError, counted, shortened
from seyolo.media.images import image_size, is_image, unreadable
from seyolo.tiling.grid import Tiling

_LOGGER = logging.getLogger(__name__)


class Format(NamedTuple):
    """A format of data sets that are given by a file."""

    endings: tuple[str, ...]
    read: Callable[[Path], Contents]


FORMATS = (
    Format((".yaml", ".yml"), read_data_yaml),
    Format((".data",), read_darknet_data),
    Format((".json",), read_coco),
    Format((".txt", ".names", ".labels"), read_named),
)
GIVEN = (
    "a data.yaml, a Darknet .data, a COCO .json or a VOC folder, or the folder or archive of another export"
)


@dataclass(frozen=True, repr=False)
class Dataset:
    """A data set in any layout."""

    names: tuple[str, ...]
    splits: Mapping[str, tuple[Path, ...]]  # folders or files
    source: Path  # as loaded
    contents: Contents
    described_by: Path | None = None  # the file or folder that was recognised; by default the source
    archive_note: str = ""
    tiling: Tiling | None = None  # the way in which training and evaluation cut the images
    _listings: dict[str, Listing] = field(default_factory=dict, repr=False)
    _samples: dict[str, Samples] = field(default_factory=dict, repr=False)
    outlines_said: frozenset[str] = frozenset()  # splits whose outlines were counted before
    training_tiles: list[Sample] = field(default_factory=list, repr=False)  # of `train`, once they were cut

    def __repr__(self) -> str:
        splits, classes = ", ".join(self.splits), counted(len(self.names), "class")
        return f"<Dataset: {self.source}, {self.contents.layout}; {splits}; {classes}>"

    def tiled(self, tiling: Tiling | None) -> Self:
        """Returns the data set cut in this way by training and evaluation; None does not cut."""
        return replace(self, tiling=tiling, training_tiles=[])

    @property
    def layout(self) -> str:
        """Format of the data set, the tool that exports it so, and the file that describes it."""
        path = self.described_by or self.source
        return f"{self.contents.layout}, {path.name or path}"

    @property
    def remarks(self) -> tuple[str, ...]:
        """Sentences on how the files were read so far, such as paths found elsewhere."""
        own = [self.archive_note] if self.archive_note else []
        return (*own, *self.contents.remarks())

    def described(self, splits: Iterable[str] | None = None) -> list[str]:
        """Returns the layout with the number of images of each split, or of these, and the remarks."""
        counts = []
        for name in self.splits if splits is None else splits:
            try:
                counts.append(f"{name} {counted(len(self.listed(name).images), 'image')}")
            except DataError:  # said where the split is used
                counts.append(f"{name} missing")
        images = f"; {', '.join(counts)}" if counts else ""
        return [f"data: {self.layout}{images}", *self.remarks]

    def introduction(self, splits: Iterable[str] | None = None) -> list[str]:
        """Returns what a verb says before it reads the data set: `described`, then `cautions`."""
        return [*self.described(splits), *self.cautions(splits)]

    def cautions(self, splits: Iterable[str] | None = None) -> list[str]:
        """Returns lines on labels and images that do not find each other, and on images in several splits.

        The last is that of `unlabelled`. Where only reading a split lists its images, other splits than these
        are left out.
        """
        all_listed = splits is None or not self.contents.lists_by_reading
        names = [name for name in self.splits if all_listed or name in set(splits or ())]
        images = {name: self._listing(name).images for name in names}
        problems = self.contents.unmatched_labels(images)
        lines = [f"{self.source}: {shared_line(*found)}" for found in shared_splits(images)]
        if problems:
            others = f" ({counted(len(problems) - 1, 'more problem')}; `seyolo data check` lists all)"
            lines.insert(0, f"{problems[0]}{others if len(problems) > 1 else ''}")
        return [*(f"warning: {line}" for line in lines), *self.unlabelled(splits)]

    def unlabelled(self, splits: Iterable[str] | None = None) -> list[str]:
        """Returns a line on images without label file among labelled ones, in all splits or in these."""
        names = self.splits if splits is None else set(splits)
        images = {name: self._listing(name).images for name in self.splits if name in names}
        bare = {name: self.contents.without_label_file(found) for name, found in images.items()}
        some = {name: found for name, found in bare.items() if 0 < len(found) < len(images[name])}
        if not some:
            return []
        counts = [
            f"{len(found):,} of {counted(len(images[name]), 'image')} of {name}"
            for name, found in some.items()
        ]
        first = next(iter(some.values()))[0]
        total = sum(map(len, some.values()))
        one, more = "has no label file and counts as an image", "have no label file and count as images"
        said = f"{' and '.join(counts)} {one if total == 1 else more} without objects"
        way = f"the first is {shortened(first)}; label them, or move them away if that is not meant"
        return [f"warning: {self.source}: {said}, {way}"]

    def split(self, name: str) -> Samples:
        """Returns the samples of a split sorted by path, which are read once.

        Raises DataError for an unknown, missing or empty split and for an invalid label.
        """
        if name not in self._samples:
            listing = self._complete(name)
            num_foreign = len(listing.foreign)
            if num_foreign:
                total = counted(len(listing.images) + num_foreign, "image")
                count = f"{num_foreign:,} of {total} of split `{name}`"
                warnings.warn(f"{self.source}: {count} {unreadable(listing.foreign)}", stacklevel=2)
            self._samples[name] = self._read(name, listing.images)
            num_outlines = int(self._samples[name].arrays["outlines"].sum())
            if num_outlines and name not in self.outlines_said:
                said = "%s: outlines, read as the boxes around them, among the labels of split `%s`: %s"
                _LOGGER.info(said, self.source, name, f"{num_outlines:,}")
        return self._samples[name].tiled(self.tiling)

    def _read(self, name: str, images: list[str]) -> Samples:
        folders = dict.fromkeys(map(os.path.dirname, images))
        is_large = len(images) >= LEAST_IMAGES
        files = self.contents.sources(name, folders)
        index = Index(self.source, name, images, files, self.names) if is_large else None
        samples = index.read() if index is not None else None
        if samples is None:
            samples = Samples.of(images, map(_sound, self.contents.readings(name, images)))
            if index is not None:
                index.write(samples)
        return samples

    def images(self, name: str) -> list[Path]:
        """Returns the images of a split sorted by path, each once; raises DataError as `split`."""
        return [Path(image) for image in self._complete(name).images]

    def _complete(self, name: str) -> Listing:
        """Lists the images of a split; raises DataError where one is missing, or where there is none."""
        listing = self.listed(name)
        if listing.problems:
            first, others = str(listing.problems[0]), len(listing.problems) - 1
            if (none := self.without_image()) is not None:
                raise DataError(str(none))
            several = f" ({others:,} more are missing; `seyolo data check` lists all)" if others else ""
            raise DataError(listing.summary or first + several)
        if not listing.images and listing.foreign:
            raise DataError(f"{self.source}: all images of split `{name}` {unreadable(listing.foreign)}")
        if not listing.images:
            paths = ", ".join(map(str, self.splits[name]))
            raise DataError(f"{self.source}: split `{name}` has no images; put some into {paths}")
        return listing

    def without_image(self) -> Problem | None:
        """Returns a problem where labels name images and none of them is there."""
        found = [self._listing(name) for name in self.splits]
        missing = [problem for listing in found for problem in listing.problems]
        are_some_there = any(listing.images or listing.foreign for listing in found)
        if len(missing) < 2 or are_some_there or any(FITS in problem.text for problem in missing):
            return None
        first = missing[0].text.removeprefix("there is no image ")
        looked = "".join(found[0].summary.partition("; looked in ")[1:])
        said = f"none of the {counted(len(missing), 'image')} is there, the first is {first}{looked}"
        return Problem(missing[0].file, missing[0].line, f"{said}; {without_images(self.layout)}")

    def _listing(self, name: str) -> Listing:
        with suppress(DataError):  # said where the split is used
            return self.listed(name)
        return Listing([], [])

    def listed(self, name: str) -> Listing:
        """Lists the images of a split sorted by path, each once, and those that are missing or foreign.

        Raises DataError for a split that is unknown or missing as a whole.
        """
        if name not in self.splits:
            known = shortened(", ".join(self.splits))
            raise DataError(f"{self.source}: no split `{name}`; there are {known}")
        if name not in self._listings:
            found = self.contents.listed(name)
            listed = set(found.images)
            readable = sorted(filter(is_image, listed))
            foreign = sorted(listed.difference(readable))
            self._listings[name] = found._replace(images=readable, foreign=foreign)
        return self._listings[name]

    def sample(self, split: str, image: Path) -> Sample:
        """Returns one of the images of a split with its labels; raises DataError for an invalid label."""
        reading = _sound(self.contents.read(split, image, partial(image_size, image)))
        return Samples.of([str(image)], [reading])[0]


def shared_splits(contents: Mapping[str, Iterable[Hashable]]) -> Iterator[tuple[str, str, int]]:
    """Yields splits whose images are all in another split, with that one and their number.

    Args:
        contents: what identifies the images of each split.
    """
    sets = {name: set(found) for name, found in contents.items()}
    names = sorted(sets, key=lambda name: name != "train")
    for position, name in enumerate(names):
        larger = (other for other in names[position + 1 :] if len(sets[other]) > len(sets[name]))
        others = (other for other in (*names[:position], *larger) if sets[name] <= sets[other])
        if sets[name] and (other := next(others, None)) is not None:
            yield name, other, len(sets[name])


def shared_line(name: str, other: str, num_images: int) -> str:
    """Says that all images of a split are in another one."""
    every = "the only image" if num_images == 1 else f"all {num_images:,} images"
    said = "AP on it is AP on training images" if other == "train" else "its figures tell nothing more"
    way = "`seyolo data split DATA OUT` divides them"
    return f"{every} of split `{name}` {'is' if num_images == 1 else 'are'} in `{other}`, too: {said}; {way}"


def _sound(reading: Reading) -> Reading:
    if reading.problems:
        raise DataError(f"{reading.problems[0]}; `seyolo data check` lists all problems")
    return reading


def load_dataset(path: str | Path) -> Dataset:
    """Loads a data set from a folder, an archive, or the file that describes it.

    Raises DataError when the path is missing, of another kind, invalid, or fits several layouts.

    Example:
        >>> seyolo.api.load_dataset("hands/data.yaml").names
        ('hand',)
    """
    return _loaded(Path(path), or_images=False)


def load_images(path: str | Path) -> Dataset:
    """Loads a data set as `load_dataset`; a folder of images alone is its split `train`, without labels."""
    return _loaded(Path(path), or_images=True)


def _loaded(source: Path, *, or_images: bool) -> Dataset:
    folder, note = source, ""
    if is_archive(source) and not source.is_dir():
        folder = unpacked(source)
        note = f"{source}: read from its unpacked copy in {folder}"
    if folder.is_dir():
        found = recognised(folder, source, or_images=or_images)
        contents = found.read()
        described_by = source if found.path == folder else found.path  # not the name of a folder of the cache
        return Dataset(contents.names, contents.splits, source, contents, described_by, note)
    for candidate in FORMATS:
        if source.suffix.lower() in candidate.endings:
            contents = candidate.read(source)
            return Dataset(contents.names, contents.splits, source, contents)
    if source.is_file() and (other := foreign([source])) is not None:
        raise DataError(other)
    problem = "not a data set by its name" if source.exists() else "no such file or folder"
    raise DataError(f"{source}: {problem}; give {GIVEN}")


def evaluated_splits(dataset: Dataset, split: str | None) -> list[str]:
    """Returns the splits that a model is evaluated on: the one asked for, else all but `train`, if any."""
    if split is not None:
        return [split]
    return [name for name in dataset.splits if name != "train"] or ["train"]
