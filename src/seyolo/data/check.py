"""Full check of a data set: reads every label, decodes every image and lists all problems.

Further problems are: an image in several splits, because figures on one then say little about the other; a
label file without image, because a renamed image silently becomes a negative; and an image of another size
than its labels state, because boxes in pixels then lie elsewhere.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from seyolo.data.datasets import Dataset, shared_line, shared_splits
from seyolo.data.labels import Problem, Reading
from seyolo.data.near_duplicates import (
    NO_SIGNATURE,
    Leak,
    Signed,
    leak_line,
    leaks,
    signature_of,
    stacked,
    with_training,
)
from seyolo.data.samples import size_problem
from seyolo.data.text import without_path
from seyolo.errors import DataError, counted
from seyolo.media.images import decode_image, is_image, read_encoded, unreadable
from seyolo.progress import Advance, Progress, Silent

_CHUNK = 64  # images that a thread decodes at a time
QUANTILES = (0.0, 0.1, 0.5, 0.9, 1.0)


@dataclass(frozen=True)
class SplitReport:
    """Figures of one split."""

    split: str
    num_pictures: int
    num_objects: int
    num_negatives: int
    num_clipped: int
    num_duplicates: int
    num_skipped: int
    num_ignored: int
    num_outlines: int
    num_unreadable: int
    objects_per_class: dict[str, int]
    box_side_px: dict[str, float]  # QUANTILES of the square root of the box area; empty without boxes

    def row(self) -> dict[str, object]:
        """Returns the figures flat, for a printed table."""
        row = {key: value for key, value in vars(self).items() if key != "box_side_px"}
        return row | {f"box_side_px_{key}": round(value, 1) for key, value in self.box_side_px.items()}


@dataclass(frozen=True, repr=False)
class Report:
    """Result of `check_dataset`; a data set is sound if there are no problems."""

    source: str
    names: tuple[str, ...]
    splits: tuple[SplitReport, ...]
    num_shared_pictures: int
    problems: tuple[Problem, ...]
    leaks: tuple[Leak, ...] = ()  # near-duplicates between splits, without equal files

    def __repr__(self) -> str:
        images = ", ".join(f"{split.split} {counted(split.num_pictures, 'image')}" for split in self.splits)
        return f"<Report: {self.source}; {images}; {counted(len(self.problems), 'problem')}>"

    def rows(self) -> list[dict[str, object]]:
        """Returns one flat row of figures per split, for a printed table."""
        return [split.row() for split in self.splits]

    def to_dict(self) -> dict[str, object]:
        """Returns the report as JSON types."""
        return {
            "source": self.source,
            "names": list(self.names),
            "splits": self.rows(),
            "num_shared_pictures": self.num_shared_pictures,
            "near_duplicates": [
                {**leak._asdict(), "pairs": [pair._asdict() for pair in leak.pairs]} for leak in self.leaks
            ],
            "problems": [problem._asdict() for problem in self.problems],
        }

    def warnings(self) -> list[str]:
        """Returns a line on the near-duplicates of training images, if other splits have any."""
        found = with_training(self.leaks)
        return [leak_line(found)] if found else []


class ImageFindings(NamedTuple):
    """Findings on one image."""

    digest: bytes  # empty if the image cannot be read
    size: tuple[int, int]  # (height, width), (0, 0) if it cannot be read
    problem: Problem | None
    signature: np.ndarray = NO_SIGNATURE


class SplitFindings(NamedTuple):
    """Findings on a split."""

    paths: list[str]
    images: list[ImageFindings]
    readings: list[Reading]

    def signed(self) -> Signed:
        """Returns the images with their signatures."""
        return Signed(self.paths, stacked([image.signature for image in self.images]))

    def box_sides_px(self) -> np.ndarray:
        """Returns the square roots of the areas of all boxes of images that can be read."""
        found = zip(self.images, self.readings, strict=True)
        pairs = [(image.size, reading.labels.boxes_cxcywh) for image, reading in found if image.digest]
        areas = np.repeat(
            [height * width for (height, width), _ in pairs], [len(boxes) for _, boxes in pairs]
        )
        boxes = np.concatenate([np.empty((0, 4)), *(boxes for _, boxes in pairs)])
        return np.asarray(np.sqrt(boxes[:, 2] * boxes[:, 3] * areas), np.float64)

    def num_negatives(self) -> int:
        """Returns the number of images with neither objects nor ignored regions, and no invalid row."""
        return sum(
            not len(labels.class_ids) + len(labels.ignored) + len(problems)
            for labels, problems, _ in self.readings
        )


def check_dataset(dataset: Dataset, progress: Progress | None = None) -> Report:
    """Reads every label and decodes every image of a data set; the report lists all problems."""
    return report_of(dataset, *findings_of(dataset, progress))


def findings_of(
    dataset: Dataset, progress: Progress | None = None
) -> tuple[dict[str, SplitFindings], list[Problem]]:
    """Returns the findings on each split, and the problems of finding its images."""
    problems: list[Problem] = []
    checked: dict[str, SplitFindings] = {}
    for name in dataset.splits:
        paths: list[str] = []
        try:
            listing = dataset.listed(name)
            problems += listing.problems
            if not listing.problems and not listing.foreign:
                dataset.images(name)  # says where there is none
            paths = [*listing.images, *listing.foreign]
        except DataError as error:
            problems.append(Problem(str(dataset.source), 0, str(error)))
        readings = list(dataset.contents.readings(name, paths))
        with (progress or Silent()).task(f"reading {name}", len(paths)) as advance:
            images = _images(paths, readings, advance)
        checked[name] = SplitFindings(paths, images, readings)
    return checked, problems


def report_of(dataset: Dataset, checked: Mapping[str, SplitFindings], problems: list[Problem]) -> Report:
    """Returns the report of what was found."""
    if (none := dataset.without_image()) is not None:
        problems = [none]
    shared = shared_images(checked)
    found = [pair for split in checked.values() for pair in zip(split.images, split.readings, strict=True)]
    problems = problems + list(
        dict.fromkeys(
            problem for image, reading in found for problem in (image.problem, *reading.problems) if problem
        )
    )
    problems += dataset.contents.unmatched_labels({name: split.paths for name, split in checked.items()})
    splits = tuple(_split_report(name, split, dataset.names) for name, split in checked.items())
    problems += _sharing(shared, checked, dataset.source)
    return Report(
        str(dataset.source), dataset.names, splits, len(shared), tuple(problems), tuple(_leaks(checked))
    )


def _leaks(checked: Mapping[str, SplitFindings]) -> Iterator[Leak]:
    """Yields the near-duplicates between splits that are not the same file, which is a problem."""
    digests = {
        path: image.digest
        for split in checked.values()
        for path, image in zip(split.paths, split.images, strict=True)
    }
    for leak in leaks({name: split.signed() for name, split in checked.items()}):
        pairs = [pair for pair in leak.pairs if digests[pair.image] != digests[pair.other]]
        if pairs:
            yield leak._replace(pairs=pairs)


def _images(paths: Sequence[str], readings: Sequence[Reading], advance: Advance) -> list[ImageFindings]:
    """Decodes images, many at a time: a thread for each alone would wait for Python's lock."""
    stated = [reading.stated_size for reading in readings]

    def check(start: int) -> list[ImageFindings]:
        part = slice(start, start + _CHUNK)
        return list(map(_check_image, paths[part], stated[part]))

    found: list[ImageFindings] = []
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for part in pool.map(check, range(0, len(paths), _CHUNK)):
            found += part
            advance(len(part), "")
    return found


