"""Data set of synthetic hands: drawn images with exact boxes, for the demo and the tests.

An image depends only on (seed, split, index), so the same seed gives the same bytes whatever is drawn before.
Only a near-duplicate of an image of an earlier split is drawn anew. Skin colour alone does not reveal a hand:
backgrounds and distractors have it, too, and the light differs from image to image.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from seyolo.data.near_duplicates import Signatures, nearest, signature_of, stacked
from seyolo.data.synthetic import paint
from seyolo.data.synthetic.hand import random_hand
from seyolo.data.synthetic.paint import Canvas, Floats, Image
from seyolo.data.synthetic.render import Mask, render_hand
from seyolo.data.synthetic.scene import draw_background, draw_distractor
from seyolo.data.writing import label_rows, output_folder, write_data_yaml
from seyolo.errors import UsageError

NUM_HANDS_SHARES = (0.1, 0.36, 0.26, 0.14, 0.14)  # fraction of the images with 0, 1, ... 4 hands
SMALLEST_HAND_PX, LARGEST_HAND_SHARE = 32.0, 0.6
SMALLEST_SIDE_PX = 64
LEAST_INSIDE_SHARE, LEAST_VISIBLE_SHARE = 0.5, 0.75
MOST_DRAWN = 20  # times that an image is drawn at most


def draw_scene(generator: Generator, height: int, width: int) -> tuple[Image, Floats]:
    """Draws an image with 0 to 4 hands.

    A hand's longer side is log-uniform from 32 px to 60 % of the image's shorter side; at least half of its
    bounds lie inside the image. Boxes are the tight bounds, in pixel edges, of the pixels that a hand covers
    by half or more, without forearm, with pixels hidden by another hand or a sleeve (at most 25 %).

    Returns the image (height, width, 3) uint8 BGR and the boxes (n, 4) float32 xyxy.
    """
    if min(height, width) < SMALLEST_SIDE_PX:
        raise UsageError(f"a synthetic image of {height}x{width} is too small; use at least 64x64")
    light = paint.random_light(generator)
    canvas = Canvas(draw_background(generator, height, width), light)
    for _ in range(generator.integers(0, 5)):
        draw_distractor(canvas, generator)
    num_hands = int(generator.choice(len(NUM_HANDS_SHARES), p=NUM_HANDS_SHARES))
    largest_px = LARGEST_HAND_SHARE * min(height, width)
    sizes_px = np.exp(generator.uniform(np.log(SMALLEST_HAND_PX), np.log(largest_px), num_hands))
    tone = paint.skin_tone(generator)
    hands: list[_Placed] = []
    for size_px in sorted(sizes_px.tolist(), reverse=True):
        if generator.random() < 0.4:
            tone = paint.skin_tone(generator)
        _add_hand(canvas, hands, size_px, tone, generator)
    boxes = np.array([hand.box_xyxy for hand in hands], np.float32).reshape(-1, 4)
    return paint.photograph(paint.illuminate(canvas.image, generator), generator), boxes


def write_dataset(
    out: Path,
    *,
    num_train: int = 400,
    num_val: int = 80,
    num_test: int = 120,
    size_px: tuple[int, int] = (320, 320),
    seed: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> Path:
    """Draws a data set in YOLO layout: `images|labels/<split>/<index>.jpg|.txt` and `data.yaml`.

    `out` appears only when it is complete. The same arguments give the same bytes. A larger `num_*`
    adds images, and changes only near-duplicates of them in later splits.

    Args:
        size_px: shortest and longest side; height and width are drawn from this range independently.
        progress: called after each image with the numbers of finished images and of all images.

    Raises UsageError for values out of range, DataError where `out` is not empty or cannot be written.
    """
    counts = {"train": num_train, "val": num_val, "test": num_test}
    _check_arguments(counts, size_px, seed)
    total, done = sum(counts.values()), 0
    signatures: list[NDArray[np.float32]] = []
    with output_folder(Path(out)) as folder:
        for number, (split, count) in enumerate(counts.items()):
            for kind in ("images", "labels"):
                (folder / kind / split).mkdir(parents=True)
            earlier = stacked(signatures)
            for index in range(count):
                seeds = [seed, number, index]
                signatures.append(_write_image(folder, f"{split}/{index:06d}", seeds, size_px, earlier))
                done += 1
                if progress is not None:
                    progress(done, total)
        write_data_yaml(folder / "data.yaml", {split: f"images/{split}" for split in counts}, ("hand",))
    return Path(out) / "data.yaml"


def _check_arguments(counts: dict[str, int], size_px: tuple[int, int], seed: int) -> None:
    for split, count in counts.items():
        if count < 1:
            needed = "a synthetic data set needs at least 1 image in each split"
            raise UsageError(f"num_{split} is {count}; {needed}")
    low, high = size_px
    if not SMALLEST_SIDE_PX <= low <= high:
        needed = "give the shortest and the longest side, at least 64 pixels"
        raise UsageError(f"size_px is {low}..{high}; {needed}")
    if seed < 0:
        raise UsageError(f"seed is {seed}; use 0 or more")


def _write_image(
    folder: Path, name: str, seeds: Sequence[int], size_px: tuple[int, int], earlier: Signatures
) -> NDArray[np.float32]:
    """Draws an image, anew where it is a near-duplicate of an earlier one, and returns its signature."""
    for attempt in range(MOST_DRAWN):
        generator = np.random.default_rng([*seeds, attempt] if attempt else seeds)
        height, width = (int(side) for side in generator.integers(size_px[0], size_px[1] + 1, 2))
        image, boxes_xyxy = draw_scene(generator, height, width)
        quality = int(generator.integers(55, 97))
        data = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])[1].tobytes()
        own = signature_of(f"{name}.jpg", data)
        if not len(earlier) or not nearest(own[None], earlier).are_near().any():
            break
    (folder / f"images/{name}.jpg").write_bytes(data)
    rows = label_rows(boxes_xyxy, height, width, decimals=7)
    (folder / f"labels/{name}.txt").write_text("".join(rows), encoding="utf-8")
    return own


@dataclass
class _Placed:
    """A hand in the image."""

    box_xyxy: Floats
    num_pixels: int
    mask: Mask  # pixels (h, w) that are not hidden

    def visible_share(self, cover: Mask) -> float:
        """Returns the fraction of the hand's pixels that are visible under `cover`."""
        return float(np.count_nonzero(self.mask & ~cover)) / self.num_pixels


