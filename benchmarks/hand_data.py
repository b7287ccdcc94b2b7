"""Training folder of the shipped hand detector: two data sets of hands, and images without hands.

    python benchmarks/hand_data.py hands hands_more bccd build/hand_data

HANDS and HANDS_MORE are YOLO data sets with a `manifest.csv`, BCCD is a VOC data set without hands. Each
portrait, of which there are few, is there four times. Some images are there turned by quarters, too: all
gloves and portraits, 40 % of the letters, a quarter of HANDS. 900 images have pasted hands (hand_pasting.py).
Without hands are 60 blood smears, and the largest part beside all hands of an image, where it is at least
45 % as wide or high as the image and the seed draws it. Images are links; `--copy` copies them.

    train         both data sets, and images without hands
    val           both data sets, hands_more twice: it chooses the checkpoint
    val_hands, test, val_small, test_small    hands alone
    val_more, test_more                       hands_more alone
"""

from __future__ import annotations

import argparse
import csv
import random
import shutil
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import cv2
import hand_pasting
import numpy as np
from hand_pasting import Boxes, Picture
from jaxtyping import Float, UInt8

from seyolo.boxes import cxcywh_to_xyxy, xyxy_to_cxcywh
from seyolo.errors import DataError
from seyolo.files import replacing, write_text
from seyolo.media.images import find_images, read_image

GLOVES, LETTERS = "nishantpravin/glove-detection", "Al3ynaa/sign_language_yolo"
REPEATS = {GLOVES: 1, LETTERS: 1}
OTHER_REPEATS = 4  # portraits
TURNED = {GLOVES: 1.0, LETTERS: 0.4}  # shares
PORTRAITS_TURNED, HANDS_TURNED = 1.0, 0.25
NUM_CUT_OUT, NUM_PASTED = 700, 900
EVERY_BACKGROUND = 6  # image of hands; of hands_more each but the letters, which the hand fills
VAL_REPEATS = 2  # of hands_more, which has a fifth of the images
NUM_SMEARS = 60
EVERY_CROPPED = 4  # image of hands; of hands_more each
LEAST_CROP_SHARE, LEAST_CROP_PX, DRAWN_SHARE = 0.45, 64, 0.6
SPLITS = "test", "val_small", "test_small", "val_hands", "val_more", "test_more"


Labelled = tuple[Picture, Boxes]
"""An image, and its boxes in shares of the sides."""


class Item(NamedTuple):
    """An image of the training folder."""

    split: str
    name: str
    image: Path
    source: str  # as in `manifest.csv`


class Sources(NamedTuple):
    """Folders of the data sets."""

    hands: Path
    more: Path
    bccd: Path


