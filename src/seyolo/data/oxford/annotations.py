"""The `.mat` annotations of Oxford Hand (Mittal, Zisserman and Torr 2011).

A file (MATLAB 5) holds `boxes`, a cell array (1, N) with a (1, 1) struct per hand: the corners a, b, c, d of
a rotated quadrilateral as 1x2 float64 in **(y, x)** order, and in some files a fifth field for left or right.
"""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.io import loadmat
from scipy.io.matlab import MatReadError

from seyolo.errors import DataError

CORNERS = ("a", "b", "c", "d")

_SIDES = {"l": "left", "left": "left", "r": "right", "right": "right"}
# Errors of scipy for damaged files, MATLAB 7.3 files and other structures.
_MAT_ERRORS = (
    MatReadError, OSError, NotImplementedError, ValueError, TypeError, AttributeError, LookupError, EOFError,
    OverflowError, MemoryError, struct.error, zlib.error,
)  # fmt: skip


@dataclass(frozen=True, eq=False)
class Hand:
    """An annotation."""

    corners_xy: np.ndarray  # (4, 2) float64 in pixels of the image
    side: str  # `left`, `right` or nothing

    @property
    def area_px2(self) -> float:
        """Area of the quadrilateral by the shoelace formula."""
        x, y = self.corners_xy.T
        return float(abs(x @ np.roll(y, -1) - y @ np.roll(x, -1)) / 2)

    def box_xyxy(self) -> np.ndarray:
        """Returns the upright box around the corners, (4,) float64 pixels, not clipped."""
        return np.concatenate([self.corners_xy.min(axis=0), self.corners_xy.max(axis=0)])


def read_annotation(path: str | Path) -> list[Hand]:
    """Reads the hands of one image; raises DataError for a file of another structure."""
    try:
        return [_hand(cell) for cell in loadmat(path)["boxes"].ravel()]
    except _MAT_ERRORS as error:
        problem = f"cannot be read as an Oxford Hand annotation ({error!r})"
        expected = "a MATLAB 5 file with `boxes` of corners a, b, c, d: take it from the archive again"
        raise DataError(f"{path}: {problem}; expected {expected}") from error


def _hand(cell: object) -> Hand:
    record = np.asarray(cell).ravel()[0]
    corners_yx = np.array([np.asarray(record[corner], np.float64).reshape(2) for corner in CORNERS])
    if not np.isfinite(corners_yx).all():
        raise ValueError("a corner is not finite")
    return Hand(corners_yx[:, ::-1], _side(record))  # yx to xy


def _side(record: np.void) -> str:
    """Returns left or right, which is the value or the name of a further field, depending on the file."""
    fields = [field for field in record.dtype.names or () if field not in CORNERS]
    texts = [str(text).strip().lower() for field in fields for text in (*np.ravel(record[field]), field)]
    return next((_SIDES[text] for text in texts if text in _SIDES), "")
