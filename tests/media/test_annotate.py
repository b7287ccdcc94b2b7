"""What lands on the image, by pixels."""

from __future__ import annotations

import colorsys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seyolo.detections import Detections
from seyolo.errors import UsageError
from seyolo.media.annotate import (
    BLACK,
    WHITE,
    Marked,
    class_colour,
    contact_sheet,
    draw,
    draw_areas,
    label_corner,
    placed_labels,
    text_colour,
)
from seyolo.media.placing import nearest_free


def found(*boxes: list[float], class_ids: list[int] | None = None) -> Detections:
    num = len(boxes)
    ids = [0] * num if class_ids is None else class_ids
    scores = np.linspace(0.9, 0.5, num)
    return Detections(np.array(boxes, np.float32).reshape(-1, 4), scores, np.array(ids, np.int64))


def test_the_photo_itself_stays_as_it_is() -> None:
    image = np.full((100, 160, 3), 128, np.uint8)
    drawn = draw(image, found([20, 30, 80, 90]), ["hand"])
    assert np.all(image == 128)
    assert drawn.shape == image.shape
    assert np.any(drawn != image)


def test_nothing_found_draws_nothing() -> None:
    image = np.full((100, 160, 3), 128, np.uint8)
    np.testing.assert_array_equal(draw(image, Detections.empty(), ["hand"]), image)


def test_the_line_runs_along_the_box_in_the_colour_of_its_class() -> None:
    image = np.zeros((200, 200, 3), np.uint8)
    drawn = draw(image, found([40, 60, 120, 160], class_ids=[3]), list("abcd"))
    colour = class_colour(3)
    for x, y in [(40, 100), (120, 100), (80, 160), (110, 60)]:
        assert tuple(drawn[y, x].tolist()) == colour
    assert np.all(drawn[100:150, 50:110] == 0)  # crisp: nothing bleeds inside


def test_a_box_that_fills_the_image_is_seen_on_all_sides() -> None:
    drawn = draw(np.zeros((200, 300, 3), np.uint8), found([0, 0, 300, 200]), ["hand"])
    colour = class_colour(0)
    for x, y in [(0, 100), (299, 100), (150, 199), (290, 0)]:
        assert tuple(drawn[y, x].tolist()) == colour


