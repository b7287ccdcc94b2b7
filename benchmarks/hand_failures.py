"""What the shipped hand detector misses on test images, counted, and the worst images on one page.

    python benchmarks/hand_failures.py hands hands_more build/failures

prints a table of hands and of those that are missed by size, light, place and source, and writes `worst.jpg`:
red boxes are missed hands, yellow ones false detections with their score. The photographs are those of the
data sets, so the page belongs to nobody else's repository. `ship_hand.py` puts the counts into the card.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
from hand_data import sources_of
from jaxtyping import UInt8

from seyolo.data.datasets import load_dataset
from seyolo.data.samples import Sample
from seyolo.detections import Detections
from seyolo.evaluation.ap import Truth
from seyolo.evaluation.evaluate import judged
from seyolo.evaluation.matching import mistakes
from seyolo.files import replacing
from seyolo.media.annotate import contact_sheet, draw_boxes
from seyolo.runtime.choice import open_backend

CONFIDENCE = 0.25
SPLITS = {"hands": ("test", "test_small"), "hands_more": ("test",)}
GLOVES = "nishantpravin/glove-detection"
DARK, BRIGHT = 60, 190  # mean grey of a hand, 0 to 255
LEAST_HANDS = 4  # in an image with several hands
NUM_WORST = 24
RED, YELLOW = (0, 0, 255), (0, 220, 255)


class Hand(NamedTuple):
    """A labelled hand of a test image."""

    side_px: float  # root of its area in pixels of the network's input
    grey: float  # mean of its pixels
    is_cut: bool  # by the border of the image
    is_gloved: bool
    num_hands: int  # of the image
    is_missed: bool


KINDS: dict[str, Callable[[Hand], bool]] = {
    "all": lambda hand: True,
    "under 16 px": lambda hand: hand.side_px < 16,
    "16 to 32 px": lambda hand: 16 <= hand.side_px < 32,
    "32 to 64 px": lambda hand: 32 <= hand.side_px < 64,
    "64 px and more": lambda hand: hand.side_px >= 64,
    "dark": lambda hand: hand.grey < DARK,
    "bright": lambda hand: hand.grey > BRIGHT,
    "cut by the border": lambda hand: hand.is_cut,
    "images of gloves and whole figures": lambda hand: hand.is_gloved,
    f"{LEAST_HANDS} hands or more in the image": lambda hand: hand.num_hands >= LEAST_HANDS,
}


class Image(NamedTuple):
    """A test image with its ground truth and detections."""

    sample: Sample
    truth: Truth
    found: Detections
    is_gloved: bool

    def false(self) -> Detections:
        """False detections at the confidence threshold."""
        wrong = mistakes(self.truth, self.found, CONFIDENCE)
        return wrong.shown[wrong.false]

    def missed(self) -> np.ndarray:
        """Which hands are missed at the confidence threshold."""
        return mistakes(self.truth, self.found, CONFIDENCE).missed


def main() -> None:
    """Prints the table and writes the page."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    for name in ("hands", "hands_more", "out"):
        parser.add_argument(name, type=Path)
    parser.add_argument("--model", default="hand")
    arguments = parser.parse_args()
    images, size_px = judged_images(arguments.hands, arguments.hands_more, arguments.model)
    print(failure_table(failures(images, size_px)))
    arguments.out.mkdir(parents=True, exist_ok=True)
    path = arguments.out / "worst.jpg"
    with replacing(path) as temporary:
        temporary.write_bytes(cv2.imencode(".jpg", worst_page(images))[1].tobytes())
    print(f"wrote {path}")


def judged_images(hands: Path, more: Path, model: str | Path) -> tuple[list[Image], int]:
    """The test images of both data sets with detections, and the longer side of the network's input."""
    backend = open_backend(model, threads=1)
    images = []
    for folder, splits in zip((hands, more), SPLITS.values(), strict=True):
        origins = sources_of(folder, "repository") if folder == more else {}
        dataset = load_dataset(folder / "data.yaml")
        for split in splits:
            samples = dataset.split(split)
            truths, found, _ = judged(backend, samples, backend.input_size)
            gloved = [origins.get(sample.image.name) == GLOVES for sample in samples]
            images += [Image(*row) for row in zip(samples, truths, found, gloved, strict=True)]
    return images, max(backend.input_size)


def failures(images: Sequence[Image], size_px: int) -> dict[str, dict[str, int]]:
    """Hands and missed hands by kind; a hand may be of several kinds."""
    hands = [hand for image in images for hand in hands_of(image, size_px)]
    rows = {}
    for kind, fits in KINDS.items():
        fitting = [hand for hand in hands if fits(hand)]
        rows[kind] = {"hands": len(fitting), "missed": sum(hand.is_missed for hand in fitting)}
    return rows


def hands_of(image: Image, size_px: int) -> list[Hand]:
    """The labelled hands of an image."""
    grey = cv2.cvtColor(image.sample.read(), cv2.COLOR_BGR2GRAY)
    height, width = grey.shape
    scale = size_px / max(height, width)
    hands = []
    for box, is_missed in zip(image.truth.boxes_xyxy, image.missed(), strict=True):
        left, top, right, bottom = (float(value) for value in box)
        part = grey[int(max(0, top)) : int(bottom) + 1, int(max(0, left)) : int(right) + 1]
        is_cut = left <= 1 or top <= 1 or right >= width - 1 or bottom >= height - 1
        side_px = scale * ((right - left) * (bottom - top)) ** 0.5
        count = len(image.truth.boxes_xyxy)
        hands.append(Hand(side_px, float(part.mean()), is_cut, image.is_gloved, count, bool(is_missed)))
    return hands


def failure_table(rows: dict[str, dict[str, int]]) -> str:
    """The counts as a Markdown table; kinds without a hand are left out."""
    lines = ["| hands of the test images | labelled | missed | share |", "| --- | ---: | ---: | ---: |"]
    for kind, row in rows.items():
        if row["hands"]:
            share = f"{100 * row['missed'] / row['hands']:.0f} %"
            lines.append(f"| {kind} | {row['hands']:,} | {row['missed']:,} | {share} |")
    return "\n".join(lines)


def worst_page(images: Sequence[Image]) -> UInt8[np.ndarray, "H W 3"]:
    """The images with the most missed hands and false detections, those with the surest false ones first."""
    chosen = sorted(images, key=badness, reverse=True)[:NUM_WORST]
    return contact_sheet([drawn(image) for image in chosen], columns=6)


def badness(image: Image) -> tuple[float, float]:
    """The share of hands that is missed with the number of false detections, and the highest false score."""
    false = image.false()
    share = float(image.missed().mean()) if len(image.truth.boxes_xyxy) else 0.0
    return share + len(false), float(false.scores.max(initial=0))


def drawn(image: Image) -> UInt8[np.ndarray, "h w 3"]:
    """The image with its missed hands and false detections."""
    false = image.false()
    missed = image.truth.boxes_xyxy[image.missed()]
    texts = [*("missed" for _ in missed), *(f"{score:.2f}" for score in false.scores)]
    colours = [*(RED for _ in missed), *(YELLOW for _ in false.scores)]
    return draw_boxes(image.sample.read(), np.concatenate([missed, false.boxes]), texts, colours)


if __name__ == "__main__":
    main()