def main() -> None:
    """Writes the folder and says how many images each source has."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    for name in ("hands", "hands_more", "bccd", "out"):
        parser.add_argument(name, type=Path)
    parser.add_argument("--copy", action="store_true", help="copy images instead of linking them")
    parser.add_argument("--seed", type=int, default=0, help="of the parts without hands")
    arguments = parser.parse_args()
    sources = Sources(arguments.hands, arguments.hands_more, arguments.bccd)
    counts = write_folder(sources, arguments.out, copy=arguments.copy, seed=arguments.seed)
    print("\n".join(f"{count:6,} {source}" for source, count in counts.items()))
    print(f"wrote {arguments.out / 'data.yaml'}; images of train by source are above")


def write_folder(sources: Sources, out: Path, *, copy: bool = False, seed: int = 0) -> dict[str, int]:
    """Writes the training folder; returns the images of train by source."""
    if out.exists():
        raise DataError(f"{out}: is there already; remove it, or name another folder")
    counts: Counter[str] = Counter()
    for item in planned(sources):
        target = out / "images" / item.split / item.name
        target.parent.mkdir(parents=True, exist_ok=True)
        if copy:
            shutil.copyfile(item.image, target)
        else:
            target.symlink_to(item.image.resolve())
        labels = labels_of(item.image)
        write_text(
            labels_of(target), labels.read_text(encoding="utf-8") if item.source != sources.bccd.name else ""
        )
        counts[item.source] += item.split == "train"
    parts = {name: (crop, np.zeros((0, 4))) for name, crop in crops(sources, seed)}
    made = {
        "parts without hands": parts.items(),
        "turned": turned_images(sources, seed),
        "with pasted hands": pasted_images(sources, [crop for crop, _ in parts.values()], seed),
    }
    for source, images in made.items():
        for name, (image, boxes_xyxy) in images:
            _write(out / "images/train" / name, image, boxes_xyxy)
            counts[source] += 1
    listed = "".join(f"{split}: images/{split}\n" for split in ("train", "val", *SPLITS))
    write_text(out / "data.yaml", f"path: .\n{listed}names: [hand]\n")
    return {source: count for source, count in counts.items() if count}


def _write(target: Path, image: Picture, boxes_xyxy: Boxes) -> None:
    """Writes an image and its labels."""
    with replacing(target) as temporary:
        temporary.write_bytes(cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, 92])[1].tobytes())
    rows = xyxy_to_cxcywh(boxes_xyxy)
    write_text(labels_of(target), "".join(f"0 {x:.6f} {y:.6f} {w:.6f} {h:.6f}\n" for x, y, w, h in rows))


def turned_images(sources: Sources, seed: int) -> Iterator[tuple[str, Labelled]]:
    """Yields images turned by quarters, with their boxes and file names."""
    drawn, origins = random.Random(f"turned {seed}"), sources_of(sources.more, "repository")
    for folder in (sources.more, sources.hands):
        for path in images_of(folder, "train"):
            usual = HANDS_TURNED if folder == sources.hands else PORTRAITS_TURNED
            if drawn.random() < TURNED.get(origins.get(path.name, ""), usual):
                quarters = drawn.randint(1, 3)
                turned = hand_pasting.turned(read_image(path), boxes_of(path), quarters)
                yield f"r{quarters}_{path.stem}.jpg", turned


def pasted_images(sources: Sources, parts: Sequence[Picture], seed: int) -> Iterator[tuple[str, Labelled]]:
    """Yields images with pasted hands: on parts without hands, and beside the hands of other images."""
    drawn, origins = random.Random(f"pasted {seed}"), sources_of(sources.more, "repository")
    more, hands = images_of(sources.more, "train"), images_of(sources.hands, "train")
    cut_outs = list(
        islice(_cut_outs([path for path in more if origins[path.name] != GLOVES] + hands, drawn), NUM_CUT_OUT)
    )
    whole = [path for path in more if origins[path.name] != LETTERS] + hands[::EVERY_BACKGROUND]
    for number in range(NUM_PASTED if cut_outs else 0):
        if parts and drawn.random() < 0.5:
            image, boxes_xyxy = drawn.choice(parts), np.zeros((0, 4))
        else:
            path = drawn.choice(whole)
            image, boxes_xyxy = read_image(path), boxes_of(path)
        yield f"p_{number:04}.jpg", hand_pasting.with_pasted(image, boxes_xyxy, cut_outs, drawn)


def _cut_outs(images: Sequence[Path], drawn: random.Random) -> Iterator[hand_pasting.CutOut]:
    """Yields the hands of images that show one, in drawn order, as far as they can be cut out."""
    for path in drawn.sample(images, len(images)):
        boxes_xyxy = boxes_of(path)
        if len(boxes_xyxy) == 1 and (cut_out := hand_pasting.cut_out(read_image(path), boxes_xyxy[0])):
            yield cut_out


def planned(sources: Sources) -> Iterator[Item]:
    """Yields the images of all splits, those that are cut out apart."""
    origins = {**sources_of(sources.hands, "source"), **sources_of(sources.more, "repository")}
    for folder, prefix in ((sources.hands, "h"), (sources.more, "m")):
        apart = "hands" if prefix == "h" else "more"
        for split in ("train", "val", "test", "val_small", "test_small"):
            for image in images_of(folder, split):
                source = origins[image.name]
                yield from _items(image, split, prefix, apart, source)
    smears = (sources.bccd / "ImageSets/Main/train.txt").read_text(encoding="utf-8").split()
    for stem in smears[:NUM_SMEARS]:
        image = sources.bccd / "JPEGImages" / f"{stem}.jpg"
        yield Item("train", f"n_{image.name}", image, sources.bccd.name)


def _items(image: Path, split: str, prefix: str, apart: str, source: str) -> Iterator[Item]:
    """Yields an image for each split that it is in, repeated in those that train and choose."""
    count = VAL_REPEATS if split == "val" else REPEATS.get(source, OTHER_REPEATS)
    prefixes = ["h"] if prefix == "h" else [f"m{number}" for number in range(count)]
    if split in ("train", "val"):
        yield from (Item(split, f"{before}_{image.name}", image, source) for before in prefixes)
    if split != "train":
        name = f"{split}_{apart}" if split == "val" or apart == "more" else split
        yield Item(name, image.name, image, source)


def images_of(folder: Path, split: str) -> list[Path]:
    """The images of a split, sorted; none where there is no such split."""
    path = folder / "images" / split
    return [Path(image) for image in find_images([path])] if path.is_dir() else []


def sources_of(folder: Path, column: str) -> dict[str, str]:
    """A column of `manifest.csv` by the name of the image's file."""
    with (folder / "manifest.csv").open(encoding="utf-8", newline="") as file:
        return {Path(row["file"]).name: row[column] for row in csv.DictReader(file)}


