"""Merging across tile borders: an ideal detector finds the visible part of each object in a tile."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seyolo.boxes import area_xyxy, iou_matrix
from seyolo.detections import Detections
from seyolo.tiling.grid import Tile, Tiling
from seyolo.tiling.merging import merged

IOU = 0.6


def seen(objects: Detections, tile: Tile) -> Detections:
    """What an ideal detector finds in a tile, in pixels of the tile."""
    low, high = [tile.left, tile.top] * 2, [tile.right, tile.bottom] * 2
    boxes = np.clip(objects.boxes, low, high) - low
    found = Detections(boxes, objects.scores, objects.class_ids, objects.names)
    return found[area_xyxy(boxes) > 0]


def put_together(objects: Detections, tiling: Tiling, size: tuple[int, int]) -> Detections:
    tiles = tiling.views(*size)
    return merged([seen(objects, tile) for tile in tiles], tiles, size, IOU)


def objects_of(boxes: Sequence[Sequence[float]], class_ids: Sequence[int] | None = None) -> Detections:
    scores = np.linspace(0.9, 0.5, len(boxes))
    return Detections(
        np.array(boxes, np.float32), scores, np.array(class_ids or [0] * len(boxes)), ["a", "b"]
    )


def same(found: Detections, expected: Detections) -> bool:
    """Whether the same objects come out, in any order, to a hundredth of a pixel."""
    if len(found) != len(expected):
        return False
    rows = [
        sorted((i, *np.round(box, 1).tolist()) for i, box in zip(d.class_ids.tolist(), d.boxes, strict=True))
        for d in (found, expected)
    ]
    return all(np.allclose(*pair, atol=0.11) for pair in zip(*rows, strict=True))


def drawn(generator: np.random.Generator, size: tuple[int, int], num: int, largest: float) -> Detections:
    """Random objects of two classes; those of one class overlap less than suppression allows."""
    height, width = size
    kept: list[np.ndarray] = [np.array([1.0, 2.0, 30.0, 20.0])]
    classes = [0]
    for _ in range(num):
        sides = np.exp(generator.uniform(np.log(4), np.log(largest), 2))
        centre = generator.uniform(0, [width, height])
        box = np.clip(np.concatenate([centre - sides / 2, centre + sides / 2]), 0, [width, height] * 2)
        class_id = int(generator.integers(2))
        if (box[2:] - box[:2]).min() < 3:
            continue
        alike = [other for other, owner in zip(kept, classes, strict=True) if owner == class_id]
        if not alike or iou_matrix(box[None], np.array(alike)).max() < 0.5:
            kept.append(box)
            classes.append(class_id)
    scores = generator.uniform(0.3, 1, len(kept))
    return Detections(np.array(kept, np.float32), scores, np.array(classes), ["a", "b"])


@settings(max_examples=300, deadline=None)
@given(
    seed=st.integers(0, 1 << 30),
    size=st.tuples(st.integers(40, 900), st.integers(40, 900)),
    tiling=st.builds(
        Tiling,
        st.tuples(st.integers(60, 300), st.integers(60, 300)),
        st.sampled_from([0.0, 0.05, 0.1, 0.25, 0.33, 0.5]),
        st.booleans(),
    ),
    num=st.integers(1, 25),
    largest=st.sampled_from([20.0, 80.0, 400.0, 1200.0]),
)
def test_an_ideal_detector_gives_the_objects_back(
    seed: int, size: tuple[int, int], tiling: Tiling, num: int, largest: float
) -> None:
    objects = drawn(np.random.default_rng(seed), size, num, largest)
    assert same(put_together(objects, tiling, size), objects)


TILES = Tiling((100, 100), 0.2)
SIZE = (100, 180)  # two tiles, 0 to 100 and 80 to 180


CASES = {
    "in one tile": [[10, 10, 30, 40]],
    "in the strip that both share": [[83, 10, 97, 40]],
    "across the border": [[60, 10, 120, 40]],
    "cut by a pixel": [[60, 10, 101, 40]],
    "as wide as the image": [[0, 10, 180, 40]],
    "the whole image": [[0, 0, 180, 100]],
    "inside another": [[50, 10, 130, 90], [84, 40, 96, 60]],
    "inside another, both across the border": [[50, 10, 130, 90], [70, 30, 110, 70]],
    "inside another, one beyond the strip": [[50, 10, 130, 90], [102, 40, 120, 60]],
    "one above the other": [[60, 10, 120, 40], [60, 40, 120, 70]],
    "side by side at the border": [[60, 10, 100, 40], [100, 10, 140, 40]],
    "side by side at the other border": [[40, 10, 80, 40], [80, 10, 140, 40]],
    "crossing": [[20, 40, 160, 60], [84, 10, 96, 90]],
    "overlapping by a third": [[60, 10, 120, 40], [90, 12, 150, 44]],
    "at the image's border": [[0, 0, 20, 20], [160, 80, 180, 100]],
    "near a border that nothing crosses": [[70, 10, 99.5, 40]],
}


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("whole", [False, True])
@pytest.mark.parametrize("is_upright", [False, True])
def test_cases(name: str, whole: bool, is_upright: bool) -> None:
    objects = objects_of([[y, x, b, r] for x, y, r, b in CASES[name]] if is_upright else CASES[name])
    size = SIZE[::-1] if is_upright else SIZE
    found = put_together(objects, Tiling((100, 100), 0.2, whole), size)
    assert same(found, objects)
    assert found.names == ["a", "b"]
    assert (np.diff(found.scores) <= 0).all()


def test_objects_of_two_classes_are_never_joined() -> None:
    objects = objects_of([[60, 10, 120, 40], [60, 10, 120, 40]], [0, 1])
    assert same(put_together(objects, TILES, SIZE), objects)


def by_tile(*boxes: Sequence[Sequence[float]]) -> list[Detections]:
    """Detections of each view of the image, best first."""
    return [objects_of(rows) if rows else Detections.empty() for rows in boxes]


def merge(*boxes: Sequence[Sequence[float]]) -> list[list[float]]:
    return merged(by_tile(*boxes), TILES.views(*SIZE), SIZE, IOU).boxes.tolist()


def test_a_half_beside_the_whole_is_dropped() -> None:
    # 60 to 130 is cut at 100. The right tile shows 85 to 130 whole; the left one sees a little less of it.
    assert merge([[86, 14, 99.5, 38]], [[5, 10, 50, 40]], []) == [[85, 10, 130, 40]]


def test_parts_that_nearly_agree_make_one_box() -> None:
    assert merge([[60, 11, 100, 42]], [[0, 9, 50, 40]], []) == [[60, 9, 130, 42]]


def test_a_part_of_something_else_stays() -> None:
    assert len(merge([[90, 10, 100, 20]], [[0, 50, 30, 80]], [])) == 2


def test_a_part_alone_stays_as_it_is() -> None:
    assert merge([[60, 10, 100, 40]], [], []) == [[60, 10, 100, 40]]


def test_what_the_whole_image_shows_counts_for_large_objects_only() -> None:
    # 100 px wide: no tile shows it whole, and its parts join with it. 15 px: a tile shows it whole.
    assert merge([], [], [[40, 10, 140, 60]]) == [[40, 10, 140, 60]]
    assert merge([[40, 10, 100, 60]], [[0, 10, 60, 60]], [[41, 12, 139, 58]]) == [[40, 10, 140, 60]]
    assert merge([[60, 10, 100, 60]], [[0, 10, 40, 60]], [[20, 10, 160, 60]]) == [[20, 10, 160, 60]]
    assert merge([], [], [[40, 10, 55, 95]]) == []


def test_the_better_of_two_whole_boxes_counts() -> None:
    tiles = TILES.views(*SIZE)
    left = Detections([[84, 10, 96, 30]], [0.4], [0])
    right = Detections([[3, 10, 15, 30]], [0.8], [0])
    found = merged([left, right, Detections.empty()], tiles, SIZE, IOU)
    assert found.boxes.tolist() == [[83, 10, 95, 30]]
    assert found.scores.tolist() == pytest.approx([0.8])


def test_one_view_and_no_boxes() -> None:
    one = by_tile([[1, 2, 3, 4]])
    assert merged(one, [Tile(0, 0, 10, 10)], (10, 10), IOU) is one[0]
    assert len(merged(by_tile([], [], []), TILES.views(*SIZE), SIZE, IOU)) == 0
