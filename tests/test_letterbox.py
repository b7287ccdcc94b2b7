"""Letterboxing and its inverse: cases worked by hand, then any size of image and input."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seyolo.letterbox import Mode, Placement, letterbox, place, resize, to_batch, to_tensor

SIDES = st.integers(1, 5000)
INPUT_SIDES = st.integers(1, 20).map(lambda cells: 32 * cells)
MODES: st.SearchStrategy[Mode] = st.sampled_from(["letterbox", "stretch"])
PARTS = st.floats(0, 1, width=32)


def on_input(placement: Placement, boxes_xyxy: np.ndarray) -> np.ndarray:
    """Boxes on the source image in pixels of the input: x * scale_x + left, y * scale_y + top."""
    scale = [placement.scale_x, placement.scale_y] * 2
    return (boxes_xyxy * scale + [placement.left, placement.top] * 2).astype(boxes_xyxy.dtype)


def test_wide_image_worked_by_hand() -> None:
    image = np.full((100, 200, 3), 255, dtype=np.uint8)
    fitted, placement = letterbox(image, (320, 320))
    # 320 / 200 = 1.6: 160 rows of image between (320 - 160) / 2 = 80 rows of grey on either side.
    assert (placement.scale_x, placement.scale_y, placement.left, placement.top) == (1.6, 1.6, 0, 80)
    assert (fitted[:80] == 114).all()
    assert (fitted[80:240] == 255).all()
    assert (fitted[240:] == 114).all()
    box = np.array([[50, 25, 100, 75]], dtype=np.float32)
    np.testing.assert_allclose(on_input(placement, box), [[80, 120, 160, 200]], rtol=1e-6)


def test_stretch_worked_by_hand() -> None:
    image = np.zeros((100, 200, 3), dtype=np.uint8)
    fitted, placement = letterbox(image, (320, 416), mode="stretch")
    assert fitted.shape == (320, 416, 3)
    assert not fitted.any()
    box = np.array([[50, 25, 100, 75]], dtype=np.float32)
    # x * 416 / 200 = 2.08 x, y * 320 / 100 = 3.2 y.
    np.testing.assert_allclose(on_input(placement, box), [[104, 80, 208, 240]], rtol=1e-6)


@pytest.mark.parametrize(
    ("source_size", "size", "inner_size", "top", "left"),
    [
        # 320 / 200 = 1.6; of 321 - 160 = 161 rows of grey 80 lie above and 81 below.
        ((100, 200), (321, 320), (160, 320), 80, 0),
        # The same with columns: 80 to the left, 81 to the right.
        ((200, 100), (320, 321), (320, 160), 0, 80),
        # 101 * 1.6 = 161.6 is rounded to 162; 320 - 162 = 158 rows, 79 on either side.
        ((101, 200), (320, 320), (162, 320), 79, 0),
        # 99 * 1.6 = 158.4 is rounded to 158; 321 - 158 = 163 rows, 81 above and 82 below.
        ((99, 200), (321, 320), (158, 320), 81, 0),
        # The same two with columns.
        ((200, 101), (320, 320), (320, 162), 0, 79),
        ((200, 99), (320, 321), (320, 158), 0, 81),
        # 200 * 0.16 = 32 columns; 33 - 32 = 1 column of grey, to the right.
        ((200, 200), (32, 33), (32, 32), 0, 0),
    ],
)
def test_odd_padding_worked_by_hand(
    source_size: tuple[int, int], size: tuple[int, int], inner_size: tuple[int, int], top: int, left: int
) -> None:
    image = np.full((*source_size, 3), 255, dtype=np.uint8)
    fitted, placement = letterbox(image, size)
    expected = np.full((*size, 3), 114, dtype=np.uint8)
    expected[top : top + inner_size[0], left : left + inner_size[1]] = 255
    np.testing.assert_array_equal(fitted, expected)
    assert (placement.top, placement.left) == (top, left)
    scales = (inner_size[0] / source_size[0], inner_size[1] / source_size[1])
    assert (placement.scale_y, placement.scale_x) == scales
    assert placement == place(source_size, size)
    batch, placements = to_batch([image], size)
    np.testing.assert_array_equal(batch[0], to_tensor(expected))
    assert placements == [placement]


def test_boxes_outside_the_image_are_clipped_to_it() -> None:
    placement = place((100, 200), (320, 320))
    on_the_grey = np.array([[-10, 0, 330, 320]], dtype=np.float32)
    assert placement.to_source(on_the_grey).tolist() == [[0, 0, 200, 100]]


@given(
    st.tuples(SIDES, SIDES), st.tuples(INPUT_SIDES, INPUT_SIDES), MODES, st.tuples(PARTS, PARTS, PARTS, PARTS)
)
def test_source_to_input_and_back(
    source_size: tuple[int, int],
    size: tuple[int, int],
    mode: Mode,
    parts: tuple[float, float, float, float],
) -> None:
    (source_height, source_width), (height, width) = source_size, size
    placement = place(source_size, size, mode)
    x, y = np.sort(parts[:2]) * source_width, np.sort(parts[2:]) * source_height
    boxes = np.array([[x[0], y[0], x[1], y[1]]], dtype=np.float64)
    fitted = on_input(placement, boxes)
    assert (fitted >= -1e-3).all()
    assert (fitted <= np.array([width, height, width, height]) + 1e-3).all()
    np.testing.assert_allclose(placement.to_source(fitted), boxes, atol=1e-3)


@given(st.integers(1, 900), st.integers(1, 900), MODES)
def test_to_source_is_exact_in_float32(height: int, width: int, mode: Mode) -> None:
    placement = place((height, width), (320, 416), mode)
    boxes = np.array([[0, 0, width, height], [width / 3, height / 7, width / 2, height]], dtype=np.float32)
    back = placement.to_source(on_input(placement, boxes))
    assert back.dtype == np.float32
    # One unit in the last place at 416 px of input, seen in pixels of the source.
    tolerance = 1e-3 + 2**-15 / min(placement.scale_x, placement.scale_y)
    np.testing.assert_allclose(back, boxes, atol=tolerance)


@pytest.mark.parametrize("mode", ["letterbox", "stretch"])
@pytest.mark.parametrize("source_size", [(1, 1), (1, 5000), (5000, 1), (3, 2), (319, 321), (320, 320)])
def test_any_image_fills_the_input_as_placed(source_size: tuple[int, int], mode: Mode) -> None:
    fitted, placement = letterbox(np.full((*source_size, 3), 250, dtype=np.uint8), (320, 320), mode)
    assert fitted.shape == (320, 320, 3)
    assert placement == place(source_size, (320, 320), mode)
    rows, columns = np.nonzero(fitted[..., 0] == 250)
    whole = np.array([[0, 0, source_size[1], source_size[0]]], dtype=np.float64)
    painted = [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
    np.testing.assert_allclose(on_input(placement, whole)[0], painted, atol=1e-9)


def test_a_image_keeps_its_pixels_where_a_box_says() -> None:
    image = np.zeros((240, 416, 3), dtype=np.uint8)
    image[60:120, 104:208] = 255
    fitted, placement = letterbox(image, (320, 320))
    box = on_input(placement, np.array([[104, 60, 208, 120]], dtype=np.float64))[0]
    rows, columns = np.nonzero((fitted[..., 0] > 127) & (fitted[..., 0] != 114))
    found = [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
    np.testing.assert_allclose(found, box, atol=0.6)


def test_shrinking_averages_all_pixels() -> None:
    # One white pixel of each 4x4 block: the mean is 255 / 16 = 15.9 everywhere; bilinear would miss or hit.
    image = np.zeros((64, 64, 3), dtype=np.uint8)
    image[::4, ::4] = 255
    assert (resize(image, (16, 16)) == 16).all()


def dead_leaves(height: int, width: int) -> np.ndarray:
    """Discs of all sizes that hide one another: edges and flat parts as in photos (Lee 2001)."""
    generator = np.random.default_rng(0)
    image = np.full((height, width, 3), 128, dtype=np.uint8)
    for radius_px in np.sort(2 / generator.random(1500).clip(0.02) ** 0.5)[::-1]:
        centre = (int(generator.integers(width)), int(generator.integers(height)))
        cv2.circle(image, centre, int(radius_px), generator.integers(0, 256, 3).tolist(), -1, cv2.LINE_AA)
    return image


# 3.08 times smaller, 6.15 times, odd sides, and sides that shrink by different factors.
SHRINKINGS = [
    ((360, 640), (117, 208)),
    ((720, 1280), (117, 208)),
    ((359, 639), (117, 208)),
    ((721, 1279), (117, 208)),
    ((360, 640), (208, 208)),
]


@pytest.mark.parametrize(("source_size", "size"), SHRINKINGS)
def test_shrinking_comes_close_to_the_exact_average(
    source_size: tuple[int, int], size: tuple[int, int]
) -> None:
    image = dead_leaves(*source_size)
    exact = cv2.resize(image, size[::-1], interpolation=cv2.INTER_AREA).astype(int)
    bilinear = cv2.resize(image, size[::-1], interpolation=cv2.INTER_LINEAR).astype(int)
    difference = np.abs(resize(image, size) - exact).mean()
    assert difference < 1.5
    assert difference < 0.4 * np.abs(bilinear - exact).mean()


@pytest.mark.parametrize("vertical", [False, True])
@pytest.mark.parametrize("target_px", [40, 83, 100, 160])
@pytest.mark.parametrize("source_px", [250, 251, 256])
def test_a_linear_gradient_keeps_its_values(source_px: int, target_px: int, vertical: bool) -> None:
    ramp = np.arange(source_px, dtype=np.uint8)
    image = np.repeat(np.repeat(ramp[None, :, None], source_px, axis=0), 3, axis=2)
    size = (target_px, target_px // 2) if vertical else (target_px // 2, target_px)
    resized = resize(image.transpose(1, 0, 2).copy() if vertical else image, size)[..., 0]
    line = resized[:, target_px // 4] if vertical else resized[target_px // 4]
    # The centre of pixel i lies at (i + 0.5) * source / target of the source, which has the value x - 0.5.
    expected = (np.arange(target_px) + 0.5) * source_px / target_px - 0.5
    error = (line - expected)[1:-1]
    assert np.abs(error).max() <= 1.5  # up to three steps, each rounded to whole levels
    assert abs(error.mean()) < 0.5  # a whole pixel of shift would be 1, rounding halves up is up to 0.5


@pytest.mark.parametrize(("source_size", "size"), SHRINKINGS)
def test_shrinking_moves_nothing(source_size: tuple[int, int], size: tuple[int, int]) -> None:
    (height, width), centre = source_size, (0.31, 0.64)
    y, x = np.mgrid[:height, :width] + 0.5
    spread_px = 0.03 * height
    blob = 250 * np.exp(-((x - centre[0] * width) ** 2 + (y - centre[1] * height) ** 2) / (2 * spread_px**2))
    resized = resize(np.repeat(blob.astype(np.uint8)[..., None], 3, axis=2), size)[..., 0].astype(float)
    found_x = (resized.sum(axis=0) * (np.arange(size[1]) + 0.5)).sum() / resized.sum()
    found_y = (resized.sum(axis=1) * (np.arange(size[0]) + 0.5)).sum() / resized.sum()
    np.testing.assert_allclose([found_x, found_y], [centre[0] * size[1], centre[1] * size[0]], atol=0.03)


def test_to_tensor_agrees_with_opencv() -> None:
    image = np.random.default_rng(0).integers(0, 256, (5, 7, 3), dtype=np.uint8)
    blob = cv2.dnn.blobFromImage(image, scalefactor=1 / 255, swapRB=True)[0]
    np.testing.assert_allclose(to_tensor(image), blob, rtol=1e-6)
    assert to_tensor(image).flags.c_contiguous


def test_to_tensor_is_rgb_planes_in_unit_range() -> None:
    image = np.zeros((2, 3, 3), dtype=np.uint8)
    image[0, 1] = (255, 51, 0)  # blue, green, red
    planes = to_tensor(image)
    assert planes.shape == (3, 2, 3)
    assert planes.dtype == np.float32
    np.testing.assert_allclose(planes[:, 0, 1], [0, 0.2, 1], rtol=1e-6)
    assert planes.sum() == pytest.approx(1.2)


@given(
    st.lists(st.tuples(st.integers(1, 300), st.integers(1, 300)), min_size=1, max_size=3),
    st.tuples(st.sampled_from([32, 64, 96]), st.sampled_from([32, 64, 96])),
    MODES,
)
def test_a_batch_is_each_image_letterboxed_to_the_bit(
    sources: list[tuple[int, int]], size: tuple[int, int], mode: Mode
) -> None:
    generator = np.random.default_rng(0)
    images = [generator.integers(0, 256, (*source, 3), dtype=np.uint8) for source in sources]
    batch, placements = to_batch(images, size, mode)
    assert batch.shape == (len(images), 3, *size)
    for planes, placement, image in zip(batch, placements, images, strict=True):
        fitted, expected = letterbox(image, size, mode)
        np.testing.assert_array_equal(planes, to_tensor(fitted))
        assert placement == expected


@pytest.fixture(scope="module")
def of_page() -> dict[str, Any]:
    """What the lines of docs/how-to/opencv5.md that resize define."""
    page = Path(__file__).parents[1] / "docs/how-to/opencv5.md"
    (code,) = re.findall(
        r"```python\n(def resized.*?)^net\.", page.read_text("utf-8"), re.DOTALL | re.MULTILINE
    )
    values: dict[str, Any] = {"cv2": cv2, "np": np}
    exec(code, values)
    return values


@settings(max_examples=50)
@given(
    st.tuples(st.integers(1, 1500), st.integers(1, 1500)),
    st.tuples(st.sampled_from([32, 64, 96, 320]), st.sampled_from([32, 64, 96, 416])),
    st.sampled_from([114, 127.5]),
)
def test_the_lines_of_the_page_on_opencv_give_the_same_pixels(
    of_page: dict[str, Callable[..., np.ndarray]],
    source: tuple[int, int],
    size: tuple[int, int],
    pad_value: float,
) -> None:
    image = np.random.default_rng(0).integers(0, 256, (*source, 3), dtype=np.uint8)
    height, width = size
    expected, _ = letterbox(image, size, "letterbox", pad_value)
    np.testing.assert_array_equal(of_page["letterboxed"](image, width, height, pad_value), expected)
    expected, _ = letterbox(image, size, "stretch")
    np.testing.assert_array_equal(of_page["resized"](image, width, height), expected)