def _add_hand(
    canvas: Canvas, hands: list[_Placed], size_px: float, tone: Floats, generator: Generator
) -> None:
    """Paints a hand that is visible and hides no other, and adds it to `hands`; tries four positions."""
    height, width = canvas.image.shape[:2]
    for _ in range(4):
        hand = random_hand(generator).placed(_random_centre(generator, size_px, height, width), size_px)
        low, high = hand.bounds()
        inside = np.maximum(np.minimum(high, (width, height)) - np.maximum(low, 0), 0)
        if inside.prod() / (high - low).prod() < LEAST_INSIDE_SHARE:
            continue
        rendered = render_hand(hand, tone, canvas.light, (height, width), generator)
        if rendered is None:
            continue
        mask, cover = rendered.hand_mask(height, width), rendered.whole_mask(height, width)
        visible = mask & ~rendered.sleeve_mask(height, width)
        new = _Placed(rendered.box_xyxy(), max(1, int(np.count_nonzero(mask))), visible)
        shares = [other.visible_share(cover) for other in hands] + [new.visible_share(np.zeros_like(mask))]
        if min(shares) < LEAST_VISIBLE_SHARE:
            continue
        for other in hands:
            other.mask &= ~cover
        hands.append(new)
        for layer in filter(None, (rendered.skin, rendered.sleeve)):
            paint.paste(canvas.image, layer)
        return


def _random_centre(generator: Generator, size_px: float, height: int, width: int) -> tuple[float, float]:
    """Draws the centre (x, y) of a hand: in four of five cases the whole hand lies inside the image."""
    inset = size_px / 2 if generator.random() < 0.8 else 0.0
    return float(generator.uniform(inset, width - inset)), float(generator.uniform(inset, height - inset))