def labels_of(image: Path) -> Path:
    """The label file of an image of a YOLO data set."""
    parts = ["labels" if part == "images" else part for part in image.parts]
    return Path(*parts).with_suffix(".txt")


def crops(sources: Sources, seed: int) -> Iterator[tuple[str, UInt8[np.ndarray, "h w 3"]]]:
    """Yields parts without hands of the training images, with their file names."""
    drawn = random.Random(seed)
    images = [*images_of(sources.more, "train"), *images_of(sources.hands, "train")[::EVERY_CROPPED]]
    for path in images:
        part = free_part(boxes_of(path))
        if part is None:
            continue
        image = read_image(path)
        height, width = image.shape[:2]
        left, top, right, bottom = (part * (width, height, width, height)).astype(int)
        crop = image[top:bottom, left:right]
        if min(crop.shape[:2]) >= LEAST_CROP_PX and drawn.random() <= DRAWN_SHARE:
            yield f"c_{path.stem}.jpg", crop


def boxes_of(image: Path) -> Float[np.ndarray, "n 4"]:
    """The labelled boxes of an image as left, top, right, bottom, in shares of its sides."""
    rows = [line.split()[1:] for line in labels_of(image).read_text(encoding="utf-8").splitlines()]
    return cxcywh_to_xyxy(np.array(rows, np.float64).reshape(-1, 4))


def free_part(boxes_xyxy: Float[np.ndarray, "n 4"]) -> Float[np.ndarray, "4"] | None:
    """The largest part beside all boxes, in shares of the sides; None if it is narrow, or without boxes."""
    if not len(boxes_xyxy):
        return None
    left, top = boxes_xyxy[:, :2].min(axis=0)
    right, bottom = boxes_xyxy[:, 2:].max(axis=0)
    parts: Mapping[tuple[float, float, float, float], float] = {
        (0, 0, left, 1): left,
        (right, 0, 1, 1): 1 - right,
        (0, 0, 1, top): top,
        (0, bottom, 1, 1): 1 - bottom,
    }
    best = max(parts, key=lambda part: (parts[part], part))
    return np.array(best) if parts[best] >= LEAST_CROP_SHARE else None


if __name__ == "__main__":
    main()
