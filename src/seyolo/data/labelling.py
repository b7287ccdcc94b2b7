"""Labels by a model, to be corrected: a data set of its detections, the most doubtful images listed first.

The doubt of a detection is 1 at the confidence threshold, and falls to 0 at the scores 0 and 1. That of an
image is the sum over its detections; without any box it is at least 1: an object may have been missed. Images
may be added to a folder of earlier rounds, see `rounds.py`.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int64, UInt8

from seyolo.boxes import xyxy_to_cxcywh
from seyolo.data.convert import IMAGE_FOLDERS, Converted, Target, check_format, image_names, write_splits
from seyolo.data.labels import Labels, Reading
from seyolo.data.rounds import NOTHING, REVIEW_FILE, SPLIT, Earlier, add_round, keep_review
from seyolo.data.samples import Samples
from seyolo.data.writing import output_folder
from seyolo.detections import Detections
from seyolo.detector import Detector
from seyolo.errors import DataError
from seyolo.media.ahead import mapped_ahead
from seyolo.media.images import read_image
from seyolo.progress import Progress

LEAST_SCORE = 0.05
"""Detections below this score say nothing about an image."""
NOWHERE: Mapping[Path, str] = MappingProxyType({})
_READERS = 2


class Labelled(NamedTuple):
    """Counts of the labels that were written, and the images that were left out."""

    counts: Converted
    num_empty: int  # images without a box
    unreadable: list[str]  # a message for each image that was left out
    num_in_all: int  # images of all rounds in the folder
    num_kept: int = 0  # images left out because they have labels already
    num_beside: int = 0  # of these, images with a label file of their own, which are not in the folder


class _Image(NamedTuple):
    """An image with its detections, or why it cannot be read."""

    path: str
    reading: Reading
    scores: Float[np.ndarray, " n"]
    doubt: float
    error: str = ""


def label_images(
    detector: Detector,
    images: Sequence[Path],
    out: Path,
    to: Target,
    progress: Progress,
    *,
    earlier: Earlier = NOTHING,
    there: Mapping[Path, str] = NOWHERE,
) -> Labelled:
    """Writes a data set of images with the detections of a model as labels into the folder `out`.

    Args:
        detector: its confidence threshold chooses the detections that become labels.
        images: they are linked, or copied where the system makes no links; those that
            cannot be read are left out.
        out: a folder that does not exist yet, or that of earlier rounds, to which images are added.
        to: the format.
        progress: receives the images done.
        earlier: what the folder holds.
        there: path in the folder by image, of those whose labels are written again.

    Raises:
        DataError: `out` is another folder that is not empty, it lacks a class, or no image can be read.
    """
    check_format(to)
    if not earlier.names:
        with output_folder(out) as folder:
            found = _Round.of(detector, images, progress)
            counts = _write_new(found.labelled, detector.names, folder, to)
        return Labelled(counts, found.num_empty(), found.unreadable, counts.num_images)
    order = np.array(earlier.order_of(detector.names, out), np.int64)
    found = _Round.of(detector, images, progress)
    samples = _samples(found.labelled, order)
    places = add_round(samples, there, out)
    keep_review(out)
    _write_review(out / REVIEW_FILE, found.labelled, places)
    counts = Converted(SPLIT, len(samples), len(samples.arrays["class_ids"]), 0, 0)
    num_new = sum(sample.image not in there for sample in samples)
    return Labelled(counts, found.num_empty(), found.unreadable, len(earlier.images) + num_new)


def _write_new(images: Sequence[_Image], names: tuple[str, ...], folder: Path, to: Target) -> Converted:
    """Writes the images of a first round; returns its counts."""
    samples = _samples(images)
    (counts,) = write_splits({SPLIT: samples}, names, folder, to)
    place = IMAGE_FOLDERS[to].format(SPLIT)
    _write_review(folder / REVIEW_FILE, images, [f"{place}/{name}" for name in image_names(samples)])
    if to == "yolo":  # LabelImg looks for the names there
        lines = "".join(f"{name}\n" for name in names)
        (folder / "labels" / SPLIT / "classes.txt").write_text(lines, encoding="utf-8")
    return counts


class _Round(NamedTuple):
    """The images of a round that can be read, and a message for each other."""

    labelled: list[_Image]
    unreadable: list[str]

    @classmethod
    def of(cls, detector: Detector, images: Sequence[Path], progress: Progress) -> _Round:
        """Returns the images with detections; raises DataError where none can be read."""
        found = []
        with progress.task("labelling", len(images)) as advance:
            for image in _detected(detector, images):
                found.append(image)
                advance(1, Path(image.path).name)
        unreadable = [image.error for image in found if image.error]
        if len(unreadable) == len(found):
            raise DataError(f"none of the images can be read; the first: {unreadable[0]}")
        return cls([image for image in found if not image.error], unreadable)

    def num_empty(self) -> int:
        """Returns the number of images without a box."""
        return sum(not len(image.scores) for image in self.labelled)


def _detected(detector: Detector, images: Sequence[Path]) -> Iterator[_Image]:
    """Yields the images with their detections, in order; `detector` keeps its threshold."""
    threshold = detector.confidence
    detector.confidence = min(threshold, LEAST_SCORE)
    try:
        with closing(mapped_ahead(_read, images, _READERS)) as ahead:
            for path, image, error in ahead:
                if image is None:
                    yield _Image(str(path), Reading(), np.empty(0), 0.0, error)
                else:
                    yield _labelled(path, detector.detect(image), image.shape[:2], threshold)
    finally:
        detector.confidence = threshold


def _read(path: Path) -> tuple[Path, UInt8[np.ndarray, "H W 3"] | None, str]:
    try:
        return path, read_image(path), ""
    except DataError as error:
        return path, None, str(error)


def _labelled(path: Path, found: Detections, size: tuple[int, ...], threshold: float) -> _Image:
    height, width = size
    kept = found.filter(threshold)
    boxes = xyxy_to_cxcywh(kept.boxes.astype(np.float64)) / np.array([width, height] * 2)
    labels = Labels(np.asarray(boxes, np.float32), kept.class_ids)
    doubt = doubt_of(found.scores, threshold)
    return _Image(str(path), Reading(labels, (), (height, width)), kept.scores, doubt)


def _samples(images: Sequence[_Image], order: Int64[np.ndarray, " C"] | None = None) -> Samples:
    """Returns the images with their labels, the class ids as `order` gives them."""
    readings = [image.reading for image in images]
    if order is not None:
        labels = [replace(found.labels, class_ids=order[found.labels.class_ids]) for found in readings]
        readings = [found._replace(labels=own) for found, own in zip(readings, labels, strict=True)]
    return Samples.of([image.path for image in images], readings)


def doubt_of(scores: Float[np.ndarray, " n"], threshold: float) -> float:
    """Returns the doubt of an image, see the top of this file."""
    seen = scores[scores >= LEAST_SCORE].astype(np.float64)
    below, above = seen / max(threshold, 1e-9), (1 - seen) / max(1 - threshold, 1e-9)
    doubt = float(np.where(seen < threshold, below, above).sum())
    return doubt if (scores >= threshold).any() else max(1.0, doubt)


def _write_review(path: Path, images: Sequence[_Image], names: Sequence[str]) -> None:
    """Writes the images, the most doubtful first."""
    order = sorted(range(len(images)), key=lambda index: (-images[index].doubt, names[index]))
    with path.open("w", newline="", encoding="utf-8", errors="surrogateescape") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["image", "doubt", "boxes", "lowest_score"])
        for index in order:
            scores = images[index].scores
            lowest = f"{scores.min():.3f}" if len(scores) else ""
            writer.writerow([names[index], f"{images[index].doubt:.3f}", len(scores), lowest])
