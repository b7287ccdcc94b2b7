"""More training images from few scenes: quarter turns, and hands cut out and pasted elsewhere.

Hands are cut out by GrabCut (Rother 2004, in OpenCV) inside their labelled box. Pasted ones have any size
from 36 to 190 px, any angle, other light, and one in three the pale colour of a glove; some images
become dark, blurred or noisy. The box of a pasted hand is that of its mask.
"""

from __future__ import annotations

import math
import random
from typing import NamedTuple

import cv2
import numpy as np
from jaxtyping import Float, Float32, UInt8

from seyolo.boxes import inside_matrix

Picture = UInt8[np.ndarray, "h w 3"]
Mask = UInt8[np.ndarray, "h w"]
Boxes = Float[np.ndarray, "n 4"]

SIDE_PX = 416  # longer side of an image with pasted hands
LEAST_CUT_PX, LEAST_PASTED_PX = 40, 12
FILLED, REACHED = (0.3, 0.8), 0.85  # a cut-out fills its box so far, and reaches from side to side
HAND_PX = (36.0, 190.0)
GLOVES, DARK, BLURRED, NOISY = 0.35, 0.25, 0.25, 0.25  # shares
MOST_PASTED, MOST_COVERED = 4, 0.1


class CutOut(NamedTuple):
    """A hand and where it is, 1 in the mask."""

    pixels: Picture
    mask: Mask


def turned(image: Picture, boxes_xyxy: Boxes, quarters: int) -> tuple[Picture, Boxes]:
    """Returns an image and its boxes, in shares of the sides, turned counter-clockwise by quarters."""
    for _ in range(quarters):
        left, top, right, bottom = boxes_xyxy.T
        boxes_xyxy = np.stack([top, 1 - right, bottom, 1 - left], axis=1)
    return np.ascontiguousarray(np.rot90(image, quarters)), boxes_xyxy


def cut_out(image: Picture, box_xyxy: Float[np.ndarray, "4"]) -> CutOut | None:
    """Cuts out what is in a box, in shares of the sides; None where that is no hand from side to side."""
    height, width = image.shape[:2]
    left, top, right, bottom = (np.clip(box_xyxy, 0, 1) * (width, height, width, height)).astype(int)
    if min(right - left, bottom - top) < LEAST_CUT_PX:
        return None
    labels = np.full((height, width), cv2.GC_BGD, np.uint8)
    labels[top:bottom, left:right] = cv2.GC_PR_FGD
    background, foreground = np.zeros((1, 65)), np.zeros((1, 65))
    cv2.grabCut(image, labels, None, background, foreground, 4, cv2.GC_INIT_WITH_MASK)  # type: ignore[call-overload]
    mask = _largest((labels & 1)[top:bottom, left:right])
    rows, columns = mask.any(axis=1).mean(), mask.any(axis=0).mean()
    if not FILLED[0] < mask.mean() < FILLED[1] or min(rows, columns) < REACHED:
        return None
    return CutOut(image[top:bottom, left:right].copy(), mask)


def _largest(mask: Mask) -> Mask:
    """The largest connected part."""
    _, parts, figures, _ = cv2.connectedComponentsWithStats(mask)
    sizes = figures[:, cv2.CC_STAT_AREA].copy()
    sizes[0] = 0
    largest: Mask = (parts == sizes.argmax()).astype(np.uint8)
    return largest


def with_pasted(
    image: Picture, boxes_xyxy: Boxes, cut_outs: list[CutOut], drawn: random.Random
) -> tuple[Picture, Boxes]:
    """Pastes one to four hands beside the labelled ones; boxes in shares of the sides, of all hands."""
    scale = SIDE_PX / max(image.shape[:2])
    how = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    canvas = cv2.resize(image, None, fx=scale, fy=scale, interpolation=how)
    if drawn.random() < DARK:
        canvas = (255 * (canvas / 255) ** drawn.uniform(1.4, 2.4)).astype(np.uint8)
    sides = np.tile(canvas.shape[1::-1], 2)
    boxes = boxes_xyxy * sides
    for _ in range(drawn.randint(1, MOST_PASTED)):
        boxes = _paste(canvas, boxes, _varied(drawn.choice(cut_outs), drawn), drawn)
    return _degraded(canvas, drawn), boxes / sides


