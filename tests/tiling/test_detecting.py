"""Whole images through a detector in tiles."""

from __future__ import annotations

import numpy as np
import pytest

from helpers.square_finder import SquareFinder, squares_image
from seyolo.detector import Detector
from seyolo.tiling.grid import Tiling

BOXES = [[5, 5, 25, 20], [80, 40, 130, 60], [150, 10, 260, 30], [10, 90, 30, 180], [200, 60, 290, 190]]
SIZE = (200, 300)


def found_in(
    image: np.ndarray, tiling: Tiling | None, backend: SquareFinder, batch_size: int = 1
) -> list[list[int]]:
    detector = Detector(backend, tiling=tiling)
    (found,) = detector.detect_many([image], batch_size=batch_size)
    assert found.names == ("square",)
    return sorted(np.rint(found.boxes).astype(int).tolist())


@pytest.mark.parametrize("overlap", [0.1, 0.25, 0.5])
@pytest.mark.parametrize("whole", [False, True])
def test_objects_across_tiles_come_out_whole(overlap: float, whole: bool) -> None:
    image = squares_image(SIZE, BOXES)
    assert found_in(image, Tiling((100, 100), overlap, whole), SquareFinder()) == sorted(BOXES)


@pytest.mark.parametrize("tile", [(50, 50), (50, 120), (130, 70)])
def test_tiles_of_another_size_than_the_input(tile: tuple[int, int]) -> None:
    found = found_in(squares_image(SIZE, BOXES), Tiling(tile, 0.3), SquareFinder((200, 200)))
    assert len(found) == len(BOXES)
    assert np.abs(np.array(found) - sorted(BOXES)).max() <= 3


def test_tiles_run_in_batches() -> None:
    image, backend = squares_image(SIZE, BOXES), SquareFinder()
    expected = found_in(image, Tiling((100, 100)), SquareFinder())
    assert found_in(image, Tiling((100, 100)), backend, batch_size=5) == expected
    # 300 px: 4 columns of 100 with at least 25 shared; 200 px: 3 rows; and the whole image.
    assert backend.batches == [5, 5, 3]


def test_an_image_no_larger_than_a_tile_is_one_run() -> None:
    image, backend = squares_image((80, 100), [[5, 5, 25, 20]]), SquareFinder()
    assert found_in(image, Tiling((100, 100)), backend) == found_in(image, None, SquareFinder())
    assert backend.batches == [1]


def test_small_objects_are_found_by_tiles_alone() -> None:
    small = [[20, 30, 29, 38], [140, 90, 149, 99], [280, 180, 290, 189]]
    image = squares_image(SIZE, small)
    assert found_in(image, None, SquareFinder(least_px=5)) == []
    assert found_in(image, Tiling((100, 100)), SquareFinder(least_px=5)) == small


def test_several_images_keep_their_order() -> None:
    images = [squares_image(SIZE, [box]) for box in BOXES]
    detector = Detector(SquareFinder(), tiling=Tiling((100, 100)))
    found = [np.rint(d.boxes).astype(int).tolist() for d in detector.detect_many(images, batch_size=2)]
    assert found == [[box] for box in BOXES]


def test_nothing_is_found_in_nothing() -> None:
    assert found_in(np.zeros((*SIZE, 3), np.uint8), Tiling((100, 100)), SquareFinder()) == []
