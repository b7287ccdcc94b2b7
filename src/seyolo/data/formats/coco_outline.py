"""Boxes around the outlines of COCO annotations (`segmentation`) that have no `bbox`.

An outline is a list of polygons, each x and y in turns, or the lengths of runs of pixels outside and inside
the object, column by column: a list of numbers, or packed into text by pycocotools. The box of polygons is
their minimum and maximum; the box of runs is that of `toBbox` of pycocotools.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import accumulate, chain, pairwise
from typing import Any

from seyolo.data.labels import ImageSize
from seyolo.errors import DataError, quoted
from seyolo.json_files import MOST

MOST_CHARACTERS = 7  # of a number in packed text: 35 bits


def outline_box(outline: object, image_size: ImageSize) -> list[float]:
    """Returns x, y, width and height of the box around an outline; raises DataError for an invalid one."""
    if isinstance(outline, dict):
        return _box_of_runs(outline, image_size)
    if not isinstance(outline, list) or not outline or not all(map(_is_polygon, outline)):
        expected = "polygons of 3 points or more, [[x, y, x, y, x, y, ...]], or run lengths"
        raise DataError(f"segmentation: expected {expected}, found {quoted(outline)}")
    values = [float(value) for polygon in outline for value in polygon[::2]]
    heights = [float(value) for polygon in outline for value in polygon[1::2]]
    return [min(values), min(heights), max(values) - min(values), max(heights) - min(heights)]


def _is_polygon(points: Any) -> bool:
    if not isinstance(points, list) or len(points) < 6 or len(points) % 2:
        return False
    return all(type(value) in {int, float} and abs(value) <= MOST for value in points)


def _box_of_runs(outline: dict[str, Any], image_size: ImageSize) -> list[float]:
    size, counts = outline.get("size"), outline.get("counts")
    if not isinstance(size, list) or len(size) != 2 or not all(type(side) is int for side in size):
        raise DataError(f"segmentation: size: expected [height, width] in pixels, found {quoted(size)}")
    height, width = size
    if (height, width) != image_size():
        own = f"{image_size()[1]}x{image_size()[0]}"
        raise DataError(f"segmentation: size: the runs are of {width}x{height} pixels, the image has {own}")
    lengths = list(_unpacked(counts) if isinstance(counts, str) else _listed(counts))
    if sum(lengths) != height * width or min(lengths) < 0:
        raise DataError(f"segmentation: counts: the runs do not fill {width}x{height} pixels")
    edges = list(accumulate(lengths, initial=0))
    inside = [(start, end - 1) for start, end in list(pairwise(edges))[1::2] if end > start]
    if not inside:
        return [0, 0, 0, 0]
    columns = [position // height for position in chain.from_iterable(inside)]
    rows = [_rows(first, last, height) for first, last in inside]
    left, top = min(columns), min(low for low, _ in rows)
    return [left, top, max(columns) - left + 1, max(high for _, high in rows) - top + 1]


def _rows(first: int, last: int, height: int) -> tuple[int, int]:
    """Returns the first and last row of a run, all of them if it goes on in the next column."""
    if first // height != last // height:
        return 0, height - 1
    return first % height, last % height


def _listed(counts: object) -> list[int]:
    if not isinstance(counts, list) or not counts or not all(type(count) is int for count in counts):
        raise DataError(f"segmentation: counts: expected lengths of runs of pixels, found {quoted(counts)}")
    return counts


def _unpacked(text: str) -> Iterator[int]:
    """Yields the lengths in a packed text, as rleFrString of pycocotools (maskApi.c).

    A character has 5 bits of a number; the next says that the number goes on. Bit 4 of the last character is
    the sign. From the fourth number on each is relative to the last but one.
    """
    before: list[int] = []
    value = shift = 0
    for character in text:
        bits = ord(character) - 48
        if not 0 <= bits < 64 or shift >= 5 * MOST_CHARACTERS:
            raise DataError(f"segmentation: counts: {quoted(text)} is no packed text of run lengths")
        value |= (bits & 0x1F) << shift
        shift += 5
        if not bits & 0x20:
            value -= 1 << shift if bits & 0x10 else 0
            before.append(value + (before[-2] if len(before) > 2 else 0))
            value = shift = 0
    if shift or not before:
        raise DataError(f"segmentation: counts: {quoted(text)} is no packed text of run lengths")
    yield from before
