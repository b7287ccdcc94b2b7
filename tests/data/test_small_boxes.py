"""Boxes that become too small at an input size."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import pytest

from seyolo.data.samples import Sample
from seyolo.data.small_boxes import small_boxes, warn_of_small_boxes
from seyolo.tiling.grid import Tiling


def sample(
    sides_px: list[float], size: tuple[int, int] = (960, 1280), tiling: Tiling | None = None
) -> Sample:
    """An image of a stated size with square boxes of these sides."""
    height, width = size
    boxes = np.array([[0.5, 0.5, side / width, side / height] for side in sides_px], np.float32).reshape(
        -1, 4
    )
    return Sample(Path("a.jpg"), boxes, np.zeros(len(boxes), np.int64), stated_size=size, tiling=tiling)


def text_of(samples: list[Sample], size: tuple[int, int]) -> str:
    with pytest.warns(UserWarning, match="(box|boxes) (is|are) under 3 px") as caught:
        warn_of_small_boxes(samples, size)
    return str(caught[0].message)


def test_the_size_that_keeps_all() -> None:
    # 1280 px on 320: a quarter. 10 px become 2.5, 40 become 10. 3 px need a growth of 1.2: 384.
    assert text_of([sample([10, 10, 40])], (320, 320)) == (
        "2 of 3 boxes are under 3 px at --size 320; the least that keeps them is 384, or use --tile"
    )
    # 2.5 px become 0.625: a growth of 4.8, 1,536.
    assert text_of([sample([2.5] * 41 + [40] * 19)], (320, 320)).startswith(
        "41 of 60 boxes are under 3 px at --size 320; the least that keeps them is 1,536"
    )
    # A size that is no multiple of 32 is rounded up.
    assert "keeps them is 416," in text_of([sample([9.5, 40])], (320, 320))


def test_rectangles_and_both_axes() -> None:
    # Scale 0.2 by the height: 12 px become 2.4, so a growth of 1.25.
    text = text_of([sample([12])], (192, 320))
    assert text.startswith(
        "1 of 1 box is under 3 px at --size 320x192; the least that keeps them is 416x256,"
    )
    stretched = small_boxes([sample([10])], (320, 1280), "stretch")
    assert (stretched.num_small, stretched.num_boxes) == (0, 1)
    assert small_boxes([sample([8])], (320, 1280), "stretch").num_small == 1


def test_tiles_are_taken_into_account() -> None:
    assert small_boxes([sample([4, 4], tiling=Tiling((320, 320)))], (320, 320)).num_small == 0
    text = text_of([sample([4, 4], tiling=Tiling((640, 640)))], (320, 320))
    place = "--tile-size 640 and --size 320"
    assert text == f"2 of 2 boxes are under 3 px at {place}; the largest tile that keeps them is 426"
    # An image that is no larger than a tile is one piece.
    assert small_boxes([sample([4], (320, 320), Tiling((640, 640)))], (320, 320)).num_small == 0


def test_a_few_are_no_warning() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warn_of_small_boxes([sample([1] + [100] * 10)], (320, 320))
        warn_of_small_boxes([sample([])], (320, 320))
        warn_of_small_boxes([], (320, 320))
        warn_of_small_boxes([sample([12.1] * 5)], (320, 320))  # 3.02 px
    assert "1 of 10 boxes" in text_of([sample([1] + [100] * 9)], (320, 320))


def test_many_images_are_looked_at_in_part() -> None:
    found = small_boxes([sample([1, 100])] * 2000, (320, 320))
    assert (found.num_small, found.num_boxes) == (500, 1000)
