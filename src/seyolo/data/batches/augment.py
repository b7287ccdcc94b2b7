"""Training images made from source images: mosaics of 1 to n² tiles, scale, crop, flip and colour.

Pure functions over numpy and OpenCV; all chance comes from the generator passed in.

Notable: scale, crop, flip and position of a source image are one affine map, and `cv2.warpAffine` computes
just the pixels of its tile of the output, so no larger canvas is ever made. The map samples from the level of
a small pyramid whose resolution is nearest to the output's, since bilinear sampling of an image four
times too large would alias, and evaluation images are shrunk without aliasing. Tiles come from guillotine
cuts, so one output holds objects of several scales; together with the zoom inside a tile the size of
objects is about log-uniform, from the whole input down to a few pixels.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import cv2
import numpy as np
from jaxtyping import Float, Float32, Int64, UInt8

from seyolo.boxes import area_xyxy, cxcywh_to_xyxy, xyxy_to_cxcywh
from seyolo.letterbox import PAD_GREY
from seyolo.options.augmentation import Augmentation


@dataclass(frozen=True)
class Image:
    """A decoded source image and its labels.

    Attributes:
        levels: BGR images, each half the size of the one before; see `pyramid`.
        boxes_cxcywh: (n, 4) in parts of the image's width and height.
        class_ids: (n,).
    """

    levels: tuple[UInt8[np.ndarray, "h w 3"], ...]
    boxes_cxcywh: Float32[np.ndarray, "n 4"]
    class_ids: Int64[np.ndarray, " n"]


class Tile(NamedTuple):
    """A rectangle of the output in whole pixels; right and bottom are exclusive."""

    left: int
    top: int
    right: int
    bottom: int

    @property
    def width(self) -> int:
        return self.right - self.left

    @property
    def height(self) -> int:
        return self.bottom - self.top


class Layout(NamedTuple):
    """Where the source images of one training image go: `tiles` of a square of `size_px`.

    In a mosaic, zoom 1 covers the tile; otherwise it fits the image into it.
    """

    tiles: tuple[Tile, ...]
    size_px: int
    is_mosaic: bool


class AxisMap(NamedTuple):
    """Output position = `scale` * (position as a part of the source image, 0 to 1) + `shift`, per axis.

    `scale` is the extent of the whole image in output pixels, negative in x when it is mirrored.
    """

    scale_x: float
    scale_y: float
    shift_x: float
    shift_y: float


def pyramid(image: UInt8[np.ndarray, "h w 3"], num_levels: int = 4) -> tuple[UInt8[np.ndarray, "h w 3"], ...]:
    """The image and its halvings by pixel averaging, ending early where a side would fall below 16 px."""
    levels = [image]
    while len(levels) < num_levels and min(levels[-1].shape[:2]) >= 32:
        height, width = levels[-1].shape[:2]
        levels.append(cv2.resize(levels[-1], (width // 2, height // 2), interpolation=cv2.INTER_AREA))
    return tuple(levels)


def draw_layout(recipe: Augmentation, size_px: int, generator: np.random.Generator) -> Layout:
    """The tiles of the next training image, a square of `size_px`; each needs a source image."""
    whole = Tile(0, 0, size_px, size_px)
    if generator.random() >= recipe.mosaic:
        return Layout((whole,), size_px, is_mosaic=False)
    probabilities = np.asarray(recipe.grid_probabilities, dtype=np.float64)
    side = 1 + int(generator.choice(len(probabilities), p=probabilities / probabilities.sum()))
    return Layout(guillotine(whole, side * side, generator), size_px, is_mosaic=True)


def guillotine(whole: Tile, num_tiles: int, generator: np.random.Generator) -> tuple[Tile, ...]:
    """Disjoint tiles that cover `whole`: the largest is cut across its longer side until there are enough.

    A cut falls between 35 % and 65 % of the side. Tiles are never cut below 2 px.
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
    images: Sequence[Image], layout: Layout, recipe: Augmentation, generator: np.random.Generator
) -> tuple[UInt8[np.ndarray, "s s 3"], Float32[np.ndarray, "m 5"]]:
    """Draws one source image into each tile of the layout.

    Args:
        images: as many as the layout has tiles.

    Returns:
        The BGR training image, and its targets: class id, centre x, centre y, width, height in pixels.
    """
    canvas = np.full((layout.size_px, layout.size_px, 3), PAD_GREY, dtype=np.uint8)
    targets = []
    for image, tile in zip(images, layout.tiles, strict=True):
        axis_map = _draw_map(image, tile, layout.is_mosaic, recipe, generator)
        reached = _reached(tile, axis_map)
        pixels = _sample(image, reached, axis_map)
        jitter_colour(pixels, recipe, generator)
        canvas[reached.top : reached.bottom, reached.left : reached.right] = pixels
        targets.append(_targets(image, tile, axis_map, recipe))
    return canvas, np.concatenate(targets)


def jitter_colour(
    image: UInt8[np.ndarray, "h w 3"], recipe: Augmentation, generator: np.random.Generator
) -> None:
    """Shifts hue, scales saturation and value and bends value of a BGR image at random, in place."""
    ranges = recipe.hue, recipe.saturation, recipe.value, recipe.gamma
    hue, saturation, value, gamma = generator.uniform(-1, 1, 4) * ranges
    ramp = np.arange(256)
    bent = 255 * (ramp / 255) ** math.exp(gamma)
    # OpenCV's 8-bit hue counts half degrees; the tables make one pass over the pixels do for all three.
    columns = [np.floor(ramp + 180 * hue) % 180, ramp * (1 + saturation), bent * (1 + value)]
    table = np.clip(np.rint(np.stack(columns, axis=-1)), 0, 255).astype(np.uint8)[None]
    hsv = cv2.cvtColor(image, cv2.COLOR_BGR2HSV)
    cv2.LUT(hsv, table, dst=hsv)
    cv2.cvtColor(hsv, cv2.COLOR_HSV2BGR, dst=image)