def _check_image(path: str, stated_size: tuple[int, int] | None) -> ImageFindings:
    try:
        if not is_image(path):
            raise DataError(unreadable([path]))
        data = read_encoded(path)
        height, width = decode_image(data, path).shape[:2]
    except DataError as error:
        return ImageFindings(b"", (0, 0), Problem(path, 0, without_path(error, Path(path))))
    text = size_problem(Path(path), (height, width), stated_size)
    problem = Problem(path, 0, text) if text else None
    digest = hashlib.blake2b(data, digest_size=16).digest()
    return ImageFindings(digest, (height, width), problem, signature_of(path, data))


def shared_images(splits: Mapping[str, SplitFindings]) -> dict[bytes, dict[str, str]]:
    """Returns the first path in each split of the image contents that are in several."""
    firsts: dict[bytes, dict[str, str]] = {}
    for name, split in splits.items():
        for image, path in zip(split.images, split.paths, strict=True):
            if image.digest:
                firsts.setdefault(image.digest, {}).setdefault(name, path)
    return {digest: paths for digest, paths in firsts.items() if len(paths) > 1}


def _sharing(
    shared: Mapping[bytes, Mapping[str, str]], splits: Mapping[str, SplitFindings], source: Path
) -> list[Problem]:
    """Returns a problem for each split that another one contains, and for each other shared image."""
    contents = {
        name: {image.digest for image in split.images if image.digest} for name, split in splits.items()
    }
    inside = [found for found in shared_splits(contents) if found[2] > 1]
    problems = [Problem(str(source), 0, shared_line(*found)) for found in inside]
    for paths in shared.values():
        left = paths.keys() - {name for name, other, _ in inside if other in paths}
        if len(left) > 1:
            places = " and in ".join(f"{name} ({path})" for name, path in paths.items())
            problems.append(Problem(next(iter(paths.values())), 0, f"the same image is in {places}"))
    return problems


def _split_report(name: str, split: SplitFindings, names: tuple[str, ...]) -> SplitReport:
    found = [reading.labels for reading in split.readings]
    class_ids = np.concatenate([np.empty(0, np.int64), *(labels.class_ids for labels in found)])
    counts = np.bincount(class_ids, minlength=len(names)).tolist()
    sides_px = split.box_sides_px()
    return SplitReport(
        split=name,
        num_pictures=len(split.paths),
        num_objects=len(class_ids),
        num_negatives=split.num_negatives(),
        num_clipped=sum(labels.num_clipped for labels in found),
        num_duplicates=sum(labels.num_duplicates for labels in found),
        num_skipped=sum(labels.num_skipped for labels in found),
        num_ignored=sum(len(labels.ignored) for labels in found),
        num_outlines=sum(labels.num_outlines for labels in found),
        num_unreadable=sum(not image.digest for image in split.images),
        objects_per_class=dict(zip(names, counts, strict=True)),
        box_side_px={f"p{q * 100:.0f}": float(np.quantile(sides_px, q)) for q in QUANTILES if len(sides_px)},
    )
