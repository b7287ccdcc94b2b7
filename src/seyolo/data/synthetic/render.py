"""Renderer of a posed hand: colours from a lit depth buffer, and the exact mask of the hand.

Folds between fingers result from light on the depths; no outlines are drawn. Small hands are drawn at twice
their size and shrunk.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TypeVar, cast

import cv2
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from seyolo.data.synthetic.hand import Array, Hand
from seyolo.data.synthetic.paint import DepthBuffer, Floats, Image, Layer, Light, object_colour, relief, tint

Mask = NDArray[np.bool_]
Pixels = TypeVar("Pixels", Image, Floats)

MARGIN_PX = 2
SMALLEST_CREASED_RADIUS_PX = 3.0


@dataclass(frozen=True)
class RenderedHand:
    """A hand as pixels."""

    skin: Layer  # hand and bare forearm
    hand_alpha: Floats  # (h, w) coverage by the hand alone, on the window of `skin`
    sleeve: Layer | None  # cloth over the forearm, if any

    def hand_mask(self, height: int, width: int) -> Mask:
        """Returns the pixels (height, width) of the image that the hand covers by half or more."""
        return _on_image(self.skin, self.hand_alpha, height, width)

    def whole_mask(self, height: int, width: int) -> Mask:
        """Returns the same for hand, forearm and sleeve together."""
        return _on_image(self.skin, self.skin.alpha, height, width) | self.sleeve_mask(height, width)

    def sleeve_mask(self, height: int, width: int) -> Mask:
        """Returns the same for the sleeve."""
        if self.sleeve is None:
            return np.zeros((height, width), np.bool_)
        return _on_image(self.sleeve, self.sleeve.alpha, height, width)

    def box_xyxy(self) -> Floats:
        """Returns the tight box (4,) of `hand_mask` in pixel edges, with hidden pixels; zeros if empty."""
        return mask_bounds(self.hand_alpha >= 0.5, self.skin.left, self.skin.top)


def _on_image(layer: Layer, alpha: Floats, height: int, width: int) -> Mask:
    mask = np.zeros((height, width), np.bool_)
    rows, columns = alpha.shape
    mask[layer.top : layer.top + rows, layer.left : layer.left + columns] = alpha >= 0.5
    return mask


def mask_bounds(mask: Mask, left: int = 0, top: int = 0) -> Floats:
    """Returns the tight box (4,) xyxy in pixel edges of a mask at (left, top); zeros for an empty mask."""
    x, y, width, height = cv2.boundingRect(mask.astype(np.uint8))
    box = (left + x, top + y, left + x + width, top + y + height)
    return np.array(box if width else (0, 0, 0, 0), np.float32)


def render_hand(
    hand: Hand, tone: Floats, light: Light, size: tuple[int, int], generator: Generator
) -> RenderedHand | None:
    """Paints a placed hand of a tone (3,) BGR on an image of `size` (h, w); returns None if it is outside."""
    low, high = hand.bounds()
    ends_low = (hand.forearm[:, :2] - 1.4 * hand.forearm[:, 3:]).min(axis=0)
    ends_high = (hand.forearm[:, :2] + 1.4 * hand.forearm[:, 3:]).max(axis=0)
    limits = (size[1], size[0])
    left, top = np.clip(np.floor(np.minimum(low, ends_low)).astype(int) - MARGIN_PX, 0, limits)
    right, bottom = np.clip(np.ceil(np.maximum(high, ends_high)).astype(int) + MARGIN_PX, 0, limits)
    if left >= right or top >= bottom:
        return None
    factor = 2 if (high - low).max() < 90 else 1
    window = (int(bottom - top) * factor, int(right - left) * factor)
    local = hand.moved(factor, np.array([-left * factor, -top * factor, 0.0]))
    colours, hand_alpha, alpha = _skin(local, tone, light, window, generator)
    sleeve = _sleeve(local, light, window, generator) if generator.random() < 0.5 else None

    def layer(colours: Image, alpha: Floats) -> Layer:
        return Layer(_shrink(colours, factor), _shrink(alpha, factor), int(left), int(top))

    cloth = layer(*sleeve) if sleeve else None
    return RenderedHand(layer(colours, alpha), _shrink(hand_alpha, factor), cloth)


def _skin(
    hand: Hand, tone: Floats, light: Light, window: tuple[int, int], generator: Generator
) -> tuple[Image, Floats, Floats]:
    buffer = DepthBuffer(*window, floor=float(min(hand.joints[..., 2].min(), hand.palm[:, 2].min())))
    bones = np.concatenate([hand.joints, hand.radii[..., None]], axis=2)
    buffer.raise_hull(hand.palm)
    for chain in bones:
        for start, end in pairwise(chain):
            buffer.raise_bone(start, end)
    web = (bones[1, 0] * 0.6 + hand.palm[0] * 0.4) * (1, 1, 1, 0.6)
    buffer.raise_bone(bones[0, 1] * (1, 1, 1, 0.7), web)
    hand_alpha = buffer.alpha.copy()
    buffer.raise_bone(hand.forearm[0], hand.forearm[1], flatness=0.55)
    brightness = relief(buffer.heights, light)
    strength = generator.uniform(0.72, 0.95)
    if hand.radii[1, 1] > SMALLEST_CREASED_RADIUS_PX:
        _crease(brightness, hand, buffer, strength)
    colours = tint(brightness, tone, generator.uniform(0.1, 0.6))
    if generator.random() < 0.7:
        _paint_nails(colours, hand, buffer, tone, generator)
    return colours, hand_alpha, buffer.alpha


def _sleeve(hand: Hand, light: Light, window: tuple[int, int], generator: Generator) -> tuple[Image, Floats]:
    wrist, elbow = hand.forearm
    cuff = wrist + (elbow - wrist) * min(0.9, generator.uniform(0.25, 0.8))
    wide = np.array([1, 1, 1, generator.uniform(1.1, 1.35)])
    buffer = DepthBuffer(*window, floor=float(hand.forearm[:, 2].min()))
    buffer.raise_bone(cuff * wide, elbow * wide, flatness=0.7)
    direction = elbow[:2] - cuff[:2]
    across, down = direction / max(float(np.linalg.norm(direction)), 1e-6)
    xs = (np.arange(window[1], dtype=np.float32) + 0.5 - cuff[0]) * across
    ys = (np.arange(window[0], dtype=np.float32)[:, None] + 0.5 - cuff[1]) * down
    beyond = np.asarray(np.clip(xs + ys + 0.5, 0, 1), np.float32)  # the half plane behind the cuff
    return tint(relief(buffer.heights, light), object_colour(generator, 0.15)), buffer.alpha * beyond


def _crease(brightness: Floats, hand: Hand, buffer: DepthBuffer, strength: float) -> None:
    """Darkens the folds at the finger joints, on the visible side, and the lines of the palm."""
    lines = np.ones_like(brightness)
    spread = np.linspace(-0.9, 0.9, 5)[:, None]
    thickness = max(1, round(float(hand.radii[1, 1]) * 0.12))
    for joints, radii, dorsal in zip(hand.joints, hand.radii, hand.dorsal, strict=True):
        for joint in (1, 2):
            along = joints[joint] - joints[joint - 1]
            facing = dorsal[joint] * (1 if dorsal[joint][2] > 0 else -1)
            across = _cross(along, facing) / max(float(np.linalg.norm(along)), 1e-6)
            arc = joints[joint] + radii[joint] * (np.sin(spread) * across + np.cos(spread) * facing)
            if buffer.sees(arc[1:-1], float(radii[joint]) * 0.3):
                _stroke(lines, arc, strength, thickness)
    for line in hand.palm_lines:
        if buffer.sees(line[1:-1], float(hand.radii[1, 1]) * 0.35):
            _stroke(lines, line, strength, thickness)
    brightness *= cv2.blur(lines, (3, 3))


def _stroke(lines: Floats, points: Array, strength: float, thickness: int) -> None:
    fixed = np.round((points[:, :2] - 0.5) * 16).astype(np.int32)
    cv2.polylines(lines, [fixed], False, strength, thickness, cv2.LINE_8, 4)


def _paint_nails(colours: Image, hand: Hand, buffer: DepthBuffer, tone: Floats, generator: Generator) -> None:
    varnished = generator.random() < 0.12
    colour = object_colour(generator, 0.0) if varnished else tone * 0.8 + np.array([45, 45, 60])
    angles = np.linspace(0, 2 * np.pi, 14, endpoint=False)[:, None]
    for joints, radii, dorsal in zip(hand.joints, hand.radii, hand.dorsal[:, 2], strict=True):
        along = joints[3] - joints[2]
        along = along / max(float(np.linalg.norm(along)), 1e-6)
        across = _cross(along, dorsal)
        centre = joints[3] + radii[3] * (0.85 * dorsal - 0.05 * along)
        if dorsal[2] > 0.25 and buffer.sees(centre[None], float(radii[3]) * 0.4):
            rim = centre + radii[3] * (0.75 * np.cos(angles) * along + 0.55 * np.sin(angles) * across)
            fixed = np.round((rim[:, :2] - 0.5) * 16).astype(np.int32)
            cv2.fillConvexPoly(colours, fixed, np.clip(colour, 0, 255).tolist(), cv2.LINE_AA, 4)


def _cross(first: Array, second: Array) -> Array:
    # np.cross is five times slower on single vectors, and a hand needs over twenty.
    (ax, ay, az), (bx, by, bz) = first.tolist(), second.tolist()
    return np.array([ay * bz - az * by, az * bx - ax * bz, ax * by - ay * bx])


def _shrink(pixels: Pixels, factor: int) -> Pixels:
    size = pixels.shape[1] // factor, pixels.shape[0] // factor
    return cast(Pixels, cv2.resize(pixels, size, interpolation=cv2.INTER_AREA))
