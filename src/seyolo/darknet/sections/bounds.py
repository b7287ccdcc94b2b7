"""Bounds of the numbers in a cfg: declared beside the key, checked when its text is read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

MAX_NUMBER = 1 << 24
"""Largest number that a description may hold."""


@dataclass(frozen=True)
class Bounds:
    """`least` to `most`, both included; with `above` instead of `least`, everything above that."""

    least: float = -MAX_NUMBER
    most: float = MAX_NUMBER
    above: float | None = None

    def __contains__(self, value: float) -> bool:
        is_above = self.least <= value if self.above is None else self.above < value
        return is_above and value <= self.most

    def __str__(self) -> str:
        if (self.least, self.most) == (0, 1):
            return "0 or 1"
        if self.above is not None:
            return f"a number above {self.above:g}"
        return f"at least {self.least:g}" if self.most == MAX_NUMBER else f"{self.least:g} to {self.most:g}"


Switch = Annotated[int, Bounds(0, 1)]
Count = Annotated[int, Bounds(1)]
NotNegative = Annotated[int, Bounds(0)]
Positive = Annotated[float, Bounds(above=0)]
