"""Sizes of a network's input: as written, 416 or 416x256 (width x height), and as (height, width)."""

from __future__ import annotations

import re

from seyolo.errors import UsageError

InputSize = int | tuple[int, int]
"""Input size in pixels: the side of a square, or (height, width)."""

USUAL_SIZE, MOST_PX = 416, 1 << 16
FORMS = "416 for a square, or WIDTHxHEIGHT such as 416x256"
_WRITTEN = re.compile(r"([0-9]{1,6})(?:\s*[xX×]\s*([0-9]{1,6}))?", re.ASCII)


def size_hw(size: InputSize) -> tuple[int, int]:
    """Returns (height, width) of an input size."""
    height, width = (size, size) if isinstance(size, int) else size
    return height, width


def input_text(size: InputSize) -> str:
    """Returns an input size as people write it: 416, or 416x256 (width x height)."""
    height, width = size_hw(size)
    return str(height) if height == width else f"{width}x{height}"


def parse_size(text: str, option: str = "--size") -> InputSize:
    """Reads 416 or 416x256 (width x height); raises UsageError, naming the option, for anything else."""
    match = _WRITTEN.fullmatch(text.strip())
    if match is None:
        raise UsageError(f"{option} {text}: expected pixels, {FORMS}")
    width, height = match[1], match[2] or match[1]
    return checked_size((int(height), int(width)), option)


def checked_size(size: InputSize, option: str = "--size") -> InputSize:
    """Returns an input size with a square as one number; raises UsageError for a side that no image has."""
    height, width = size_hw(size)
    if not 1 <= min(height, width) <= max(height, width) <= MOST_PX:
        text = input_text(size)
        raise UsageError(f"{option} {text}: sides are at least 1 and at most {MOST_PX:,} pixels")
    return height if height == width else (height, width)


def scaled_size(size: tuple[int, int], longest_px: int, step_px: int) -> tuple[int, int]:
    """Returns (height, width) of about the same shape, in multiples of a step, whose longer side is given."""
    height, width = (max(1, round(side * longest_px / max(size) / step_px)) * step_px for side in size)
    return height, width
