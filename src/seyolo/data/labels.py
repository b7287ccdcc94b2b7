"""Labels of an image, and the rules for the boxes of every format.

A box that reaches out of the image by at most one pixel is clipped and counted; a box that reaches further is
an error, because label and image do not belong together. Rounding to six decimals is neither. The size of an
image is read only when a box reaches out, or when boxes are in pixels and the label states no size.

COCO's crowds and VOC's difficult objects are ignored regions: neither objects nor background.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import NamedTuple, TypeVar

import numpy as np

from seyolo.errors import DataError, counted

ROUNDING = 1e-6  # error of a box edge written with six decimals, as a fraction of the image

ImageSize = Callable[[], tuple[int, int]]  # returns (height, width) in pixels of the labelled image

Row = tuple[int, float, float, float, float]  # class id, cx, cy, w and h as fractions of the image

Entry = TypeVar("Entry")


class Marked(NamedTuple):
    """A row, and what a format says about it besides class and box."""

    row: Row
    area_px2: float | None = None  # of the object; None: that of the box
    is_ignored: bool = False  # an ignored region, no object
    is_crowd: bool = False  # an ignored region that is a group of objects
    is_outline: bool = False  # the box is drawn around a polygon or four corners


@dataclass(frozen=True, eq=False)
class Ignored:
    """Ignored regions of one image: neither right nor wrong in AP, and no background in training."""

    boxes_cxcywh: np.ndarray  # (m, 4) float32 in [0, 1]
    class_ids: np.ndarray  # (m,) int64
    is_crowd: np.ndarray  # (m,) bool; a crowd is a group of objects, the others are single objects

    def __len__(self) -> int:
        return len(self.class_ids)


NOTHING_IGNORED = Ignored(np.empty((0, 4), np.float32), np.empty(0, np.int64), np.empty(0, bool))


@dataclass(frozen=True, eq=False)
class Labels:
    """Objects and ignored regions of one image."""

    boxes_cxcywh: np.ndarray  # (n, 4) float32 in [0, 1]
    class_ids: np.ndarray  # (n,) int64
    num_clipped: int = 0  # boxes that were clipped to the image
    num_duplicates: int = 0  # boxes left out because an equal one comes before
    num_skipped: int = 0  # boxes left out because the format allows for them (without width or height)
    num_outlines: int = 0  # boxes drawn around polygons or four corners
    ignored: Ignored = NOTHING_IGNORED
    areas_px2: np.ndarray | None = None  # (n,) float64 where a format states areas, nan: that of the box


NO_LABELS = Labels(np.empty((0, 4), np.float32), np.empty(0, np.int64))  # labels of an image without objects


class Problem(NamedTuple):
    """A problem to mend: file, line from 1 (0: the whole file) and description."""

    file: str
    line: int
    text: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.text}" if self.line else f"{self.file}: {self.text}"


class Reading(NamedTuple):
    """Content of the labels of an image."""

    labels: Labels = NO_LABELS  # the usable ones
    problems: Sequence[Problem] = ()  # of the others
    stated_size: tuple[int, int] | None = None  # (height, width) in the label file


class EntryProblem(NamedTuple):
    """Number and problem of an entry (a row, an annotation) that cannot be used."""

    number: int
    text: str


Collected = tuple[Labels, list[EntryProblem]]  # usable labels, and problems of the other entries


def collect(
    entries: Iterable[tuple[int, Entry]],
    to_row: Callable[[Entry], Row | Marked | None],
    image_size: ImageSize,
) -> Collected:
    """Returns the usable labels among the numbered entries of one image, and the problems of the others.

    Args:
        to_row: returns an entry's row, or None to leave it out and count it; raises DataError.
        image_size: called when a box reaches out of the image.
    """
    rows: dict[Row, Marked] = {}
    regions: dict[tuple[Row, bool], None] = {}
    problems = []
    num_rows = num_clipped = num_skipped = 0
    for number, entry in entries:
        try:
            if (found := to_row(entry)) is None:
                num_skipped += 1
                continue
            marked = found if isinstance(found, Marked) else Marked(found)
            clipped, was_clipped = _clip(marked.row, image_size)
        except DataError as error:
            problems.append(EntryProblem(number, str(error)))
            continue
        if marked.is_ignored:
            regions[clipped, marked.is_crowd] = None
            continue
        num_rows += 1
        num_clipped += was_clipped and clipped not in rows
        rows.setdefault(clipped, marked)
    if not rows and not regions and not num_skipped:
        return NO_LABELS, problems
    counts = num_clipped, num_rows - len(rows), num_skipped, sum(row.is_outline for row in rows.values())
    ignored = _ignored(list(regions)) if regions else NOTHING_IGNORED
    return Labels(*_arrays(list(rows)), *counts, ignored, _areas(list(rows.values()))), problems


def _arrays(rows: Sequence[Row]) -> tuple[np.ndarray, np.ndarray]:
    """Returns boxes (cxcywh) and class ids."""
    boxes_cxcywh = np.array([row[1:] for row in rows], np.float32).reshape(-1, 4)
    return boxes_cxcywh, np.array([row[0] for row in rows], np.int64)


def _ignored(regions: Sequence[tuple[Row, bool]]) -> Ignored:
    return Ignored(*_arrays([row for row, _ in regions]), np.array([is_crowd for _, is_crowd in regions]))


def _areas(rows: Sequence[Marked]) -> np.ndarray | None:
    """Returns the areas of objects, None where a format states none."""
    if all(row.area_px2 is None for row in rows):
        return None
    return np.array([math.nan if row.area_px2 is None else row.area_px2 for row in rows])


def size_of(stated: tuple[int, int] | None, image_size: ImageSize) -> ImageSize:
    """Returns the size that the labels state, else that of the image, which is read once."""
    return cache(image_size) if stated is None else lambda: stated


def row_of_pixels(class_id: int, corners_xyxy: tuple[float, ...], image_size: ImageSize) -> Row:
    """Returns the row of a box in pixels; raises DataError when it is not finite or has no area."""
    left, top, right, bottom = corners_xyxy
    if not all(map(math.isfinite, corners_xyxy)):
        raise DataError(f"the box ({left:g}, {top:g}) to ({right:g}, {bottom:g}) is not finite")
    _check_sides(right - left, bottom - top)
    height, width = image_size()
    cx, cy = (left + right) / 2 / width, (top + bottom) / 2 / height
    return class_id, cx, cy, (right - left) / width, (bottom - top) / height


def row_of_fractions(class_id: float, box_cxcywh: tuple[float, ...], num_classes: int) -> Row:
    """Returns the row of a box in fractions of the image.

    Raises DataError when a value is not finite, the class does not exist, or the box has no area.
    """
    cx, cy, w, h = box_cxcywh
    if not all(map(math.isfinite, (class_id, *box_cxcywh))):
        values = " ".join(f"{value:g}" for value in (class_id, *box_cxcywh))
        raise DataError(f"`{values}` has a value that is not finite")
    if not class_id.is_integer() or not 0 <= class_id < num_classes:
        advice = "; subtract 1 if the labels count classes from 1" if class_id == num_classes else ""
        named = f"the data set names {counted(num_classes, 'class')}, 0 is the first"
        raise DataError(f"class {class_id:g} is out of range; {named}{advice}")
    _check_sides(w, h)
    return int(class_id), cx, cy, w, h


def _check_sides(width: float, height: float) -> None:
    if width <= 0 or height <= 0:
        raise DataError(f"width {width:g} and height {height:g} must be above 0")


def _clip(row: Row, image_size: ImageSize) -> tuple[Row, bool]:
    """Returns the row clipped to the image, and whether more than rounding was clipped."""
    class_id, cx, cy, w, h = row
    left, top, right, bottom = cx - w / 2, cy - h / 2, cx + w / 2, cy + h / 2  # cxcywh to xyxy
    outside_x, outside_y = max(-left, right - 1), max(-top, bottom - 1)
    if outside_x <= 0 and outside_y <= 0:
        return row, False
    reaches_out = outside_x > ROUNDING or outside_y > ROUNDING
    if reaches_out:
        height, width = image_size()
        if outside_x > 1 / width + ROUNDING or outside_y > 1 / height + ROUNDING:  # more than one pixel
            reach = f"{max(outside_x * width, outside_y * height):.1f} px out of the {width}x{height} image"
            raise DataError(f"the box reaches {reach} (1 px is clipped)")
    left, top, right, bottom = max(left, 0.0), max(top, 0.0), min(right, 1.0), min(bottom, 1.0)
    if right - left <= ROUNDING or bottom - top <= ROUNDING:
        raise DataError("the box lies outside the image")
    return (class_id, (left + right) / 2, (top + bottom) / 2, right - left, bottom - top), reaches_out
