"""YOLO label files: one row `class cx cy w h` per object, in parts of the picture's width and height.

Notable: a box that reaches out of the picture by at most one pixel is clipped and counted; one that
reaches further is an error, since it says that label and picture do not belong together. What six
decimals lose to rounding is neither. The picture's size is asked for only when a box reaches out,
so that reading labels opens no pictures as a rule.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from seyolo.errors import DataError

ROUNDING = 1e-6
"""Part of the picture that six decimals can be wrong by at a box's edge."""

PictureSize = Callable[[], tuple[int, int]]
"""Gives (height, width) in pixels of the labelled picture."""

Row = tuple[int, float, float, float, float]


@dataclass(frozen=True, eq=False)
class Labels:
    """The objects of one picture.

    boxes_cxcywh (n, 4) float32 in [0, 1], class_ids (n,) int64; how many boxes were clipped, and how many
    rows were left out because an equal one stood above.
    """

    boxes_cxcywh: np.ndarray
    class_ids: np.ndarray
    num_clipped: int = 0
    num_duplicates: int = 0


class LabelProblem(NamedTuple):
    """A row that cannot be used: its 1-based line and what is wrong with it."""

    line: int
    text: str


def read_labels(path: str | Path, num_classes: int, picture_size: PictureSize) -> Labels:
    """Reads a label file; raises DataError naming file and line of the first row that cannot be used."""
    labels, problems = parse_labels(read_text(path), num_classes, picture_size)
    if problems:
        line, text = problems[0]
        raise DataError(f"{path}:{line}: {text}; `seyolo data check` lists every such row")
    return labels


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


def parse_labels(text: str, num_classes: int, picture_size: PictureSize) -> tuple[Labels, list[LabelProblem]]:
    """Reads the rows of one picture; returns the usable ones and what is wrong with the others."""
    rows: dict[Row, None] = {}
    problems = []
    num_rows = num_clipped = 0
    for line, columns in enumerate(map(str.split, text.splitlines()), start=1):
        if not columns:
            continue
        try:
            row = _parse_row(columns, num_classes)
            clipped, was_clipped = _clip(row, picture_size)
        except DataError as error:
            problems.append(LabelProblem(line, str(error)))
            continue
        num_rows += 1
        num_clipped += was_clipped and clipped not in rows
        rows[clipped] = None
    return _labels(list(rows), num_clipped, num_rows - len(rows)), problems


def _labels(rows: list[Row], num_clipped: int, num_duplicates: int) -> Labels:
    class_ids = np.array([row[0] for row in rows], np.int64)
    boxes_cxcywh = np.array([row[1:] for row in rows], np.float32).reshape(-1, 4)
    return Labels(boxes_cxcywh, class_ids, num_clipped, num_duplicates)


def _parse_row(columns: list[str], num_classes: int) -> Row:
    if len(columns) != 5:
        raise DataError(f"expected 5 columns (class cx cy w h), found {len(columns)}")
    try:
        class_id, cx, cy, w, h = map(float, columns)
    except ValueError:
        raise DataError(f"`{' '.join(columns)}` are not five numbers") from None
    if not all(map(math.isfinite, (class_id, cx, cy, w, h))):
        raise DataError(f"`{' '.join(columns)}` holds a value that is not finite")
    if not class_id.is_integer() or not 0 <= class_id < num_classes:
        raise DataError(
            f"class {columns[0]} is out of range, the data set names {num_classes} (0 is the first)"
        )
    if w <= 0 or h <= 0:
        raise DataError(f"width {columns[3]} and height {columns[4]} must be above 0")
    return int(class_id), cx, cy, w, h


def _clip(row: Row, picture_size: PictureSize) -> tuple[Row, bool]:
    """Returns the row inside the picture, and whether that cut off more than rounding."""
    class_id, cx, cy, w, h = row
    left, top, right, bottom = cx - w / 2, cy - h / 2, cx + w / 2, cy + h / 2
    outside_x, outside_y = max(-left, right - 1), max(-top, bottom - 1)
    if outside_x <= 0 and outside_y <= 0:
        return row, False
    reaches_out = outside_x > ROUNDING or outside_y > ROUNDING
    if reaches_out:
        _check_outside(outside_x, outside_y, picture_size())
    left, top, right, bottom = max(left, 0.0), max(top, 0.0), min(right, 1.0), min(bottom, 1.0)
    if right - left <= ROUNDING or bottom - top <= ROUNDING:
        raise DataError("the box lies outside the picture")
    return (class_id, (left + right) / 2, (top + bottom) / 2, right - left, bottom - top), reaches_out


def _check_outside(outside_x: float, outside_y: float, size: tuple[int, int]) -> None:
    height, width = size
    if outside_x > 1 / width + ROUNDING or outside_y > 1 / height + ROUNDING:
        outside_px = max(outside_x * width, outside_y * height)
        raise DataError(
            f"the box reaches {outside_px:.1f} px out of the {width}x{height} picture (1 px is clipped)"
        )
