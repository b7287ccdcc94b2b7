"""Places of labels: the nearest free one among labels that are placed already."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool, Float

Place = tuple[float, float]
Area = tuple[float, float, float, float]
"""Left, top, right, bottom."""


CHUNK = 256
"""Places that are tried at once."""


def nearest_free(size: tuple[float, float], wanted: Place, area: Area, taken: Sequence[Area]) -> Place | None:
    """Returns left and top of the label that is nearest to `wanted` and overlaps nothing that is taken.

    Left and top of the nearest place are those of `wanted`, a limit, or beside a taken area. All pairs of
    these are tried, the nearest first.

    Args:
        size: width and height of the label.
        wanted: left and top of the label if it were the only one.
        area: limits of left and top: least left, least top, most left, most top.
        taken: areas of other labels; areas that touch do not overlap.

    Returns:
        None where there is no free place.
    """
    width, height = size
    least_x, least_y, most_x, most_y = area
    x, y = min(max(wanted[0], least_x), most_x), min(max(wanted[1], least_y), most_y)
    areas = np.array(taken, dtype=np.float64).reshape(-1, 4)
    xs = _within(np.array([x, least_x, most_x, *areas[:, 2], *(areas[:, 0] - width)]), least_x, most_x)
    ys = _within(np.array([y, least_y, most_y, *areas[:, 3], *(areas[:, 1] - height)]), least_y, most_y)
    places = np.stack(np.meshgrid(xs, ys), axis=-1).reshape(-1, 2)
    places = places[np.argsort(np.abs(places - (x, y)).sum(axis=1), kind="stable")]
    for start in range(0, len(places), CHUNK):
        some = places[start : start + CHUNK]
        if (free := ~_overlaps(some, size, areas)).any():
            left, top = some[int(free.argmax())].tolist()
            return left, top
    return None


def _overlaps(
    places: Float[np.ndarray, "k 2"], size: tuple[float, float], areas: Float[np.ndarray, "n 4"]
) -> Bool[np.ndarray, " k"]:
    """Tells whether a label of this size overlaps any area, for each place of its left and top."""
    starts, ends = places[:, None], places[:, None] + np.array(size)
    along = (areas[:, :2] < ends) & (starts < areas[:, 2:])
    overlaps: Bool[np.ndarray, " k"] = along.all(axis=2).any(axis=1)
    return overlaps


def _within(values: Float[np.ndarray, " n"], least: float, most: float) -> Float[np.ndarray, " k"]:
    return np.unique(values[(values >= least) & (values <= most)])
