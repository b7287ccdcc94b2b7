"""Lines and zones of `detect --count`: text, checks, and position in a frame."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

from seyolo.errors import UsageError

Point = tuple[float, float]  # x, y in pixels

EXAMPLES = "line:100,200,500,200 or zone:10%,10%,90%,10%,50%,90%"


class Length(NamedTuple):
    """A coordinate: pixels, or percent of the frame's width or height."""

    value: float
    is_percent: bool

    def on(self, size_px: int) -> float:
        """Returns pixels."""
        return self.value * size_px / 100 if self.is_percent else self.value


@dataclass(frozen=True)
class Area:
    """A line of two points, or a zone of at least three."""

    text: str  # as given
    kind: Literal["line", "zone"]
    corners: Sequence[tuple[Length, Length]]

    def on(self, name: str, width: int, height: int) -> Sequence[Point]:
        """Returns the points in pixels of a source; raises UsageError for one outside its frame."""
        points = [(x.on(width), y.on(height)) for x, y in self.corners]
        for x, y in points:
            if not (0 <= x <= width and 0 <= y <= height):
                where = f"the point {x:g},{y:g} is outside {name}, which has {width}x{height} pixels"
                raise UsageError(f"--count {self.text}: {where}")
        return points


def parse_area(text: str) -> Area:
    """Parses `line:X,Y,X,Y` or `zone:X,Y,X,Y,X,Y,...`; raises UsageError for another text."""
    kind, _, numbers = text.partition(":")
    if kind not in ("line", "zone"):
        raise UsageError(f"--count {text}: give a line or a zone, such as {EXAMPLES}")
    lengths = [_length(text, part) for part in numbers.split(",")]
    corners = list(zip(lengths[::2], lengths[1::2], strict=False))
    is_enough = len(corners) == 2 if kind == "line" else len(corners) >= 3
    if len(lengths) % 2 or not is_enough:
        wanted = "two points" if kind == "line" else "at least three points"
        raise UsageError(f"--count {text}: a {kind} has {wanted}, each with x and y, such as {EXAMPLES}")
    if not any(length.is_percent or length.value > 1 for length in lengths):
        shares = f"{kind}:{','.join(f'{100 * length.value:g}%' for length in lengths)}"
        raise UsageError(f"--count {text}: coordinates are pixels; write shares of the frame as {shares}")
    if len(set(corners)) < len(corners):
        raise UsageError(f"--count {text}: two of the points are the same")
    return Area(text, "line" if kind == "line" else "zone", corners)


def _length(text: str, part: str) -> Length:
    match = re.fullmatch(r"\s*(\d+(?:\.\d*)?|\.\d+)(%?)\s*", part)
    if match is None or (match[2] and float(match[1]) > 100):
        reason = "coordinates are pixels, 0 or more, or percent of the frame from 0% to 100%"
        raise UsageError(f"--count {text}: {part.strip()!r}: {reason}")
    return Length(float(match[1]), bool(match[2]))
