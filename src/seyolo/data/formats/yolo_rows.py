"""Rows of YOLO label files: boxes, and outlines that become their box.

A row is `class cx cy w h`. A row of a class and three or more points, a polygon or the four corners of a
rotated box, becomes the box around the points. Other tools append columns to a box, and some counts of
columns fit several readings. With C columns, C - 5 of them behind the box:

    C          box and more                            points
    6          confidence or track id                  -
    7          confidence and track id; 1 keypoint     polygon of 3 points
    9, 11 ...  (C - 5) / 2 keypoints, x and y          polygon of (C - 1) / 2 points
    8, 11 ...  (C - 5) / 3 keypoints with visibility   polygon where C is odd

`kpt_shape` of a data.yaml says that there are keypoints. Without it a row is a polygon unless its values fit
a box with keypoints, too: then both readings are named. Rows of several odd counts in a split settle it,
since all objects have the same keypoints.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple, NoReturn

from seyolo.data.labels import ImageSize, Marked, Row, row_of_fractions
from seyolo.errors import DataError, counted, shortened

SLACK = 0.02  # by which a value may leave [0, 1], and a keypoint its box
LEAST_COLUMNS = 7  # of a class and points
LEAST_SPREAD = 0.6  # share of the sides of a box that its keypoints span
FIRST_FIVE = "keep the first five columns, `class cx cy w h`, as `cut -d ' ' -f 1-5` does"


class RowForm(NamedTuple):
    """Content of the rows of a data set."""

    names: Sequence[str]  # of the classes
    keypoints: tuple[int, int] | None = None  # how many, and values of each: `kpt_shape`
    are_polygons: Callable[[], bool] = lambda: False  # called for a row that fits two readings


def have_polygons(texts: Iterable[str]) -> bool:
    """Tells whether label files have rows of points of several counts, which keypoints never have."""
    counts: set[int] = set()
    for text in texts:
        columns = (len(line.split()) for line in text.splitlines())
        counts |= {count for count in columns if count >= LEAST_COLUMNS and count % 2}
        if len(counts) > 1:
            return True
    return False


def parse_row(columns: Sequence[str], form: RowForm, image_size: ImageSize) -> Row | Marked:
    """Returns the row of a box, or of the box around points; raises DataError for any other row."""
    try:
        class_id, *values = map(float, columns)
    except ValueError:
        _refuse_text(columns, form.names)
    if min(values, default=0) > 1 or (max(values, default=0) > 1 and all(map(float.is_integer, values))):
        height, width = image_size()
        advice = (
            f"expected parts of the {width}x{height} image: divide x and w by {width}, y and h by {height}"
        )
        raise DataError(f"`{shortened(' '.join(columns[1:]))}` are pixels; {advice}")
    if len(values) == 4:
        return row_of_fractions(class_id, tuple(values), len(form.names))
    _check_points(columns, values, form)
    x, y = values[0::2], values[1::2]
    box = (min(x) + max(x)) / 2, (min(y) + max(y)) / 2, max(x) - min(x), max(y) - min(y)
    return Marked(row_of_fractions(class_id, box, len(form.names)), is_outline=True)


def _refuse_text(columns: Sequence[str], names: Sequence[str]) -> NoReturn:
    text = shortened(" ".join(columns))
    if "," in text or ";" in text:
        raise DataError(f"`{text}` has commas; expected numbers with points and spaces, `{_spaced(text)}`")
    if name := " ".join(_words(columns)):
        known = ", ".join(f"{number} for {each}" for number, each in enumerate(names[:5]))
        advice = f"{names.index(name)} for {name}" if name in names else f"{known}{', …' * (len(names) > 5)}"
        raise DataError(f"`{shortened(name)}` is no number; expected that of the class: {advice}")
    raise DataError(f"`{text}` are not numbers")


def _spaced(text: str) -> str:
    """Returns a row without commas: they are decimal points where something else parts the columns."""
    parts = text.replace(";", " ").split()
    is_decimal = len(parts) > 1 and all(part.count(",") < 2 and part[-1] != "," for part in parts)
    return " ".join(" ".join(parts).replace(",", "." if is_decimal else " ").split())


def _words(columns: Sequence[str]) -> Iterator[str]:
    """Yields the columns before the first number."""
    for column in columns:
        try:
            float(column)
        except ValueError:
            yield column
        else:
            return


def _check_points(columns: Sequence[str], values: Sequence[float], form: RowForm) -> None:
    """Refuses a row of another count of columns than a box that is no polygon, or may be more than that."""
    count = len(columns)
    others = list(_readings_of_a_box(columns, values, form))
    is_polygon = count >= LEAST_COLUMNS and count % 2 == 1 and form.keypoints is None
    if is_polygon and others and all(-SLACK <= value <= 1 + SLACK for value in values):
        if form.are_polygons():
            return
        polygon = f"a polygon of {count // 2} points, or {' or '.join(others)}"
        advice = f"in the second case {FIRST_FIVE}; a polygon may begin with another of its points"
        raise DataError(f"{count} columns fit two readings, {polygon}; {advice}")
    if others:
        raise DataError(f"{count} columns are {' or '.join(others)}; {FIRST_FIVE}")
    if not is_polygon:
        points = "" if form.keypoints else ", or a class and 3 points or more"
        raise DataError(f"expected 5 columns (class cx cy w h){points}, found {count}")


def _readings_of_a_box(columns: Sequence[str], values: Sequence[float], form: RowForm) -> Iterator[str]:
    """Yields in words what a row holds if its first five columns are a box."""
    extra = len(columns) - 5
    if extra == 1:
        whole = columns[5].isdigit()
        kinds = ("a track id",) if whole and values[4] > 1 else ("a confidence", "a track id")[: 1 + whole]
        yield f"a box and {' or '.join(kinds)}"
    if extra < 2 or not _is_box(values):
        return
    if extra == 2 and columns[6].isdigit() and 0 <= values[4] <= 1:
        yield "a box, a confidence and a track id"
    for size, what in ((2, "x and y"), (3, "x, y and visibility")):
        points = [values[start : start + size] for start in range(4, len(values), size)]
        stated = form.keypoints == (len(points), size)
        if extra % size == 0 and (stated or (form.keypoints is None and _are_keypoints(points, values))):
            yield f"a box and {counted(len(points), 'keypoint')} ({what})"


def _is_box(values: Sequence[float]) -> bool:
    cx, cy, w, h = values[:4]
    outside = max(w / 2 - cx, h / 2 - cy, cx + w / 2 - 1, cy + h / 2 - 1)
    return outside <= SLACK and min(w, h) > 0


def _are_keypoints(points: Sequence[Sequence[float]], values: Sequence[float]) -> bool:
    """Tells whether points fit their box: visibilities of 0 to 2, or x and y that lie in it and fill it."""
    cx, cy, w, h = values[:4]
    if len(points[0]) == 3:
        return all(point[2] in {0, 1, 2} for point in points)
    seen = [point for point in points if any(point)]  # a hidden keypoint is 0 0
    x, y = [point[0] - cx for point in seen], [point[1] - cy for point in seen]
    if not seen or max(map(abs, x)) > w / 2 + SLACK or max(map(abs, y)) > h / 2 + SLACK:
        return False
    return max(x) - min(x) >= LEAST_SPREAD * w and max(y) - min(y) >= LEAST_SPREAD * h
