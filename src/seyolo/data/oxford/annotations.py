"""The `.mat` annotations of Oxford Hand (Mittal, Zisserman and Torr 2011).

A file (MATLAB 5) holds `boxes`, a cell array (1, N) with a (1, 1) struct per hand: the corners a, b, c, d of
a rotated quadrilateral as 1x2 float64 in **(y, x)** order, and in some files a fifth field for left or right.
Another process reads the files (`mat`), since a damaged one can end the process that reads it.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np

from seyolo.errors import DataError, shortened

CORNERS = ("a", "b", "c", "d")
READER = ("-m", "seyolo.data.oxford.mat")
"""Arguments of the Python process that reads the files."""


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


class AnnotationReader:
    """Process that reads annotations, one after the other; a `with` block ends it."""

    def __enter__(self) -> Self:
        import scipy  # noqa: F401, PLC0415 (a missing SciPy shows here, not in the process)

        self._start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop()

    def read(self, path: str | Path) -> list[Hand]:
        """Reads the hands of one image; raises DataError for a file of another structure."""
        answer = self._answer(str(path))
        if "hands" in answer:
            return [Hand(np.array(corners, np.float64), side) for corners, side in answer["hands"]]
        problem = f"cannot be read as an Oxford Hand annotation ({shortened(answer['problem'])})"
        expected = "a MATLAB 5 file with `boxes` of corners a, b, c, d: take it from the archive again"
        raise DataError(f"{path}: {problem}; expected {expected}")

    def _answer(self, path: str) -> dict[str, Any]:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(path) + "\n")
        self._process.stdin.flush()
        if line := self._process.stdout.readline():
            answer: dict[str, Any] = json.loads(line)
            return answer
        self._stop()
        self._start()
        return {"problem": "it ends the process that reads it"}

    def _start(self) -> None:
        path = os.pathsep.join(folder for folder in sys.path if folder)
        self._process = subprocess.Popen(
            [sys.executable, *READER],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env={**os.environ, "PYTHONPATH": path},
        )

    def _stop(self) -> None:
        self._process.kill()
        self._process.communicate()
