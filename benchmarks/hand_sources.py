"""Which photo each hand of a mosaic was cut from: the units of a bootstrap over source pictures.

The manifest names the photos of a mosaic in the order of its patches, and its labels stand in the same order,
but a patch may show one, several or none of its photo's hands, cropped or whole. So hands and photos are
aligned in order, as sequences are: each hand goes to the photo where it looks most alike.

    python benchmarks/hand_sources.py ../shared/data/hands test_small
"""

from __future__ import annotations

import argparse
import csv
from collections import Counter
from functools import cache
from pathlib import Path

import cv2
import numpy as np
from jaxtyping import Float, Int

PATCH_PX = 24


def sources_of_hands(folder: Path, split: str) -> dict[str, Int[np.ndarray, " n"]]:
    """Per mosaic of a split, by its file name, the number of the photo of each of its hands.

    Args:
        folder: of the data set, with `manifest.csv`.
        split: `val_small` or `test_small`; its photos come from `val` or `test`.
    """
    with (folder / "manifest.csv").open(encoding="utf-8", newline="") as file:
        rows = sorted((row for row in csv.DictReader(file)), key=lambda row: row["file"])
    base = split.removesuffix("_small")
    paths = {
        Path(row["file"]).stem: folder / "images" / base / row["file"] for row in rows if row["split"] == base
    }
    numbers = {stem: number for number, stem in enumerate(paths)}

    @cache
    def photo(stem: str) -> Float[np.ndarray, "n pixels"]:
        return patches(paths[stem])

    found = {}
    for row in rows:
        if row["split"] == split:
            stems = row["sources"].split()
            hands = patches(folder / "images" / split / row["file"])
            likeness = np.array([[(photo(stem) @ hand).max(initial=0.0) for stem in stems] for hand in hands])
            photos = [numbers[stems[index]] for index in aligned(likeness)]
            found[row["file"]] = np.array(photos, dtype=np.int64)
    return found


def patches(picture: Path) -> Float[np.ndarray, "n pixels"]:
    """The labelled hands of a picture as vectors of length 1 whose product is their correlation."""
    image = cv2.imread(str(picture))
    height, width = image.shape[:2]
    label = Path(str(picture.parent).replace("images", "labels"), f"{picture.stem}.txt")
    vectors = []
    for line in label.read_text(encoding="utf-8").splitlines() if label.exists() else []:
        cx, cy, w, h = (float(value) for value in line.split()[1:5])
        left, right = (round((cx + side * w / 2) * width) for side in (-1, 1))
        top, bottom = (round((cy + side * h / 2) * height) for side in (-1, 1))
        hand = image[max(0, top) : bottom + 1, max(0, left) : right + 1]
        vector = (
            cv2.resize(hand, (PATCH_PX, PATCH_PX), interpolation=cv2.INTER_AREA).astype(np.float64).ravel()
        )
        vector -= vector.mean()
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
