"""Labels by a model, to be corrected: a data set of its detections, the most doubtful images listed first.

The doubt of a detection is 1 at the confidence threshold, and falls to 0 at the scores 0 and 1. That of an
image is the sum over its detections; without any box it is at least 1: an object may have been missed.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, UInt8

from seyolo.boxes import xyxy_to_cxcywh
from seyolo.data.convert import IMAGE_FOLDERS, Converted, Target, check_format, image_names, write_splits
from seyolo.data.labels import Labels, Reading
from seyolo.data.samples import Samples
from seyolo.data.writing import output_folder
from seyolo.detections import Detections
from seyolo.detector import Detector
from seyolo.errors import DataError
from seyolo.media.ahead import mapped_ahead
from seyolo.media.images import read_image
from seyolo.progress import Progress

SPLIT = "train"
REVIEW_FILE = "review.csv"
LEAST_SCORE = 0.05
"""Detections below this score say nothing about an image."""
_READERS = 2


class Labelled(NamedTuple):
    """Counts of the labels that were written, and the images that were left out."""

    counts: Converted
    num_empty: int  # images without a box
    unreadable: list[str]  # a message for each image that was left out


class _Image(NamedTuple):
    """An image with its detections, or why it cannot be read."""

    path: str
    reading: Reading
    scores: Float[np.ndarray, " n"]
    doubt: float
    error: str = ""


def label_images(
    detector: Detector, images: Sequence[Path], out: Path, to: Target, progress: Progress
) -> Labelled:
    """Writes a data set of images with the detections of a model as labels into the folder `out`.

    Args:
        detector: its confidence threshold chooses the detections that become labels.
        images: they are linked, or copied where the system makes no links; those that
            cannot be read are left out.
        out: a folder that does not exist yet.
        to: the format.
        progress: receives the images done.

    Raises:
        DataError: `out` is not an empty folder, or none of the images can be read.
    """
    check_format(to)
    with output_folder(out) as folder:
        with progress.task("labelling", len(images)) as advance:
            found = []
            for image in _detected(detector, images):
                found.append(image)
                advance(1, Path(image.path).name)
        labelled = [image for image in found if not image.error]
        unreadable = [image.error for image in found if image.error]
        if not labelled:
            raise DataError(f"none of the images can be read; the first: {unreadable[0]}")
        samples = Samples.of([image.path for image in labelled], (image.reading for image in labelled))
        (counts,) = write_splits({SPLIT: samples}, detector.names, folder, to)
        place = IMAGE_FOLDERS[to].format(SPLIT)
        _write_review(folder / REVIEW_FILE, labelled, [f"{place}/{name}" for name in image_names(samples)])
        if to == "yolo":  # LabelImg looks for the names there
            names = "".join(f"{name}\n" for name in detector.names)
            (folder / "labels" / SPLIT / "classes.txt").write_text(names, encoding="utf-8")
    return Labelled(counts, sum(not len(image.scores) for image in labelled), unreadable)


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
