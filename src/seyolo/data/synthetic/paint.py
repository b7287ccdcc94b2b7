"""Solids, colours, light, layers and camera of synthetic images.

An object is a height map over a window of the image. `relief` lights the heights (Lambert, with darker
hollows), `tint` turns brightness into colours, `paste` blends them into the image. Hands and distractors use
the same three steps, so shading alone does not distinguish them.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, NamedTuple

import cv2
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

Image = NDArray[np.uint8]
Floats = NDArray[np.float32]
Array = NDArray[np.floating[Any]]

LIGHTNESS_RANGE = (24.0, 84.0)  # CIE L* of the skin tones drawn, from very dark to very light skin


@dataclass(frozen=True)
class Light:
    """Light of an image."""

    direction: tuple[float, float, float]  # unit vector towards the light: right, down, towards the viewer
    ambient: float  # brightness of surfaces that face away from the light, 0 to 1


@dataclass(frozen=True)
class Layer:
    """A painted window of an image, at (left, top) in pixels."""

    colours: Image  # (h, w, 3) BGR
    alpha: Floats  # (h, w) in [0, 1]
    left: int
    top: int


def random_light(generator: Generator) -> Light:
    """Draws a light in front of the scene."""
    azimuth = generator.uniform(0, 2 * np.pi)
    elevation = generator.uniform(0.35, 1.3)
    flat = np.cos(elevation)
    direction = (float(flat * np.cos(azimuth)), float(flat * np.sin(azimuth)), float(np.sin(elevation)))
    return Light(direction, generator.uniform(0.25, 0.6))


def skin_tone(generator: Generator) -> Floats:
    """Draws a human skin colour (3,) BGR in 0..255 under white light.

    Lightness is uniform over `LIGHTNESS_RANGE`; hue (40 to 70 degrees in CIE Lab) is between red and yellow,
    and chroma is greatest for middle tones.
    """
    low, high = LIGHTNESS_RANGE
    lightness = generator.uniform(low, high)
    middle = np.sin(np.pi * (lightness - low + 6) / (high - low + 12))
    chroma = (10 + 17 * middle) * generator.uniform(0.75, 1.2)
    hue = np.deg2rad(generator.uniform(40, 70))
    lab = np.array([[[lightness, chroma * np.cos(hue), chroma * np.sin(hue)]]], np.float32)
    return np.asarray(np.clip(cv2.cvtColor(lab, cv2.COLOR_Lab2BGR)[0, 0] * 255, 0, 255), np.float32)


def object_colour(generator: Generator, skin_share: float = 0.35) -> Floats:
    """Draws a colour (3,) BGR in 0..255, with probability `skin_share` a skin tone."""
    if generator.random() < skin_share:
        return skin_tone(generator)
    hue, saturation = generator.uniform(0, 180), 200 * generator.random() ** 1.5
    hsv = np.array([[[hue, saturation, generator.uniform(25, 245)]]], np.uint8)
    return np.asarray(cv2.cvtColor(hsv, cv2.COLOR_HSV2BGR)[0, 0], np.float32)


def relief(heights: Floats, light: Light) -> Floats:
    """Lights a height map (h, w) in pixels; returns brightness (h, w) in [0, 1], 0.85 in full light."""
    slope_x = np.clip(cv2.Sobel(heights, cv2.CV_32F, 1, 0, scale=1 / 8), -2.5, 2.5)
    slope_y = np.clip(cv2.Sobel(heights, cv2.CV_32F, 0, 1, scale=1 / 8), -2.5, 2.5)
    x, y, z = light.direction
    facing = (z - x * slope_x - y * slope_y) / np.sqrt(1 + slope_x * slope_x + slope_y * slope_y)  # Lambert
    reach = max(3, int(max(heights.shape) * 0.05) | 1)
    hollow = np.clip((cv2.blur(heights, (reach, reach)) - heights) * (2.0 / reach), 0, 0.35)
    brightness = light.ambient + (1 - light.ambient) * np.maximum(facing, 0) - hollow
    return np.asarray(cv2.blur(np.clip(brightness * 0.85, 0, 1), (3, 3)), np.float32)


def tint(brightness: Floats, tone: Floats, sheen: float = 0.0) -> Image:
    """Returns colours (h, w, 3) BGR of a surface of `tone` at brightness (h, w); `sheen` adds highlights."""
    steps = np.linspace(0, 1.25, 256, dtype=np.float32)[:, None]
    # Light scattered in skin is redder: blue and green decrease faster in the shade.
    ramp = steps ** np.array([1.2, 1.1, 1.0], np.float32) * tone
    ramp += sheen * 255 * np.clip(steps - 0.95, 0, 1)
    return colour_levels(brightness, ramp)


def colour_levels(levels: Array, table: Array) -> Image:
    """Returns colours (h, w, 3) for levels (h, w) in [0, 1] from a table (256, 3) in 0..255."""
    plane = (levels * np.float32(255)).astype(np.uint8)
    table = np.clip(table, 0, 255).astype(np.uint8)
    return np.asarray(cv2.LUT(cv2.merge([plane] * 3), table[None]), np.uint8)


def paste(image: Image, layer: Layer) -> None:
    """Blends a layer into `image`; the layer must lie inside it."""
    height, width = layer.alpha.shape
    region = image[layer.top : layer.top + height, layer.left : layer.left + width]
    region[:] = cv2.blendLinear(layer.colours, np.ascontiguousarray(region), layer.alpha, 1 - layer.alpha)


class Canvas(NamedTuple):
    """An image and its light."""

    image: Image
    light: Light

    def paint(self, polygons: list[Floats], colour: Floats, roundness_px: float) -> None:
        """Paints polygons, each (n, 2) xy in pixels, as one solid with rims rounded over `roundness_px`."""
        height, width = self.image.shape[:2]
        points = np.concatenate(polygons)
        left, top = np.clip(np.floor(points.min(axis=0)).astype(int) - 1, 0, (width, height))
        right, bottom = np.clip(np.ceil(points.max(axis=0)).astype(int) + 1, 0, (width, height))
        if right - left < 2 or bottom - top < 2:
            return
        cover = np.zeros((bottom - top, right - left), np.uint8)
        for polygon in polygons:
            fixed = np.round((polygon - (left, top)) * 16).astype(np.int32)  # in sixteenths of a pixel
            cv2.fillPoly(cover, [fixed], 255, cv2.LINE_AA, 4)
        colours = tint(relief(rounded_heights(cover, roundness_px), self.light), colour, 0.3)
        alpha = cover.astype(np.float32) * np.float32(1 / 255)
        paste(self.image, Layer(colours, alpha, int(left), int(top)))


def rounded_heights(cover: Image, roundness_px: float) -> Floats:
    """Returns heights (h, w) of a slab where `cover` > 127, with a quarter-circle rim of `roundness_px`."""
    inside = cv2.distanceTransform((cover > 127).astype(np.uint8), cv2.DIST_L2, 5)
    fall = roundness_px - np.minimum(inside, roundness_px)
    heights = np.sqrt(np.maximum(roundness_px * roundness_px - fall * fall, 0))  # a quarter circle
    # The distance has ridges where two sides are equally near; without smoothing they look like scratches.
    smoothing = max(3, int(roundness_px * 0.4) | 1)
    return np.asarray(cv2.blur(heights, (smoothing, smoothing)), np.float32)


class DepthBuffer:
    """Heights towards the viewer and coverage of a window, both (h, w), of rounded solids.

    Bones are capsules with a radius at each end, a palm is a rounded slab; each pixel stores the greatest
    height. Edges are smooth because coverage is computed from the distance to the outline.
    """

    def __init__(self, height: int, width: int, floor: float) -> None:
        self.heights = np.full((height, width), floor, np.float32)
        self.alpha = np.zeros((height, width), np.float32)

    def raise_bone(self, start: Array, end: Array, flatness: float = 1.0) -> None:
        """Adds a capsule between two spheres (4,), xyz and radius in pixels; `flatness` scales its height."""
        if (window := self._window(np.stack([start, end]))) is None:
            return
        rows, columns = window
        xs = np.arange(columns.start, columns.stop, dtype=np.float32) + np.float32(0.5 - start[0])
        ys = np.arange(rows.start, rows.stop, dtype=np.float32)[:, None] + np.float32(0.5 - start[1])
        dx, dy, dz, dr = (end - start).tolist()
        base, thick = float(start[2]), float(start[3])
        along = np.clip((xs * dx + ys * dy) / max(dx * dx + dy * dy, 1e-6), 0, 1)  # place on the axis, 0 to 1
        radius = thick + along * dr
        away_squared = (xs - along * dx) ** 2 + (ys - along * dy) ** 2
        alpha = np.clip(radius - np.sqrt(away_squared) + 0.5, 0, 1)
        round_heights = np.sqrt(np.maximum(radius * radius - away_squared, 0))  # of the sphere at that place
        heights = np.asarray(base + along * dz + flatness * round_heights, np.float32)
        self._merge(rows, columns, heights, np.asarray(alpha, np.float32))

    def raise_hull(self, spheres: Array) -> None:
        """Adds the hull of spheres (n, 4) near a common plane, as a slab of their mean radius."""
        if (window := self._window(spheres)) is None:
            return
        rows, columns = window
        angles = np.linspace(0, 2 * np.pi, 16, endpoint=False)
        circle = np.stack([np.cos(angles), np.sin(angles)], axis=1)
        rim = (spheres[:, None, :2] + circle * spheres[:, None, 3:]).reshape(-1, 2)
        rim -= (columns.start, rows.start)
        # In OpenCV, pixel centres have integer coordinates.
        outline = cv2.convexHull(np.round((rim - 0.5) * 16).astype(np.int32))
        cover = np.zeros((rows.stop - rows.start, columns.stop - columns.start), np.uint8)
        cv2.fillConvexPoly(cover, outline, 255, cv2.LINE_AA, 4)
        # The slab follows the plane that fits the sphere centres best, by least squares.
        design = np.column_stack([spheres[:, :2], np.ones(len(spheres))])
        slope_x, slope_y, base = np.linalg.lstsq(design, spheres[:, 2], rcond=1e-3)[0]
        xs = np.arange(columns.start, columns.stop, dtype=np.float32) + 0.5
        ys = np.arange(rows.start, rows.stop, dtype=np.float32)[:, None] + 0.5
        plane = np.asarray(xs * slope_x + ys * slope_y + base, np.float32)
        heights = rounded_heights(cover, float(spheres[:, 3].mean())) + plane
        self._merge(rows, columns, heights, np.asarray(cover / 255, np.float32))

    def sees(self, points: Array, tolerance: float) -> bool:
        """Returns whether all points (n, 3) are in the window and none is hidden by more than `tolerance`."""
        columns, rows = np.floor(points[:, :2]).astype(int).T
        height, width = self.heights.shape
        if min(rows.min(), columns.min()) < 0 or rows.max() >= height or columns.max() >= width:
            return False
        return bool((self.heights[rows, columns] <= points[:, 2] + tolerance).all())

    def _window(self, spheres: Array) -> tuple[slice, slice] | None:
        height, width = self.heights.shape
        low = (spheres[:, :2] - spheres[:, 3:]).min(axis=0).tolist()
        high = (spheres[:, :2] + spheres[:, 3:]).max(axis=0).tolist()
        left, top = (max(math.floor(value) - 1, 0) for value in low)
        right, bottom = min(math.ceil(high[0]) + 1, width), min(math.ceil(high[1]) + 1, height)
        if left >= right or top >= bottom:
            return None
        return slice(top, bottom), slice(left, right)

    def _merge(self, rows: slice, columns: slice, heights: Floats, alpha: Floats) -> None:
        region = self.heights[rows, columns]
        np.maximum(region, heights, out=region, where=alpha > 0)
        covered = self.alpha[rows, columns]
        np.maximum(covered, alpha, out=covered)


def illuminate(image: Image, generator: Generator) -> Image:
    """Applies coloured, uneven light; 6 % of the images become grey."""
    height, width = image.shape[:2]
    cast = np.exp(generator.normal(0, generator.choice([0.05, 0.1, 0.2]), 3))
    exposure = generator.uniform(0.75, 1.2) / cast.mean()
    uneven = generator.uniform(0.7, 1.25, (2, 2)).astype(np.float32)
    gains = cv2.resize(uneven[..., None] * (cast * exposure).astype(np.float32), (width, height))
    lit = cv2.multiply(image, gains, dtype=cv2.CV_8U)
    if generator.random() < 0.06:
        lit = cv2.cvtColor(cv2.cvtColor(lit, cv2.COLOR_BGR2GRAY), cv2.COLOR_GRAY2BGR)
    return np.asarray(lit, np.uint8)


def photograph(image: Image, generator: Generator) -> Image:
    """Adds the blur of a lens and the noise of a sensor."""
    if generator.random() < 0.5:
        image = np.asarray(cv2.GaussianBlur(image, (0, 0), generator.uniform(0.4, 1.3)), np.uint8)
    if generator.random() < 0.6:
        # Repeating one tile of noise is many times faster than drawing noise for every pixel.
        tile = generator.normal(0, generator.uniform(1, 9), (64, 64, 3)).astype(np.float32)
        height, width = image.shape[:2]
        grain = np.tile(tile, (-(-height // 64), -(-width // 64), 1))[:height, :width]
        image = np.asarray(cv2.add(image, grain, dtype=cv2.CV_8U), np.uint8)
    return image