def test_lines_grow_with_the_image() -> None:
    def line_px(side: int) -> int:
        box = [side * 0.25, side * 0.25, side * 0.75, side * 0.75]
        drawn = draw(np.zeros((side, side, 3), np.uint8), found(box), ["hand"])
        return int(np.count_nonzero(drawn[side // 2, : side // 2].any(axis=1)))

    assert line_px(200) == 1
    assert line_px(3200) == pytest.approx(10, abs=1)


def test_the_best_box_is_drawn_on_top() -> None:
    drawn = draw(
        np.zeros((200, 200, 3), np.uint8),
        found([50, 80, 150, 180], [50, 80, 150, 180], class_ids=[1, 0]),
        list("ab"),
    )
    assert tuple(drawn[130, 50].tolist()) == class_colour(1)


@pytest.mark.parametrize(
    ("box", "expected"),
    [
        ([50, 60, 90, 90], (49, 39)),  # above: 60 - 1 - 20, and flush with the outer edge of the 2 px line
        ([50, 10, 90, 90], (49, 11)),  # no room above 10 px: inside, below the line
        ([180, 60, 199, 90], (120, 39)),  # pushed left until its 80 px fit into 200
        ([0, 60, 40, 90], (0, 39)),
        ([10, 95, 40, 99], (9, 74)),
    ],
)
def test_labels_stay_on_the_image(box: list[float], expected: tuple[int, int]) -> None:
    assert label_corner(np.array(box), (20, 80), (100, 200), line_px=2) == expected


def overlap(one: tuple[int, int, int, int], other: tuple[int, int, int, int]) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]


@settings(max_examples=200, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 40), st.sampled_from([(240, 320), (64, 64), (1080, 1920)]))
def test_labels_of_random_boxes_never_cover_one_another(seed: int, num: int, size: tuple[int, int]) -> None:
    rng = np.random.default_rng(seed)
    height, width = size
    centres = rng.uniform(0.3, 0.7, (num, 2)) if seed % 2 else rng.uniform(0, 1, (num, 2))
    half = rng.uniform(0.01, 0.3, (num, 2)) / 2
    boxes = np.clip(np.concatenate([centres - half, centres + half], axis=1), 0, 1) * np.tile(
        [width, height], 2
    )
    texts = [f"{'hand' * (index % 3)} 0.{index:02d}" for index in range(num)]
    labels = placed_labels(boxes, texts, size)
    assert labels[0].box == num - 1  # the best detection always has its label
    for number, label in enumerate(labels):
        left, top, right, bottom = label.area
        assert min(left, top) >= 0
        assert bottom <= height
        assert right <= width or left == 0  # a text wider than the image begins at its edge
        box_left, box_top, box_right, box_bottom = boxes[label.box]
        reach = box_left - 4 - right, left - box_right - 4, box_top - 4 - bottom, top - box_bottom - 4
        assert max(reach) <= 0  # it touches its box
        assert not any(overlap(label.area, other.area) for other in labels[:number])


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_the_nearest_free_place_is_what_trying_all_finds(seed: int) -> None:
    rng = np.random.default_rng(seed)
    size, limits = (6, 4), (0, 0, 24, 18)
    taken = [
        (x, y, x + w, y + h) for x, y, w, h in rng.integers((0, 0, 3, 3), (24, 18, 14, 12), (7, 4)).tolist()
    ]
    wanted = tuple(rng.integers(0, 18, 2).tolist())
    free = [
        (abs(x - wanted[0]) + abs(y - wanted[1]))
        for x in range(limits[2] + 1)
        for y in range(limits[3] + 1)
        if not any(overlap((x, y, x + size[0], y + size[1]), other) for other in taken)
    ]
    found = nearest_free(size, wanted, limits, taken)
    assert (found is None) == (not free)
    if found is not None:
        assert abs(found[0] - wanted[0]) + abs(found[1] - wanted[1]) == min(free)


def test_a_label_lies_on_the_lines_of_all_boxes() -> None:
    """Both boxes have one colour: where a label is, no pixel of the other class's line is left."""
    boxes = np.array([[50, 80, 150, 180], [55, 60, 120, 160]], np.float32)
    drawn = draw(np.zeros((200, 200, 3), np.uint8), found(*boxes.tolist(), class_ids=[0, 1]), list("ab"))
    labels = placed_labels(boxes[::-1], ["b 0.50", "a 0.90"], (200, 200))
    for label in labels:
        left, top, right, bottom = label.area
        inside = drawn[top:bottom, left:right]
        assert (inside == class_colour(1 - label.box)).all(axis=2).mean() > 0.5
        assert not (inside == class_colour(label.box)).all(axis=2).any()


def test_colours_are_stable_and_neighbours_differ() -> None:
    assert class_colour(0) == class_colour(0)
    colours = [class_colour(index) for index in range(80)]
    assert len(set(colours)) == 80
    hues = [colorsys.rgb_to_hsv(red / 255, green / 255, blue / 255)[0] for blue, green, red in colours]
    apart = np.abs(np.diff(hues))
    assert np.all(np.minimum(apart, 1 - apart) > 0.3)  # a golden angle is 0.38 of the wheel


def test_text_reads_on_every_class_colour() -> None:
    def luminance(colour: tuple[int, int, int]) -> float:
        linear = [
            v / 12.92 if v <= 0.04045 else ((v + 0.055) / 1.055) ** 2.4 for v in (c / 255 for c in colour)
        ]
        return 0.0722 * linear[0] + 0.7152 * linear[1] + 0.2126 * linear[2]

    for index in range(80):
        light, dark = sorted((luminance(class_colour(index)), luminance(text_colour(class_colour(index)))))[
            ::-1
        ]
        assert (light + 0.05) / (dark + 0.05) > 4.5  # WCAG 2 contrast, level AA
    assert text_colour((255, 255, 255)) == BLACK
    assert text_colour((0, 0, 0)) == WHITE


def test_contact_sheet_puts_images_row_by_row() -> None:
    images = [np.full((10, 20, 3), grey, np.uint8) for grey in (10, 20, 30)]
    sheet = contact_sheet(images, columns=2, cell_px=40, gap_px=4)
    # Two columns and two rows of 40 with gaps of 4 around: 3 * 4 + 2 * 40.
    assert sheet.shape == (92, 92, 3)
    centres = [sheet[24, 24, 0], sheet[24, 68, 0], sheet[68, 24, 0], sheet[68, 68, 0]]
    assert centres == [10, 20, 30, 255]
    assert sheet[24, 2, 0] == 255


def test_contact_sheet_of_fewer_images_than_columns_has_no_empty_ones() -> None:
    assert contact_sheet([np.zeros((5, 5, 3), np.uint8)], columns=4, cell_px=40, gap_px=4).shape == (
        48,
        48,
        3,
    )


def test_contact_sheet_of_nothing_is_refused() -> None:
    with pytest.raises(UsageError, match="needs images"):
        contact_sheet([])


def test_texts_of_lines_and_zones_never_cover_each_other() -> None:
    image = np.full((300, 400, 3), 90, np.uint8)
    alone = []
    line, zone = (
        Marked([(0, 60), (400, 60)], ["in: 3 hand"]),
        Marked([(190, 50), (390, 50), (390, 290)], ["in: 0"]),
    )
    for areas in ([line], [zone], [line, zone]):
        drawn = image.copy()
        draw_areas(drawn, areas)
        alone.append(int((drawn == 255).all(axis=2).sum()))
    # White pixels of both: those of each alone, but for a few where the outlines meet.
    assert alone[2] == pytest.approx(alone[0] + alone[1], rel=0.05)
    assert drawn[60, 5].min() > 200
