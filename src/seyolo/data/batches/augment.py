"""Augmentation: mosaics of 1 to n² source images, scale, crop, flip and colour.

Pure functions over numpy and OpenCV; the generator passed in is the only source of randomness.

Scale, crop, flip and position of a source image are one affine map, and `cv2.warpAffine` computes only the
pixels of its tile. The map samples from the level of a small pyramid whose resolution is nearest to the
output's: bilinear sampling of an image four times too large would alias. Tiles come from guillotine cuts, so
one output holds objects of several scales; with the zoom inside a tile, the size of objects is about
log-uniform from the whole input down to a few pixels.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import cv2
import numpy as np
from jaxtyping import Float, Float32, Int64, UInt8
from numpy.random import Generator

from seyolo.boxes import area_xyxy, cxcywh_to_xyxy, xyxy_to_cxcywh
from seyolo.data.labels import NOTHING_IGNORED, Ignored
from seyolo.letterbox import PAD_GREY
from seyolo.options.training import Augmentation
from seyolo.tiling.grid import Tile

IGNORED = -1
"""The class of the rows of ignored regions among targets."""


@dataclass(frozen=True)
class Image:
    """A decoded source image and its labels."""

    levels: tuple[UInt8[np.ndarray, "h w 3"], ...]  # BGR, each half the size of the one before
    boxes_cxcywh: Float32[np.ndarray, "n 4"]  # as fractions of the image's width and height
    class_ids: Int64[np.ndarray, " n"]
    ignored: Ignored = NOTHING_IGNORED

    @property
    def size_hw(self) -> tuple[int, int]:
        """Height and width in pixels."""
        height, width = self.levels[0].shape[:2]
        return height, width


@dataclass(frozen=True)
class Undecoded:
    """A source image that is not decoded: its size and labels, which decide on the targets."""

    size_hw: tuple[int, int]
    boxes_cxcywh: Float32[np.ndarray, "n 4"]
    class_ids: Int64[np.ndarray, " n"]
    ignored: Ignored = NOTHING_IGNORED


class Layout(NamedTuple):
    """Tiles of a training image of `size_hw` pixels; each holds one source image."""

    tiles: tuple[Tile, ...]
    size_hw: tuple[int, int]
    is_mosaic: bool  # at zoom 1 an image covers its tile in a mosaic, and fits into it otherwise
    is_stretched: bool = False  # images have the aspect ratio of the training image instead of their own


class AxisMap(NamedTuple):
    """Map from a position in the source image (0 to 1) to output pixels: scale * position + shift, per axis.

    `scale` is the extent of the whole image in output pixels, negative in x if the image is mirrored.
    """

    scale_x: float
    scale_y: float
    shift_x: float
    shift_y: float


def pyramid(image: UInt8[np.ndarray, "h w 3"], num_levels: int = 4) -> tuple[UInt8[np.ndarray, "h w 3"], ...]:
    """Returns the image and its halvings by pixel averaging; stops before a side falls below 16 px."""
    levels = [image]
    while len(levels) < num_levels and min(levels[-1].shape[:2]) >= 32:
        height, width = levels[-1].shape[:2]
        levels.append(cv2.resize(levels[-1], (width // 2, height // 2), interpolation=cv2.INTER_AREA))
    return tuple(levels)


def draw_layout(
    recipe: Augmentation, size_hw: tuple[int, int], generator: Generator, *, is_stretched: bool = False
) -> Layout:
    """Draws the tiles of the next training image, of `size_hw` (height, width) pixels."""
    height, width = size_hw
    whole = Tile(0, 0, width, height)
    if generator.random() >= recipe.mosaic:
        return Layout((whole,), size_hw, is_mosaic=False, is_stretched=is_stretched)
    probabilities = np.asarray(recipe.grid_probabilities, dtype=np.float64)
    side = 1 + int(generator.choice(len(probabilities), p=probabilities / probabilities.sum()))
    tiles = guillotine(whole, side * side, generator)
    return Layout(tiles, size_hw, is_mosaic=True, is_stretched=is_stretched)


def guillotine(whole: Tile, num_tiles: int, generator: Generator) -> tuple[Tile, ...]:
    """Cuts `whole` into disjoint tiles: each cut divides the largest tile across its longer side.

    A cut lies between 35 % and 65 % of the side. Tiles are never cut below 2 px.
    """
    tiles = [whole]
    while len(tiles) < num_tiles:
        tile = tiles.pop(max(range(len(tiles)), key=lambda index: tiles[index].width * tiles[index].height))
        part = generator.uniform(0.35, 0.65)
        if tile.width >= tile.height:
            middle = tile.left + max(1, round(tile.width * part))
            tiles += [tile._replace(right=middle), tile._replace(left=middle)]
        else:
            middle = tile.top + max(1, round(tile.height * part))
            tiles += [tile._replace(bottom=middle), tile._replace(top=middle)]
    return tuple(tiles)


def compose(
    images: Sequence[Image],
    layout: Layout,
    recipe: Augmentation,
    generator: Generator,
    pad_value: int = PAD_GREY,
) -> tuple[UInt8[np.ndarray, "h w 3"], Float32[np.ndarray, "m 5"]]:
    """Draws a source image into each tile; returns BGR, and rows of class id, cx, cy, w, h in pixels.

    The rows of ignored regions have the class IGNORED.
    """
    canvas = np.full((*layout.size_hw, 3), pad_value, dtype=np.uint8)
    targets = []
    for image, tile in zip(images, layout.tiles, strict=True):
        axis_map = _draw_map(image, tile, layout, recipe, generator)
        reached = _reached(tile, axis_map)
        pixels = _sample(image, reached, axis_map)
        jitter_colour(pixels, recipe, _draw_colours(generator))
        canvas[reached.top : reached.bottom, reached.left : reached.right] = pixels
        targets.append(_targets(image, tile, axis_map, recipe))
    return canvas, np.concatenate(targets)


def compose_targets(
    images: Sequence[Image | Undecoded], layout: Layout, recipe: Augmentation, generator: Generator
) -> Float32[np.ndarray, "m 5"]:
    """Returns the rows that `compose` returns, and draws as much from the generator."""
    targets = []
    for image, tile in zip(images, layout.tiles, strict=True):
        axis_map = _draw_map(image, tile, layout, recipe, generator)
        _draw_colours(generator)
        targets.append(_targets(image, tile, axis_map, recipe))
    return np.concatenate(targets)


def _draw_colours(generator: Generator) -> Float[np.ndarray, "4"]:
    return generator.uniform(-1, 1, 4)


def jitter_colour(
    image: UInt8[np.ndarray, "h w 3"], recipe: Augmentation, drawn: Float[np.ndarray, "4"]
) -> None:
    """Changes hue, saturation, value and gamma of a BGR image, in place.

    `drawn` are numbers from -1 to 1: the parts of the ranges of `recipe`.
    """
    ranges = recipe.hue, recipe.saturation, recipe.value, recipe.gamma
    hue, saturation, value, gamma = drawn * ranges
    ramp = np.arange(256)
    bent = 255 * (ramp / 255) ** math.exp(gamma)  # gamma correction
    # OpenCV's 8-bit hue counts half degrees; one table look-up per pixel changes all three channels.
    columns = [np.floor(ramp + 180 * hue) % 180, ramp * (1 + saturation), bent * (1 + value)]
    table = np.clip(np.rint(np.stack(columns, axis=-1)), 0, 255).astype(np.uint8)[None]
    hsv = cv2.cvtColor(image, cv2.COLOR_BGR2HSV)
    cv2.LUT(hsv, table, dst=hsv)
    cv2.cvtColor(hsv, cv2.COLOR_HSV2BGR, dst=image)


def _draw_map(
    image: Image | Undecoded, tile: Tile, layout: Layout, recipe: Augmentation, generator: Generator
) -> AxisMap:
    height, width = layout.size_hw if layout.is_stretched else image.size_hw
    fits = tile.width / width, tile.height / height
    zoom = math.exp(generator.uniform(math.log(recipe.scale_min), math.log(recipe.scale_max)))  # log-uniform
    scale = (max(fits) if layout.is_mosaic else min(fits)) * zoom
    stretch = (1 + recipe.aspect) ** (generator.uniform(-1, 1) / 2)  # half in x, half in y: keeps the area
    extent_x, extent_y = width * scale * stretch, height * scale / stretch
    is_mirrored = generator.random() < recipe.flip
    wanted = _draw_wanted(image, is_mirrored, recipe, generator)
    shift_x = _draw_shift(tile.width, extent_x, wanted[0::2], recipe.translate, generator) + tile.left
    shift_y = _draw_shift(tile.height, extent_y, wanted[1::2], recipe.translate, generator) + tile.top
    if is_mirrored:
        return AxisMap(-extent_x, extent_y, shift_x + extent_x, shift_y)
    return AxisMap(extent_x, extent_y, shift_x, shift_y)


def _draw_wanted(
    image: Image | Undecoded, is_mirrored: bool, recipe: Augmentation, generator: Generator
) -> Float[np.ndarray, "4"]:
    """Draws the part that the crop must contain: xyxy of an object in the mirrored image, or nothing."""
    num_objects = len(image.boxes_cxcywh)
    if num_objects == 0 or generator.random() >= recipe.keep_object:
        return np.array([1.0, 1.0, 0.0, 0.0])
    box: Float[np.ndarray, "4"] = cxcywh_to_xyxy(image.boxes_cxcywh[generator.integers(num_objects)])
    return np.array([1 - box[2], box[1], 1 - box[0], box[3]]) if is_mirrored else box


def _draw_shift(
    side: int, extent: float, wanted: Float[np.ndarray, "2"], translate: float, generator: Generator
) -> float:
    """Draws the start of an image of length `extent` in a tile of length `side` with the wanted part.

    The image lies inside the tile (or covers it, if longer) up to `translate`. A wanted part longer than the
    tile covers it; the reversed interval (1, 0) allows all shifts.
    """
    slack = translate * min(side, extent)
    limits = min(0.0, side - extent) - slack, max(0.0, side - extent) + slack
    bounds = sorted((-wanted[0] * extent, side - wanted[1] * extent))
    low, high = np.clip(bounds, *limits)
    return float(generator.uniform(low, high))


def _reached(tile: Tile, axis_map: AxisMap) -> Tile:
    """Returns the rectangle of the tile's pixels that the source image covers, at least in part."""
    left, right = sorted((axis_map.shift_x, axis_map.shift_x + axis_map.scale_x))
    top, bottom = axis_map.shift_y, axis_map.shift_y + axis_map.scale_y
    start = max(tile.left, math.floor(left)), max(tile.top, math.floor(top))
    return Tile(*start, min(tile.right, math.ceil(right)), min(tile.bottom, math.ceil(bottom)))


