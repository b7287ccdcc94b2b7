"""Places of overlapping tiles that cover an image."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import product
from typing import NamedTuple

import numpy as np
from jaxtyping import UInt8


class Tile(NamedTuple):
    """A rectangle of an image in whole pixels; right and bottom are exclusive."""

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

    @property
    def size(self) -> tuple[int, int]:
        """Height and width."""
        return self.height, self.width

    def of(self, image: UInt8[np.ndarray, "H W 3"]) -> UInt8[np.ndarray, "h w 3"]:
        """Returns the part of the image, a view."""
        return image[self.top : self.bottom, self.left : self.right]


@dataclass(frozen=True)
class Tiling:
    """The way in which images are cut into tiles."""

    size_hw: tuple[int, int]  # height and width of a tile in pixels of the image
    overlap: float = 0.25  # least part of a tile's side that it shares with its neighbour, below 1
    whole: bool = True  # also run on the whole image, for objects larger than a tile

    def tiles(self, height: int, width: int) -> list[Tile]:
        """Returns the tiles of an image, row by row; one for an image that is no larger than a tile.

        They are spread evenly, so that neighbours share at least `overlap` and none reaches out of the image.
        """
        tile_height, tile_width = min(height, self.size_hw[0]), min(width, self.size_hw[1])
        tops = _starts(height, tile_height, self.overlap)
        lefts = _starts(width, tile_width, self.overlap)
        return [Tile(left, top, left + tile_width, top + tile_height) for top, left in product(tops, lefts)]

    def views(self, height: int, width: int) -> list[Tile]:
        """Returns the tiles, and the whole image at the end where it is wanted and larger than a tile."""
        tiles = self.tiles(height, width)
        return [*tiles, Tile(0, 0, width, height)] if self.whole and len(tiles) > 1 else tiles


def _starts(side: int, tile_side: int, overlap: float) -> list[int]:
    """Returns the first pixels of the tiles along a side of the image."""
    if side <= tile_side:
        return [0]
    step = max(1, math.floor(tile_side * (1 - overlap)))
    num = math.ceil((side - tile_side) / step) + 1
    return [round(number * (side - tile_side) / (num - 1)) for number in range(num)]
