"""Which photo each hand of a mosaic was cut from: the units of a bootstrap over source images.

The manifest names the photos of a mosaic in the order of its patches, and its labels stand in the same order,
but a patch may show one, several or none of its photo's hands, cropped or whole. So hands and photos are
aligned in order, as sequences are: each hand goes to the photo where it looks most alike.

    python benchmarks/hand_sources.py ../shared/data/hands test_small
"""

from __future__ import annotations

import argparse
import csv
from collections import Counter
from pathlib import Path

import cv2
import numpy as np
from jaxtyping import Float, Int

from seyolo.boxes import cxcywh_to_xyxy
from seyolo.data.datasets import load_dataset
from seyolo.data.samples import Sample
from seyolo.media.images import read_image

PATCH_PX = 24


def sources_of_hands(folder: Path, split: str) -> dict[str, Int[np.ndarray, " n"]]:
    """Per mosaic of a split, by its file name, the number of the photo of each of its hands.

    Args:
        folder: of the data set, with `manifest.csv`.
        split: `val_small` or `test_small`; its photos come from `val` or `test`.
    """
    with (folder / "manifest.csv").open(encoding="utf-8", newline="") as file:
        stems = {row["file"]: row["sources"].split() for row in csv.DictReader(file) if row["split"] == split}
    dataset = load_dataset(folder / "data.yaml")
    base = split.removesuffix("_small")
    photos = [hand_vectors(sample) for sample in dataset.split(base)]
    numbers = {sample.image.stem: number for number, sample in enumerate(dataset.split(base))}
    found = {}
    for sample in dataset.split(split):
        sources = [numbers[stem] for stem in stems[sample.image.name]]
        likeness = np.array(
            [
                [(photos[source] @ hand).max(initial=0.0) for source in sources]
                for hand in hand_vectors(sample)
            ]
        )
        found[sample.image.name] = np.array([sources[index] for index in aligned(likeness)], dtype=np.int64)
    return found


def hand_vectors(sample: Sample) -> Float[np.ndarray, "n numbers"]:
    """The labelled hands of an image as vectors of length 1 whose product is their correlation."""
    image = read_image(sample.image)
    height, width = image.shape[:2]
    corners = cxcywh_to_xyxy(sample.boxes_cxcywh * np.array([width, height, width, height]))
    vectors = []
    for left, top, right, bottom in corners.round().astype(int):
        hand = image[max(0, top) : bottom + 1, max(0, left) : right + 1]
        patch = cv2.resize(hand, (PATCH_PX, PATCH_PX), interpolation=cv2.INTER_AREA)
        vector = patch.ravel() - patch.mean()
        vectors.append(vector / max(np.linalg.norm(vector), 1e-9))
    return np.array(vectors).reshape(len(vectors), 3 * PATCH_PX**2)


def aligned(likeness: Float[np.ndarray, "hands photos"]) -> list[int]:
    """Per hand its photo, never one before the last hand's: the alignment of the largest total likeness."""
    num_hands, num_photos = likeness.shape
    best = np.zeros((num_hands + 1, num_photos))
    from_photo = np.zeros((num_hands, num_photos), dtype=np.int64)
    for hand in range(num_hands):
        # The best way to have come to each photo or one before it.
        reached = np.maximum.accumulate(best[hand])
        where = np.array([int(best[hand, : photo + 1].argmax()) for photo in range(num_photos)])
        from_photo[hand] = where
        best[hand + 1] = reached + likeness[hand]
    photo = int(best[num_hands].argmax())
    path = []
    for hand in reversed(range(num_hands)):
        path.append(photo)
        photo = int(from_photo[hand, photo])
    return path[::-1]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("split", nargs="?", default="test_small")
    arguments = parser.parse_args()
    found = sources_of_hands(arguments.folder, arguments.split)
    counts = Counter(np.concatenate(list(found.values())).tolist())
    print(f"{sum(counts.values())} hands of {len(found)} mosaics were cut from {len(counts)} photos")


if __name__ == "__main__":
    main()