def _draw_map(
    image: Image, tile: Tile, cover: bool, recipe: Augmentation, generator: np.random.Generator
) -> AxisMap:
    height, width = image.levels[0].shape[:2]
    fits = tile.width / width, tile.height / height
    zoom = math.exp(generator.uniform(math.log(recipe.scale_min), math.log(recipe.scale_max)))
    scale = (max(fits) if cover else min(fits)) * zoom
    stretch = (1 + recipe.aspect) ** (generator.uniform(-1, 1) / 2)
    extent_x, extent_y = width * scale * stretch, height * scale / stretch
    is_mirrored = generator.random() < recipe.flip
    wanted = _draw_wanted(image, is_mirrored, recipe, generator)
    shift_x = _draw_shift(tile.width, extent_x, wanted[0::2], recipe.translate, generator) + tile.left
    shift_y = _draw_shift(tile.height, extent_y, wanted[1::2], recipe.translate, generator) + tile.top
    if is_mirrored:
        return AxisMap(-extent_x, extent_y, shift_x + extent_x, shift_y)
    return AxisMap(extent_x, extent_y, shift_x, shift_y)


def _draw_wanted(
    image: Image, is_mirrored: bool, recipe: Augmentation, generator: np.random.Generator
) -> Float[np.ndarray, "4"]:
    """What the crop should hold, an object or nothing: xyxy in parts of the image after mirroring."""
    num_objects = len(image.boxes_cxcywh)
    if num_objects == 0 or generator.random() >= recipe.keep_object:
        return np.array([1.0, 1.0, 0.0, 0.0])
    box: Float[np.ndarray, "4"] = cxcywh_to_xyxy(image.boxes_cxcywh[generator.integers(num_objects)])
    return np.array([1 - box[2], box[1], 1 - box[0], box[3]]) if is_mirrored else box


def _draw_shift(
    side: int,
    extent: float,
    wanted: Float[np.ndarray, "2"],
    translate: float,
    generator: np.random.Generator,
) -> float:
    """Where an image `extent` long starts in a tile `side` long, so that the wanted part lies in the tile.

    The image stays inside the tile (or covers it, when it is longer) up to `translate`. A wanted part
    longer than the tile covers it; a reversed one (1, 0) leaves all shifts open.
    """
    slack = translate * min(side, extent)
    limits = min(0.0, side - extent) - slack, max(0.0, side - extent) + slack
    bounds = sorted((-wanted[0] * extent, side - wanted[1] * extent))
    low, high = np.clip(bounds, *limits)
    return float(generator.uniform(low, high))


def _reached(tile: Tile, axis_map: AxisMap) -> Tile:
    """The pixels of the tile that the source image reaches, at least in part."""
    left, right = sorted((axis_map.shift_x, axis_map.shift_x + axis_map.scale_x))
    top, bottom = axis_map.shift_y, axis_map.shift_y + axis_map.scale_y
    return Tile(
        left=max(tile.left, math.floor(left)),
        top=max(tile.top, math.floor(top)),
        right=min(tile.right, math.ceil(right)),
        bottom=min(tile.bottom, math.ceil(bottom)),
    )


def _sample(image: Image, reached: Tile, axis_map: AxisMap) -> UInt8[np.ndarray, "h w 3"]:
    """The pixels of the rectangle `reached`, sampled from the level of the pyramid that suits the scale."""
    height, width = image.levels[0].shape[:2]
    shrink = math.sqrt(height * width / abs(axis_map.scale_x * axis_map.scale_y))
    level = image.levels[min(max(round(math.log2(shrink)), 0), len(image.levels) - 1)]
    scale_x, scale_y = axis_map.scale_x / level.shape[1], axis_map.scale_y / level.shape[0]
    # The map speaks of continuous positions, OpenCV of pixel centres: half a pixel on either side.
    shift_x = axis_map.shift_x - reached.left + scale_x / 2 - 0.5
    shift_y = axis_map.shift_y - reached.top + scale_y / 2 - 0.5
    matrix = np.array([[scale_x, 0, shift_x], [0, scale_y, shift_y]])
    return cv2.warpAffine(level, matrix, (reached.width, reached.height), borderMode=cv2.BORDER_REPLICATE)


def _targets(image: Image, tile: Tile, axis_map: AxisMap, recipe: Augmentation) -> Float32[np.ndarray, "m 5"]:
    """The boxes that stay visible in the tile: class id, cx, cy, w, h in pixels of the canvas."""
    extent = np.array([axis_map.scale_x, axis_map.scale_y])
    centres = image.boxes_cxcywh[:, :2] * extent + (axis_map.shift_x, axis_map.shift_y)
    sides = image.boxes_cxcywh[:, 2:] * np.abs(extent)
    whole = cxcywh_to_xyxy(np.concatenate([centres, sides], axis=1))
    visible = np.clip(whole, (tile.left, tile.top) * 2, (tile.right, tile.bottom) * 2)
    stays = area_xyxy(visible) >= recipe.min_visible * area_xyxy(whole)
    stays &= (visible[:, 2:] - visible[:, :2]).min(axis=1) >= recipe.min_side_px
    boxes = xyxy_to_cxcywh(visible[stays])
    return np.concatenate([image.class_ids[stays, None], boxes], axis=1, dtype=np.float32)
