"""Images and annotations in the form of the Oxford Hand archive, made with scipy's own writer."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from scipy.io import savemat

from seyolo.data.oxford.annotations import CORNERS

HEIGHT, WIDTH = 60, 100

Corners = list[tuple[float, float]]


def write_mat(path: Path, hands: list[Corners], extra: dict[str, str] | None = None) -> None:
    """Writes `boxes` as a cell array (1, N) of (1, 1) structs whose corners are 1x2 (y, x)."""
    boxes = np.empty((1, len(hands)), object)
    for index, corners_xy in enumerate(hands):
        fields = {corner: np.array([[y, x]]) for corner, (x, y) in zip(CORNERS, corners_xy, strict=True)}
        record = np.empty((1, 1), [(name, object) for name in (*fields, *(extra or {}))])
        for name, value in (fields | (extra or {})).items():
            record[0, 0][name] = value
        boxes[0, index] = record
    path.parent.mkdir(parents=True, exist_ok=True)
    savemat(path, {"boxes": boxes})


def add(root: Path, source: str, stem: str, seed: int, hands: list[Corners]) -> None:
    folder = root / f"{source}_dataset" / f"{source}_data"
    (folder / "images").mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 255, (HEIGHT, WIDTH, 3), dtype=np.uint8)
    assert cv2.imwrite(str(folder / "images" / f"{stem}.jpg"), pixels)
    write_mat(folder / "annotations" / f"{stem}.mat", hands)
