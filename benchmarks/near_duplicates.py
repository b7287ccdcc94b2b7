"""Recall and precision of the search for near-duplicates, on images whose copies are made here.

    python benchmarks/near_duplicates.py DATA [--copies 200]

Recall: the share of changed copies that are found, by kind of change. Below it the most similar pairs of
DATA, to be looked at: a pair that shows two scenes is a false one.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from seyolo.data.datasets import load_dataset
from seyolo.data.near_duplicates import LEAST_SIMILARITY, nearest_before, signature, signature_of, stacked
from seyolo.media.images import decode_small, read_image

Image = np.ndarray[Any, Any]


def cropped(share: float) -> Callable[[Image], Image]:
    """Returns a function that cuts a share of both sides off, at the left and on top."""
    return lambda image: image[int(image.shape[0] * share) :, int(image.shape[1] * share) :]


CHANGES: dict[str, Callable[[Image], Image]] = {
    "JPEG of quality 30": lambda image: image,
    "half the size": lambda image: cv2.resize(image, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA),
    "1.5 times the size": lambda image: cv2.resize(image, None, fx=1.5, fy=1.5),
    "stretched to a square": lambda image: cv2.resize(image, (416, 416)),
    "30 % brighter": lambda image: np.clip(image * 1.3 + 15, 0, 255).astype(np.uint8),
    "darker (gamma 1.6)": lambda image: (255 * (image / 255.0) ** 1.6).astype(np.uint8),
    "border of 4 % cut off": cropped(0.04),
    "border of 8 % cut off": cropped(0.08),
    "mirrored": lambda image: image[:, ::-1],
}


def main() -> None:
    """Prints the recall of each change, and the pairs of DATA by similarity."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", type=Path)
    parser.add_argument("--copies", type=int, default=200)
    arguments = parser.parse_args()
    dataset = load_dataset(arguments.data)
    images = sorted({image for split in dataset.splits for image in dataset.split(split).images})
    chosen = np.random.default_rng(0).permutation(len(images))[: arguments.copies].tolist()
    originals = {index: signature_of(images[index]) for index in chosen}
    for name, change in CHANGES.items():
        quality = 30 if "quality" in name else 90
        found = []
        for index in chosen:
            _, data = cv2.imencode(
                ".jpg", change(read_image(images[index])), [cv2.IMWRITE_JPEG_QUALITY, quality]
            )
            found.append(float(signature(decode_small(data.tobytes(), name)) @ originals[index]))
        recall = np.mean(np.array(found) >= LEAST_SIMILARITY)
        print(f"{name:22} recall {recall:.3f}  similarity p5 {np.quantile(found, 0.05):.3f}")
    best = nearest_before(stacked([signature_of(image) for image in images]))
    order = np.argsort(-best.similarity, kind="stable")
    print(f"{int(best.are_near().sum())} of {len(images)} images are near-duplicates of an earlier one")
    for index in order[:12].tolist():
        names = Path(images[index]).name, Path(images[int(best.number[index])]).name
        print(f"{best.similarity[index]:.3f}  {names[0]}  {names[1]}")


if __name__ == "__main__":
    main()
