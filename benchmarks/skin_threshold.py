"""The best skin-colour threshold as a hand detector: the bar for a trained one on synthetic hands.

Every pixel whose colour lies in a box of HSV or YCrCb is skin, morphology cleans the mask, each connected
component is a detection scored by its area or by how much of its box it fills. All settings of a grid are
tried on images of the train split; the best by AP@0.5 is reported on the test split.

    python benchmarks/skin_threshold.py DATA_YAML [--pictures 80] [--split test]
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path

import cv2
import numpy as np

from seyolo.boxes import cxcywh_to_xyxy
from seyolo.data.datasets import load_dataset
from seyolo.data.samples import Sample
from seyolo.detections import Detections
from seyolo.evaluation.ap import Truth, average_precision
from seyolo.media.images import read_image

SPACES = {"HSV": cv2.COLOR_BGR2HSV, "YCrCb": cv2.COLOR_BGR2YCrCb}
SMALLEST_COMPONENT_PX = 40
SCORES = ("area", "fill")
HIGHEST = 255


@dataclass(frozen=True)
class Threshold:
    """A range of colours in one space, and the sides of the squares that open and close the mask."""

    space: str
    low: tuple[int, int, int]
    high: tuple[int, int, int]
    open_px: int
    close_px: int


@dataclass(frozen=True)
class Image:
    """An image in every colour space, and its labelled hands."""

    colours: dict[str, np.ndarray]
    truth: Truth


def thresholds() -> Iterator[Threshold]:
    """Every setting of the grid, published skin ranges among them."""
    morphology = ((0, 0), (3, 0), (3, 5))
    for hue, saturation_low, saturation_high, value_low, (opened, closed) in product(
        (12, 18, 25), (20, 40, 70), (150, 200, HIGHEST), (20, 60, 100), morphology
    ):
        high = (hue, saturation_high, HIGHEST)
        yield Threshold("HSV", (0, saturation_low, value_low), high, opened, closed)
    for cr_low, cr_high, cb_low, cb_high, y_low, (opened, closed) in product(
        (131, 136, 142), (160, 173, 190), (77, 95), (120, 127, 135), (0, 60), morphology
    ):
        yield Threshold("YCrCb", (y_low, cr_low, cb_low), (HIGHEST, cr_high, cb_high), opened, closed)


def detect(image: Image, threshold: Threshold) -> dict[str, Detections]:
    """Boxes of the skin-coloured components of one image, for each way to score them."""
    mask = cv2.inRange(image.colours[threshold.space], np.array(threshold.low), np.array(threshold.high))
    for operation, side_px in ((cv2.MORPH_OPEN, threshold.open_px), (cv2.MORPH_CLOSE, threshold.close_px)):
        if side_px:
            mask = cv2.morphologyEx(mask, operation, np.ones((side_px, side_px), np.uint8))
    _, _, stats, _ = cv2.connectedComponentsWithStats(mask)
    left, top, width, height, area = stats[1:][stats[1:, 4] >= SMALLEST_COMPONENT_PX].T.astype(np.float32)
    boxes_xyxy = np.stack([left, top, left + width, top + height], axis=1)
    class_ids = np.zeros(len(area), np.int64)
    scores = {"area": area / mask.size, "fill": area / (width * height)}
    return {name: Detections(boxes_xyxy, values, class_ids) for name, values in scores.items()}


def ap50(images: list[Image], threshold: Threshold) -> dict[str, float]:
    """AP@0.5 of one threshold, for each way to score its components."""
    truths = [image.truth for image in images]
    found = [detect(image, threshold) for image in images]
    return {
        score: average_precision(truths, [each[score] for each in found], num_classes=1).ap50
        for score in SCORES
    }


def read(samples: Sequence[Sample]) -> list[Image]:
    """Reads the samples' images into memory."""
    return [_read(sample) for sample in samples]


def _read(sample: Sample) -> Image:
    image = read_image(sample.image)
    height, width = image.shape[:2]
    sides = np.array([width, height, width, height], np.float32)
    truth = Truth(cxcywh_to_xyxy(sample.boxes_cxcywh) * sides, sample.class_ids, height, width)
    return Image({name: cv2.cvtColor(image, code) for name, code in SPACES.items()}, truth)


def main() -> None:
    """Searches on train, prints the best setting and its AP@0.5."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--images", type=int, default=80, help="images of train to search on")
    parser.add_argument("--split", default="test", help="split to report on")
    options = parser.parse_args()
    dataset = load_dataset(options.data)
    searched = read(dataset.split("train")[: options.images])
    results = {
        (threshold, score): value
        for threshold in thresholds()
        for score, value in ap50(searched, threshold).items()
    }
    threshold, score = max(results, key=results.__getitem__)
    print(f"tried {len(results)} settings on {len(searched)} train images")
    print(f"best: {threshold}, scored by {score}: AP@0.5 {results[threshold, score]:.3f} there")
    print(f"AP@0.5 on {options.split}: {ap50(read(dataset.split(options.split)), threshold)[score]:.3f}")


if __name__ == "__main__":
    main()
