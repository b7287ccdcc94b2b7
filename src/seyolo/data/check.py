"""Full check of a data set: reads every label, decodes every image and lists all problems.

Further problems are: an image in several splits, because figures on one then say little about the other; a
label file without image, because a renamed image silently becomes a negative; and an image of another size
than its labels state, because boxes in pixels then lie elsewhere.
"""

from __future__ import annotations

import hashlib
import os
from collections import defaultdict
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np

from seyolo.data.datasets import Dataset, size_problem
from seyolo.data.labels import Labels, Problem
from seyolo.data.text import without_path
from seyolo.errors import DataError
from seyolo.media.images import decode_image, image_size, is_image, read_encoded, unreadable

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


@dataclass(frozen=True)
class Report:
    """Result of `check_dataset`; a data set is sound if there are no problems."""

    source: str
    names: tuple[str, ...]
    splits: tuple[SplitReport, ...]
    num_shared_pictures: int
    problems: tuple[Problem, ...]

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
            "problems": [problem._asdict() for problem in self.problems],
        }


class _Image(NamedTuple):
    """Findings on one image."""

    path: Path
    digest: bytes  # empty if the image cannot be read
    size: tuple[int, int]  # (height, width), (0, 0) if it cannot be read
    labels: Labels
    problems: list[Problem]
    label_problems: Sequence[Problem]

    @property
    def is_negative(self) -> bool:
        """The image has neither objects nor ignored regions, and no invalid row."""
        return not len(self.labels.class_ids) + len(self.labels.ignored) + len(self.label_problems)

    def box_sides_px(self) -> np.ndarray:
        """Returns the square roots of the box areas; empty if the image could not be read."""
        height, width = self.size
        sides_px = np.sqrt(self.labels.boxes_cxcywh[:, 2:].prod(axis=1) * height * width)
        return np.asarray(sides_px[: len(sides_px) if self.digest else 0], np.float64)


def check_dataset(dataset: Dataset) -> Report:
    """Reads every label and decodes every image of a data set; the report lists all problems."""
    problems: list[Problem] = []
    checked: dict[str, list[_Image]] = {}
    for name in dataset.splits:
        images: list[Path] = []
        try:
            listing = dataset.listed(name)
            problems += listing.problems
            if not listing.problems and not listing.foreign:
                dataset.images(name)  # says where there is none
            images = [Path(image) for image in (*listing.images, *listing.foreign)]
        except DataError as error:
            problems.append(Problem(str(dataset.source), 0, str(error)))
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            checked[name] = list(pool.map(partial(_check_image, dataset, name), images))
    found = [image for split in checked.values() for image in split]
    shared = _shared_images(checked)
    problems += dict.fromkeys(p for image in found for p in (*image.problems, *image.label_problems))
    problems += dataset.contents.unmatched_labels(image.path for image in found)
    splits = tuple(_split_report(name, split, dataset.names) for name, split in checked.items())
    return Report(str(dataset.source), dataset.names, splits, len(shared), (*problems, *shared))


def _check_image(dataset: Dataset, split: str, image: Path) -> _Image:
    digest, size, problems = b"", (0, 0), []
    try:
        if not is_image(image):
            raise DataError(unreadable([str(image)]))
        data = read_encoded(image)
        height, width = decode_image(data, image).shape[:2]
        digest, size = hashlib.blake2b(data, digest_size=16).digest(), (height, width)
    except DataError as error:
        problems.append(Problem(str(image), 0, without_path(error, image)))
    reading = dataset.contents.read(split, image, lambda: size if any(size) else image_size(image))
    if digest and (text := size_problem(image, size, reading.stated_size)):
        problems.append(Problem(str(image), 0, text))
    return _Image(image, digest, size, reading.labels, problems, reading.problems)


def _shared_images(images: dict[str, list[_Image]]) -> list[Problem]:
    """Returns one problem per image content that is in more than one split."""
    paths_by_digest: dict[bytes, dict[str, Path]] = defaultdict(dict)
    for name, split in images.items():
        for image in split:
            if image.digest:
                paths_by_digest[image.digest].setdefault(name, image.path)
    problems = []
    for paths in paths_by_digest.values():
        if len(paths) > 1:
            splits = " and in ".join(f"{name} ({path})" for name, path in paths.items())
            problems.append(Problem(str(next(iter(paths.values()))), 0, f"the same image is in {splits}"))
    return problems


def _split_report(name: str, images: Sequence[_Image], names: tuple[str, ...]) -> SplitReport:
    class_ids = np.concatenate([np.empty(0, np.int64), *(image.labels.class_ids for image in images)])
    counts = np.bincount(class_ids, minlength=len(names)).tolist()
    sides_px = np.concatenate([np.empty(0), *(image.box_sides_px() for image in images)])
    return SplitReport(
        split=name,
        num_pictures=len(images),
        num_objects=len(class_ids),
        num_negatives=sum(image.is_negative for image in images),
        num_clipped=sum(image.labels.num_clipped for image in images),
        num_duplicates=sum(image.labels.num_duplicates for image in images),
        num_skipped=sum(image.labels.num_skipped for image in images),
        num_ignored=sum(len(image.labels.ignored) for image in images),
        num_outlines=sum(image.labels.num_outlines for image in images),
        num_unreadable=sum(not image.digest for image in images),
        objects_per_class=dict(zip(names, counts, strict=True)),
        box_side_px={f"p{q * 100:.0f}": float(np.quantile(sides_px, q)) for q in QUANTILES if len(sides_px)},
    )
