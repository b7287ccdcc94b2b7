"""Input sizes: what people write, and (height, width) inside."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seyolo.errors import UsageError
from seyolo.sizes import MOST_PX, checked_size, input_text, parse_size, scaled_size, size_hw


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("416", 416),
        ("416x256", (256, 416)),
        ("256x416", (416, 256)),
        ("416X256", (256, 416)),
        ("416×256", (256, 416)),
        ("416 x 256", (256, 416)),
        (" 96 ", 96),
        ("416x416", 416),
        ("0416x0256", (256, 416)),
    ],
)
def test_a_width_stands_before_a_height(text: str, size: int | tuple[int, int]) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize(
    "text",
    ["", "x", "416x", "x256", "416x256x3", "416,256", "416*256", "4.5", "-416", "1e3", "٤١٦", "416px", "4_1"],
)
def test_what_is_no_size_says_how_one_is_written(text: str) -> None:
    with pytest.raises(UsageError, match="416 for a square, or WIDTHxHEIGHT such as 416x256"):
        parse_size(text)


@pytest.mark.parametrize("text", ["0", "0x32", "32x0", "70000", "64x70000"])
def test_sides_are_those_of_an_image(text: str) -> None:
    with pytest.raises(UsageError, match=f"--size {text}: sides are at least 1 and at most 65,536 pixels"):
        parse_size(text)


@given(st.tuples(st.integers(1, MOST_PX), st.integers(1, MOST_PX)))
def test_a_written_size_is_read_back(size: tuple[int, int]) -> None:
    assert size_hw(parse_size(input_text(size))) == size
    assert size_hw(checked_size(size)) == size


def test_a_smaller_size_keeps_its_shape() -> None:
    assert scaled_size((416, 416), 384, 32) == (384, 384)
    assert scaled_size((128, 256), 192, 32) == (96, 192)
    assert scaled_size((32, 320), 96, 32) == (32, 96)  # never nothing