def _varied(hand: CutOut, drawn: random.Random) -> CutOut:
    """A hand in another light, or as a glove; of another size, turned and perhaps mirrored; cropped."""
    pixels, mask = hand
    if drawn.random() < 0.5:
        pixels, mask = pixels[:, ::-1], mask[:, ::-1]
    lit = _glove(pixels, mask, drawn) if drawn.random() < GLOVES else _in_other_light(pixels, drawn)
    side = math.exp(drawn.uniform(*map(math.log, HAND_PX)))
    scale = side / math.sqrt(mask.size)
    size = max(1, round(mask.shape[1] * scale)), max(1, round(mask.shape[0] * scale))
    how = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    small = cv2.resize(np.clip(lit, 0, 255).astype(np.uint8), size, interpolation=how)
    alpha = cv2.resize(np.ascontiguousarray(mask) * np.uint8(255), size, interpolation=how)
    whole = math.ceil(math.hypot(*size)) + 4
    turn = cv2.getRotationMatrix2D((size[0] / 2, size[1] / 2), drawn.uniform(0, 360), 1.0)
    turn[:, 2] += (whole - size[0]) / 2, (whole - size[1]) / 2
    small, alpha = (cv2.warpAffine(part, turn, (whole, whole)) for part in (small, alpha))
    rows, columns = (np.flatnonzero((alpha > 127).any(axis=axis)) for axis in (1, 0))
    inside = slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)
    return CutOut(small[inside], alpha[inside])


def _glove(pixels: Picture, mask: Mask, drawn: random.Random) -> Float32[np.ndarray, "h w 3"]:
    grey = pixels.mean(axis=2, keepdims=True)
    pale = 0.15 * pixels + 0.85 * grey
    pale *= drawn.uniform(110, 215) / max(1.0, pale[mask > 0].mean())
    tint = [drawn.uniform(0.6, 1.2) for _ in range(3)] if drawn.random() < 0.3 else [1.0] * 3
    tinted: Float32[np.ndarray, "h w 3"] = (pale * tint).astype(np.float32)
    return tinted


def _in_other_light(pixels: Picture, drawn: random.Random) -> Float32[np.ndarray, "h w 3"]:
    tint = [drawn.uniform(0.88, 1.12) for _ in range(3)]
    return (pixels * (drawn.uniform(0.55, 1.35) * np.array(tint))).astype(np.float32)


def _paste(canvas: Picture, boxes_xyxy: Boxes, hand: CutOut, drawn: random.Random) -> Boxes:
    """Pastes a hand in place, up to a fifth of it outside; nowhere where it would cover another."""
    height, width = canvas.shape[:2]
    tall, wide = hand.mask.shape
    x = drawn.randint(-wide // 5, max(1, width - wide + wide // 5))
    y = drawn.randint(-tall // 5, max(1, height - tall + tall // 5))
    left, top, right, bottom = max(0, x), max(0, y), min(width, x + wide), min(height, y + tall)
    box = np.array([left, top, right, bottom], dtype=np.float64)
    if min(right - left, bottom - top) < LEAST_PASTED_PX or _covered(boxes_xyxy, box) > MOST_COVERED:
        return boxes_xyxy
    seen = slice(top - y, bottom - y), slice(left - x, right - x)
    alpha = cv2.GaussianBlur(hand.mask, (0, 0), drawn.uniform(0.5, 1.2))[seen][..., None] / 255
    place = canvas[top:bottom, left:right]
    place[:] = (place * (1 - alpha) + hand.pixels[seen] * alpha).astype(np.uint8)
    return np.concatenate([boxes_xyxy, box[None]])


def _covered(boxes_xyxy: Boxes, box_xyxy: Float[np.ndarray, "4"]) -> float:
    """The largest part of one of two boxes that the other covers."""
    pair = boxes_xyxy, box_xyxy[None]
    return float(max(inside_matrix(a, b).max(initial=0) for a, b in (pair, pair[::-1])))


def _degraded(image: Picture, drawn: random.Random) -> Picture:
    """Perhaps blurred, perhaps noisy."""
    if drawn.random() < BLURRED:
        image = cv2.GaussianBlur(image, (0, 0), drawn.uniform(0.6, 1.6))
    if drawn.random() < NOISY:
        noise = np.random.default_rng(drawn.getrandbits(32)).normal(0, drawn.uniform(3, 12), image.shape)
        image = np.clip(image + noise, 0, 255).astype(np.uint8)
    return image
