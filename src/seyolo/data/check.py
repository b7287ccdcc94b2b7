"""A full look at a data set: every label row read, every picture decoded, all problems listed at once.

Notable: the same picture in several splits counts as a problem, since figures on the one then say little
about the other; so does a label file whose picture is gone, since a renamed picture silently turns
into a negative; and so does a picture of another size than its labels state, since boxes in pixels then lie
elsewhere on it.
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

import numpy as np

from seyolo.data.datasets import Dataset
from seyolo.data.labels import Labels, Problem
from seyolo.errors import DataError
from seyolo.media.images import decode_picture, picture_size

QUANTILES = (0.0, 0.1, 0.5, 0.9, 1.0)


@dataclass(frozen=True)
class SplitReport:
    """The figures of one split.

    `box_side_px` holds the quantiles (see QUANTILES) of the square root of the box area in picture pixels,
    nothing when there is no box.
    """

    split: str
    num_pictures: int
    num_objects: int
    num_negatives: int
    num_clipped: int
    num_duplicates: int
    num_skipped: int
    num_unreadable: int
    objects_per_class: dict[str, int]
    box_side_px: dict[str, float]


@dataclass(frozen=True)
class Report:
    """What `check_dataset` found; the data set is sound when there are no problems."""

    source: str
    names: tuple[str, ...]
    splits: tuple[SplitReport, ...]
    num_shared_pictures: int
    problems: tuple[Problem, ...]

    def rows(self) -> list[dict[str, object]]:
        """One flat row of figures per split, for a printed table."""
        return [_row(split) for split in self.splits]

    def to_dict(self) -> dict[str, object]:
        """The report as JSON types."""
        return {
            "source": self.source,
            "names": list(self.names),
            "splits": self.rows(),
            "num_shared_pictures": self.num_shared_pictures,
            "problems": [problem._asdict() for problem in self.problems],
        }


@dataclass(frozen=True, eq=False)
class _Picture:
    """What was found about one picture; `digest` is empty and `size` (0, 0) when it cannot be read."""

    path: Path
    digest: bytes
    size: tuple[int, int]
    labels: Labels
    problems: list[Problem]
    label_problems: list[Problem]


def check_dataset(dataset: Dataset) -> Report:
    """Reads every label and decodes every picture of a data set.

    Raises nothing for what is wrong with labels and pictures: the report lists it.
    """
    problems: list[Problem] = []
    pictures: dict[str, list[_Picture]] = {}
    for name in dataset.splits:
        try:
            images = dataset.images(name)
        except DataError as error:
            problems.append(Problem(str(dataset.source), 0, str(error)))
            images = []
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            pictures[name] = list(pool.map(partial(_check_picture, dataset, name), images))
    found = [picture for split in pictures.values() for picture in split]
    shared = _shared_pictures(pictures)
    problems += dict.fromkeys(
        problem for picture in found for problem in (*picture.problems, *picture.label_problems)
    )
    problems += dataset.contents.strays(picture.path for picture in found)
    splits = tuple(_split_report(name, split, dataset.names) for name, split in pictures.items())
    return Report(str(dataset.source), dataset.names, splits, len(shared), (*problems, *shared))


def _check_picture(dataset: Dataset, split: str, image: Path) -> _Picture:
    digest, size, problems = b"", (0, 0), []
    try:
        data = image.read_bytes()
        height, width = decode_picture(data, image).shape[:2]
        digest, size = hashlib.blake2b(data, digest_size=16).digest(), (height, width)
    except OSError as error:
        problems.append(Problem(str(image), 0, f"cannot be read ({error.strerror})"))
    except DataError as error:
        problems.append(Problem(str(image), 0, _without_file(error, image)))
    reading = dataset.contents.read(split, image, lambda: size if any(size) else picture_size(image))
    if digest and reading.stated_size not in (None, size):
        height, width = reading.stated_size or size
        text = f"is {size[1]}x{size[0]} pixels, its labels are for {width}x{height}"
        problems.append(Problem(str(image), 0, text))
    return _Picture(image, digest, size, reading.labels, problems, reading.problems)


def _without_file(error: DataError, path: Path) -> str:
    return str(error).removeprefix(f"{path}: ")


def _shared_pictures(pictures: dict[str, list[_Picture]]) -> list[Problem]:
    """One problem per content that lies in more than one split."""
    places: dict[bytes, dict[str, Path]] = defaultdict(dict)
    for name, split in pictures.items():
        for picture in split:
            if picture.digest:
                places[picture.digest].setdefault(name, picture.path)
    return [
        Problem(str(next(iter(place.values()))), 0, f"the same picture is in {_list_places(place)}")
        for place in places.values()
        if len(place) > 1
    ]


def _list_places(place: dict[str, Path]) -> str:
    return " and in ".join(f"{name} ({path})" for name, path in place.items())


def _split_report(name: str, pictures: Sequence[_Picture], names: tuple[str, ...]) -> SplitReport:
    class_ids = np.concatenate([np.empty(0, np.int64), *(picture.labels.class_ids for picture in pictures)])
    counts = np.bincount(class_ids, minlength=len(names)).tolist()
    return SplitReport(
        split=name,
        num_pictures=len(pictures),
        num_objects=len(class_ids),
        num_negatives=sum(map(_is_negative, pictures)),
        num_clipped=sum(picture.labels.num_clipped for picture in pictures),
        num_duplicates=sum(picture.labels.num_duplicates for picture in pictures),
        num_skipped=sum(picture.labels.num_skipped for picture in pictures),
        num_unreadable=sum(not picture.digest for picture in pictures),
        objects_per_class=dict(zip(names, counts, strict=True)),
        box_side_px=_quantiles(np.concatenate([np.empty(0), *map(_box_sides_px, pictures)])),
    )


def _is_negative(picture: _Picture) -> bool:
    """Tells a picture without objects from one whose rows are all bad."""
    return not len(picture.labels.class_ids) and not picture.label_problems


def _quantiles(values: np.ndarray) -> dict[str, float]:
    if not len(values):
        return {}
    return {f"p{quantile * 100:.0f}": float(np.quantile(values, quantile)) for quantile in QUANTILES}


def _box_sides_px(picture: _Picture) -> np.ndarray:
    """Square roots of the box areas; nothing where the picture could not be read."""
    height, width = picture.size
    sides_px = np.sqrt(picture.labels.boxes_cxcywh[:, 2:].prod(axis=1) * height * width)
    return np.asarray(sides_px[: len(sides_px) if picture.digest else 0], np.float64)


def _row(split: SplitReport) -> dict[str, object]:
    row = {key: value for key, value in vars(split).items() if key != "box_side_px"}
    return row | {f"box_side_px_{key}": round(value, 1) for key, value in split.box_side_px.items()}
