"""Augmented images: boxes must lie on what was painted, whatever the recipe draws."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seyolo.boxes import cxcywh_to_xyxy
from seyolo.data.batches.augment import (
    Augmentation,
    Image,
    Tile,
    compose,
    draw_layout,
    guillotine,
    jitter_colour,
    pyramid,
)
from seyolo.letterbox import Fit

COLOURLESS = replace(Augmentation(), hue=0.0, saturation=0.0, value=0.0, gamma=0.0)
BOX = (0.30, 0.35, 0.20, 0.30)
"""The white rectangle of `marked_image`: cx, cy, w, h in parts."""


def marked_image(height: int = 300, width: int = 400, class_id: int = 2) -> Image:
    """Black with one white rectangle, which is its only object."""
    image = np.zeros((height, width, 3), dtype=np.uint8)
    cx, cy, w, h = BOX
    rows = slice(round((cy - h / 2) * height), round((cy + h / 2) * height))
    image[rows, round((cx - w / 2) * width) : round((cx + w / 2) * width)] = 255
    return Image(pyramid(image), np.array([BOX], dtype=np.float32), np.array([class_id]))


Size = tuple[int, int]
SIZES = st.sampled_from([(320, 320), (192, 416), (416, 160)])


def drawn(
    recipe: Augmentation, seed: int, size_hw: Size = (320, 320)
) -> tuple[np.ndarray, np.ndarray, list[Tile]]:
    generator = np.random.default_rng(seed)
    layout = draw_layout(recipe, size_hw, generator)
    images = [marked_image(class_id=number) for number in range(len(layout.tiles))]
    image, targets = compose(images, layout, recipe, generator)
    assert image.shape == (*size_hw, 3)
    return image, targets, list(layout.tiles)


def white_corners(image: np.ndarray, tile: Tile) -> np.ndarray:
    rows, columns = np.nonzero(image[tile.top : tile.bottom, tile.left : tile.right, 0] > 127)
    corners = [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
    return np.array(corners) + (tile.left, tile.top) * 2


def box_errors(recipe: Augmentation, seed: int, size_hw: Size = (320, 320)) -> np.ndarray:
    """Corners of the targets minus those of the white pixels in their tile, (n, 4) in pixels."""
    image, targets, tiles = drawn(recipe, seed, size_hw)
    painted = np.array([white_corners(image, tiles[int(class_id)]) for class_id in targets[:, 0]])
    return cxcywh_to_xyxy(targets[:, 1:]) - painted.reshape(-1, 4)


@settings(max_examples=25)
@given(st.integers(0, 2**31), SIZES)
def test_boxes_of_a_mosaic_lie_on_what_was_painted(seed: int, size_hw: Size) -> None:
    assert np.abs(box_errors(COLOURLESS, seed, size_hw)).max(initial=0) < 1.5


@settings(max_examples=25)
@given(st.integers(0, 2**31), SIZES)
def test_boxes_of_a_single_image_lie_on_what_was_painted(seed: int, size_hw: Size) -> None:
    assert np.abs(box_errors(COLOURLESS.plain(), seed, size_hw)).max(initial=0) < 1.5


@pytest.mark.parametrize("flip", [0.0, 1.0])
def test_boxes_are_not_shifted_by_part_of_a_pixel(flip: float) -> None:
    errors = np.concatenate([box_errors(replace(COLOURLESS, flip=flip), seed) for seed in range(40)])
    assert len(errors) > 200
    np.testing.assert_allclose(errors.mean(axis=0), 0, atol=0.12)


def test_a_letterboxed_image_without_chance_worked_by_hand() -> None:
    recipe = replace(
        COLOURLESS.plain(), scale_min=1.0, scale_max=1.0, aspect=0.0, translate=0.0, flip=1.0, keep_object=0.0
    )
    generator = np.random.default_rng(0)
    layout = draw_layout(recipe, (320, 320), generator)
    image, targets = compose([marked_image(160, 320)], layout, recipe, generator)
    # Scale 1, so x = 320 * (1 - 0.30) = 224, w = 64, h = 0.3 * 160 = 48; y is 56 below the image's top.
    assert targets[0, [1, 3, 4]].tolist() == pytest.approx([224, 64, 48], abs=1e-4)
    assert targets[0, 0] == 2
    top = targets[0, 2] - 56
    assert 0 <= top <= 160
    rows = np.nonzero(image[:, 0, 0] != 114)[0]
    assert [rows.min(), rows.max()] == pytest.approx([top, top + 159], abs=1)


PLAIN = replace(
    COLOURLESS.plain(), scale_min=1.0, scale_max=1.0, aspect=0.0, translate=0.0, flip=0.0, keep_object=0.0
)


@pytest.mark.parametrize("size_hw", [(320, 320), (192, 416)])
@pytest.mark.parametrize("source_hw", [(150, 400), (400, 150), (900, 700)])
def test_an_image_stretched_without_chance_is_that_of_inference(source_hw: Size, size_hw: Size) -> None:
    generator, source = np.random.default_rng(0), marked_image(*source_hw)
    layout = draw_layout(PLAIN, size_hw, generator, is_stretched=True)
    image, targets = compose([source], layout, PLAIN, generator)
    cx, cy, w, h = BOX
    height, width = size_hw
    assert targets[0].tolist() == pytest.approx([2, cx * width, cy * height, w * width, h * height], abs=1e-3)
    expected, _ = Fit(size_hw, "stretch").image(source.levels[0])
    differs = np.abs(image.astype(int) - expected.astype(int)) > 80
    assert differs.mean() < 0.02  # the edges of the white rectangle


def test_mosaics_of_stretched_images_keep_their_boxes() -> None:
    generator = np.random.default_rng(3)
    layout = draw_layout(replace(COLOURLESS, mosaic=1.0), (320, 320), generator, is_stretched=True)
    image, targets = compose([marked_image(100, 400)] * len(layout.tiles), layout, COLOURLESS, generator)
    assert len(targets)
    for _, cx, cy, w, h in targets.tolist():
        inside = image[
            round(cy - h / 2) + 1 : round(cy + h / 2) - 1, round(cx - w / 2) + 1 : round(cx + w / 2) - 1
        ]
        assert inside.size == 0 or inside.min() > 127


@pytest.mark.parametrize(("visible", "num_kept"), [(0.4, 1), (0.2, 0)])
def test_a_box_stays_when_enough_of_it_is_visible(visible: float, num_kept: int) -> None:
    recipe = replace(
        COLOURLESS,
        grid_probabilities=(1.0,),
        scale_min=1.0,
        scale_max=1.0,
        aspect=0.0,
        translate=0.0,
        flip=0.0,
    )
    # Image and tile are the same 100 px; the 20 px wide box begins `visible` * 20 px before the right edge.
    size = 100
    boxes = np.array([[1.0 - (visible - 0.5) * 0.2, 0.5, 0.2, 0.5]], dtype=np.float32)
    image = Image(pyramid(np.zeros((size, size, 3), np.uint8)), boxes, np.array([0]))
    generator = np.random.default_rng(0)
    _, targets = compose([image], draw_layout(recipe, (size, size), generator), recipe, generator)
    assert len(targets) == num_kept
    if num_kept:
        assert targets[0, 3] == pytest.approx(20 * visible, abs=1e-3)


def test_boxes_thinner_than_the_limit_go() -> None:
    recipe = replace(
        COLOURLESS.plain(), scale_min=1.0, scale_max=1.0, min_side_px=3.0, aspect=0.0, translate=0.0
    )
    boxes = np.array([[0.5, 0.5, 0.028, 0.5], [0.5, 0.5, 0.032, 0.5]], dtype=np.float32)
    image = Image(pyramid(np.zeros((100, 100, 3), np.uint8)), boxes, np.array([0, 1]))
    generator = np.random.default_rng(0)
    _, targets = compose([image], draw_layout(recipe, (100, 100), generator), recipe, generator)
    # 2.8 px and 3.2 px wide.
    assert targets[:, 0].tolist() == [1]


@settings(max_examples=40)
@given(st.integers(1, 30), st.integers(16, 200), st.integers(0, 2**31))
def test_tiles_cover_the_square_once(num_tiles: int, size_px: int, seed: int) -> None:
    tiles = guillotine(Tile(0, 0, size_px, size_px), num_tiles, np.random.default_rng(seed))
    assert len(tiles) == num_tiles
    hits = np.zeros((size_px, size_px), dtype=int)
    for tile in tiles:
        assert tile.width > 0
        assert tile.height > 0
        hits[tile.top : tile.bottom, tile.left : tile.right] += 1
    assert (hits == 1).all()


def test_grid_probabilities_choose_the_number_of_tiles() -> None:
    recipe = replace(Augmentation(), grid_probabilities=(0.0, 1.0, 0.0, 1.0))
    counts = [len(draw_layout(recipe, (320, 320), np.random.default_rng(seed)).tiles) for seed in range(40)]
    assert set(counts) == {4, 16}


@settings(max_examples=20)
@given(st.sampled_from([(1, 1), (1, 5000), (4000, 1), (5, 3)]), st.booleans(), st.integers(0, 2**31))
def test_tiny_and_thin_images_are_no_trouble(size: tuple[int, int], is_plain: bool, seed: int) -> None:
    recipe = Augmentation().plain() if is_plain else Augmentation()
    generator = np.random.default_rng(seed)
    layout = draw_layout(recipe, (96, 96), generator)
    boxes = np.array([[0.5, 0.5, 1.0, 1.0]], dtype=np.float32)
    source = Image(pyramid(np.full((*size, 3), 200, np.uint8)), boxes, np.array([0]))
    image, targets = compose([source] * len(layout.tiles), layout, recipe, generator)
    assert image.shape == (96, 96, 3)
    assert np.isfinite(targets).all()


def test_a_image_without_objects_gives_no_targets() -> None:
    recipe = Augmentation().plain()
    image = Image((np.zeros((50, 40, 3), np.uint8),), np.zeros((0, 4), np.float32), np.zeros(0, np.int64))
    generator = np.random.default_rng(0)
    _, targets = compose([image], draw_layout(recipe, (64, 64), generator), recipe, generator)
    assert targets.shape == (0, 5)
    assert targets.dtype == np.float32


def test_strong_shrinking_does_not_alias() -> None:
    # A one-pixel checkerboard is mean grey at any small scale; sampling it without averaging is noise.
    board = (np.indices((256, 256)).sum(axis=0) % 2 * 255).astype(np.uint8)
    source = Image(
        pyramid(np.repeat(board[..., None], 3, axis=2)), np.zeros((0, 4), np.float32), np.zeros(0, np.int64)
    )
    recipe = replace(COLOURLESS, grid_probabilities=(1.0,), scale_min=1.2, scale_max=1.2, translate=0.0)
    generator = np.random.default_rng(0)
    image, _ = compose([source], draw_layout(recipe, (60, 60), generator), recipe, generator)
    assert np.abs(image.astype(int) - 127).max() <= 2


def test_pyramid_halves_and_averages() -> None:
    image = np.zeros((64, 40, 3), dtype=np.uint8)
    image[::2, ::2] = 200
    levels = pyramid(image)
    # A third level would be 10 px wide.
    assert [level.shape[:2] for level in levels] == [(64, 40), (32, 20)]
    assert (levels[1] == 50).all()


def test_colour_without_gains_keeps_grey_and_full_colours() -> None:
    # Hue in half degrees and 8-bit saturation cannot hold every colour; these they can.
    image = np.array([[[0, 0, 255], [0, 255, 0], [255, 0, 0], [90, 90, 90], [0, 0, 0]]], dtype=np.uint8)
    before = image.copy()
    jitter_colour(image, COLOURLESS, np.random.default_rng(0).uniform(-1, 1, 4))
    np.testing.assert_array_equal(image, before)


def test_value_gain_scales_brightness_only() -> None:
    image = np.full((4, 4, 3), 100, dtype=np.uint8)
    jitter_colour(image, replace(COLOURLESS, value=0.5), np.random.default_rng(1).uniform(-1, 1, 4))
    _, _, part, _ = np.random.default_rng(1).uniform(-1, 1, 4)
    assert np.unique(image).tolist() == [round(100 * (1 + 0.5 * part))]


def test_gamma_bends_brightness_between_fixed_ends() -> None:
    image = np.repeat(np.array([0, 64, 255], dtype=np.uint8), 3).reshape(1, 3, 3)
    jitter_colour(image, replace(COLOURLESS, gamma=0.5), np.random.default_rng(3).uniform(-1, 1, 4))
    exponent = np.exp(0.5 * np.random.default_rng(3).uniform(-1, 1, 4)[3])
    assert image[0, :, 0].tolist() == [0, round(255 * (64 / 255) ** exponent), 255]
    assert image[0, 1, 0] != 64


def test_the_same_seed_gives_the_same_image() -> None:
    first, second, third = (drawn(Augmentation(), seed)[0] for seed in (5, 5, 6))
    np.testing.assert_array_equal(first, second)
    assert (first != third).any()


def test_objects_spread_over_a_wide_range_of_sizes() -> None:
    sides = np.concatenate(
        [np.sqrt(drawn(Augmentation(), seed)[1][:, 3:].prod(axis=1)) for seed in range(60)]
    )
    # The object is a quarter of the image's side: 80 px alone, a fifth of that in a grid of 25.
    assert np.percentile(sides, 5) < 16
    assert np.percentile(sides, 99) > 70


@pytest.mark.parametrize("flip", [0.0, 1.0])
def test_a_crop_that_keeps_its_object_shows_all_of_it(flip: float) -> None:
    # Zoom 2.5 shows 0.4 x 0.53 of the image, enough for the object of 0.2 x 0.3 wherever it lies.
    recipe = replace(
        COLOURLESS, mosaic=0.0, scale_min=2.5, scale_max=2.5, aspect=0.0, flip=flip, keep_object=1.0
    )
    for seed in range(20):
        _, targets, _ = drawn(recipe, seed)
        # 320 / 400 * 2.5 = 2 output pixels per source pixel: 80 x 90 source pixels are 160 x 180.
        assert targets[0, 3:].tolist() == pytest.approx([160, 180], abs=1e-3)


def test_hue_shifts_around_the_colour_circle() -> None:
    image = np.full((2, 2, 3), (0, 0, 255), dtype=np.uint8)
    jitter_colour(image, replace(COLOURLESS, hue=0.1), np.random.default_rng(0).uniform(-1, 1, 4))
    part, *_ = np.random.default_rng(0).uniform(-1, 1, 4)
    # 18 * 0.27 = 4.9, so hue 4 of 180 (8 degrees): green rises to 255 * 8 / 60 = 34.
    assert round(18 * part, 1) == 4.9
    assert image[0, 0].tolist() == pytest.approx([0, 34, 255], abs=1)