def _sample(image: Image, reached: Tile, axis_map: AxisMap) -> UInt8[np.ndarray, "h w 3"]:
    """Returns the pixels of the rectangle `reached`, sampled from the pyramid level nearest in scale."""
    height, width = image.size_hw
    shrink = math.sqrt(height * width / abs(axis_map.scale_x * axis_map.scale_y))  # source px per output px
    level = image.levels[min(max(round(math.log2(shrink)), 0), len(image.levels) - 1)]
    scale_x, scale_y = axis_map.scale_x / level.shape[1], axis_map.scale_y / level.shape[0]
    # The map is in continuous positions, OpenCV in pixel centres: half a pixel on either side.
    shift_x = axis_map.shift_x - reached.left + scale_x / 2 - 0.5
    shift_y = axis_map.shift_y - reached.top + scale_y / 2 - 0.5
    matrix = np.array([[scale_x, 0, shift_x], [0, scale_y, shift_y]])
    return cv2.warpAffine(level, matrix, (reached.width, reached.height), borderMode=cv2.BORDER_REPLICATE)


def _targets(
    image: Image | Undecoded, tile: Tile, axis_map: AxisMap, recipe: Augmentation
) -> Float32[np.ndarray, "m 5"]:
    """Returns the visible boxes in the tile: class id, cx, cy, w, h in pixels of the canvas."""
    whole, visible = _clipped(image.boxes_cxcywh, tile, axis_map)
    is_visible = area_xyxy(visible) >= recipe.min_visible * area_xyxy(whole)
    is_visible &= (visible[:, 2:] - visible[:, :2]).min(axis=1) >= recipe.min_side_px
    boxes = xyxy_to_cxcywh(visible[is_visible])
    rows = np.concatenate([image.class_ids[is_visible, None], boxes], axis=1, dtype=np.float32)
    if not len(image.ignored):
        return rows
    _, regions = _clipped(image.ignored.boxes_cxcywh, tile, axis_map)
    boxes = xyxy_to_cxcywh(regions[area_xyxy(regions) > 0])
    ignored = np.concatenate([np.full((len(boxes), 1), IGNORED), boxes], axis=1, dtype=np.float32)
    return np.concatenate([rows, ignored])


def _clipped(
    boxes_cxcywh: Float32[np.ndarray, "n 4"], tile: Tile, axis_map: AxisMap
) -> tuple[Float[np.ndarray, "n 4"], Float[np.ndarray, "n 4"]]:
    """Returns boxes xyxy in pixels of the canvas, whole and clipped to the tile."""
    extent = np.array([axis_map.scale_x, axis_map.scale_y])
    centres = boxes_cxcywh[:, :2] * extent + (axis_map.shift_x, axis_map.shift_y)
    sides = boxes_cxcywh[:, 2:] * np.abs(extent)
    whole = cxcywh_to_xyxy(np.concatenate([centres, sides], axis=1))
    return whole, np.clip(whole, (tile.left, tile.top) * 2, (tile.right, tile.bottom) * 2)
