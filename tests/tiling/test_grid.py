"""Tiles cover the image, overlap as asked, and stay inside."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from seyolo.tiling.grid import Tile, Tiling


@given(
    height=st.integers(1, 3000),
    width=st.integers(1, 3000),
    side=st.tuples(st.integers(32, 700), st.integers(32, 700)),
    overlap=st.floats(0, 0.75),
)
def test_tiles(height: int, width: int, side: tuple[int, int], overlap: float) -> None:
    tiles = Tiling(side, overlap).tiles(height, width)
    covered_x, covered_y = np.zeros(width, int), np.zeros(height, int)
    for tile in tiles:
        assert 0 <= tile.left < tile.right <= width
        assert 0 <= tile.top < tile.bottom <= height
        assert tile.size == (min(height, side[0]), min(width, side[1]))
        covered_x[tile.left : tile.right] = 1
        covered_y[tile.top : tile.bottom] = 1
    assert covered_x.all()
    assert covered_y.all()
    lefts = sorted({tile.left for tile in tiles})
    tops = sorted({tile.top for tile in tiles})
    assert len(tiles) == len(lefts) * len(tops)
    for starts, length in ((lefts, side[1]), (tops, side[0])):
        for first, second in pairwise(starts):
            assert first + length - second >= int(length * overlap)


@pytest.mark.parametrize(
    ("width", "lefts"),
    [(99, [0]), (100, [0]), (101, [0, 1]), (175, [0, 75]), (176, [0, 38, 76]), (250, [0, 75, 150])],
)
def test_places_worked_by_hand(width: int, lefts: list[int]) -> None:
    # 100 px with 25 % overlap: a step of at most 75.
    assert [tile.left for tile in Tiling((100, 100), 0.25).tiles(80, width)] == lefts


def test_views() -> None:
    assert Tiling((100, 100), 0.25).views(100, 150)[-1] == Tile(0, 0, 150, 100)
    assert Tiling((100, 100), 0.25, whole=False).views(100, 150)[-1] == Tile(50, 0, 150, 100)
    assert Tiling((100, 100), 0.25).views(100, 90) == [Tile(0, 0, 90, 100)]


def test_a_tile_of_an_image_is_a_view() -> None:
    image = np.arange(6 * 8 * 3, dtype=np.uint8).reshape(6, 8, 3)
    part = Tile(2, 1, 5, 6).of(image)
    assert part.base is not None
    np.testing.assert_array_equal(part, image[1:6, 2:5])
    assert Tile(2, 1, 5, 6).size == (5, 3)
