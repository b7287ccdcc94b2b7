"""The labels of one image, and the rules that those of every format are held to.

Notable: a box that reaches out of the image by at most one pixel is clipped and counted; one that
reaches further is an error, since it says that label and image do not belong together. What six
decimals lose to rounding is neither. The image's size is asked for only when a box reaches out or its
label is in pixels and does not state it, so that reading labels opens no images as a rule.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import NamedTuple, TypeVar

import numpy as np

from seyolo.errors import DataError

ROUNDING = 1e-6
"""Part of the image that six decimals can be wrong by at a box's edge."""

ImageSize = Callable[[], tuple[int, int]]
"""Gives (height, width) in pixels of the labelled image."""

Row = tuple[int, float, float, float, float]
"""Class, cx, cy, w and h in parts of the image."""

Entry = TypeVar("Entry")


@dataclass(frozen=True, eq=False)
class Labels:
    """The objects of one image.

    boxes_cxcywh (n, 4) float32 in [0, 1], class_ids (n,) int64; how many boxes were clipped, how many
    were left out because an equal one stood before, and how many because their format marks them as not to
    be learned from (crowds, difficult objects).
    """

    boxes_cxcywh: np.ndarray
    class_ids: np.ndarray
    num_clipped: int = 0
    num_duplicates: int = 0
    num_skipped: int = 0


NO_LABELS = Labels(np.empty((0, 4), np.float32), np.empty(0, np.int64))
"""Those of a negative."""


class Problem(NamedTuple):
    """Something to mend: the file, its 1-based line (0: the file as a whole), and what is wrong."""

    file: str
    line: int
    text: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.text}" if self.line else f"{self.file}: {self.text}"


class Reading(NamedTuple):
    """What was read of one image's labels.

    The usable ones, what is wrong with the others, and (height, width) of the image in pixels where the
    labels state it.
    """

    labels: Labels
    problems: list[Problem]
    stated_size: tuple[int, int] | None = None


class EntryProblem(NamedTuple):
    """An entry (a row, an annotation) that cannot be used: its number and what is wrong with it."""

    number: int
    text: str


def read_text(path: str | Path) -> str:
    """Reads a text file in UTF-8, with or without byte order mark; raises DataError when it is none."""
    try:
        with open(path, encoding="utf-8-sig") as file:
            return file.read()
    except FileNotFoundError:
        raise DataError(f"{path}: no such file") from None
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: not a text file in UTF-8") from error
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror})") from error


def collect(
    entries: Iterable[tuple[int, Entry]], to_row: Callable[[Entry], Row | None], image_size: ImageSize
) -> tuple[Labels, list[EntryProblem]]:
    """Makes labels of the numbered entries of one image.

    Args:
        entries: each with the number that names it in a problem.
        to_row: gives an entry's row, or None when it is to be left out and counted; raises DataError.
        image_size: asked when a box reaches out of the image.

    Returns:
        The labels that can be used, and what is wrong with the others.
    """
    rows: dict[Row, None] = {}
    problems = []
    num_rows = num_clipped = num_skipped = 0
    for number, entry in entries:
        try:
            if (row := to_row(entry)) is None:
                num_skipped += 1
                continue
            clipped, was_clipped = _clip(row, image_size)
        except DataError as error:
            problems.append(EntryProblem(number, str(error)))
            continue
        num_rows += 1
        num_clipped += was_clipped and clipped not in rows
        rows[clipped] = None
    if not rows and not num_skipped:
        return NO_LABELS, problems
    class_ids = np.array([row[0] for row in rows], np.int64)
    boxes_cxcywh = np.array([row[1:] for row in rows], np.float32).reshape(-1, 4)
    return Labels(boxes_cxcywh, class_ids, num_clipped, num_rows - len(rows), num_skipped), problems


def size_of(stated: tuple[int, int] | None, image_size: ImageSize) -> ImageSize:
    """Returns what gives the size that labels state, or else, read once, that of the image."""
    return cache(image_size) if stated is None else lambda: stated


def row_of_pixels(class_id: int, corners_xyxy: tuple[float, ...], image_size: ImageSize) -> Row:
    """Returns the row of a box given by its corners in pixels.

    Raises DataError when a corner is not finite, the box has no area, or the image has no size.
    """
    left, top, right, bottom = corners_xyxy
    if not all(map(math.isfinite, corners_xyxy)):
        raise DataError(f"the box ({left:g}, {top:g}) to ({right:g}, {bottom:g}) is not finite")
    if right <= left or bottom <= top:
        raise DataError(f"width {right - left:g} and height {bottom - top:g} must be above 0")
    height, width = image_size()
    return (
        class_id,
        (left + right) / 2 / width,
        (top + bottom) / 2 / height,
        (right - left) / width,
        (bottom - top) / height,
    )


def _clip(row: Row, image_size: ImageSize) -> tuple[Row, bool]:
    """Returns the row inside the image, and whether that cut off more than rounding."""
    class_id, cx, cy, w, h = row
    left, top, right, bottom = cx - w / 2, cy - h / 2, cx + w / 2, cy + h / 2
    outside_x, outside_y = max(-left, right - 1), max(-top, bottom - 1)
    if outside_x <= 0 and outside_y <= 0:
        return row, False
    reaches_out = outside_x > ROUNDING or outside_y > ROUNDING
    if reaches_out:
        _check_outside(outside_x, outside_y, image_size())
    left, top, right, bottom = max(left, 0.0), max(top, 0.0), min(right, 1.0), min(bottom, 1.0)
    if right - left <= ROUNDING or bottom - top <= ROUNDING:
        raise DataError("the box lies outside the image")
    return (class_id, (left + right) / 2, (top + bottom) / 2, right - left, bottom - top), reaches_out


def _check_outside(outside_x: float, outside_y: float, size: tuple[int, int]) -> None:
    height, width = size
    if outside_x > 1 / width + ROUNDING or outside_y > 1 / height + ROUNDING:
        outside_px = max(outside_x * width, outside_y * height)
        raise DataError(
            f"the box reaches {outside_px:.1f} px out of the {width}x{height} image (1 px is clipped)"
        )
