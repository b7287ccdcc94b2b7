"""Images with structure, unlike noise, and data sets of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import cv2
import numpy as np

from seyolo.data.writing import write_data_yaml

SIDE_PX = 160


def scene(seed: int, side_px: int = SIDE_PX) -> np.ndarray:
    """A BGR image of soft shapes; another seed is another scene."""
    coarse = np.random.default_rng(seed).integers(0, 255, (6, 6, 3), dtype=np.uint8)
    return np.asarray(cv2.resize(coarse, (side_px, side_px), interpolation=cv2.INTER_CUBIC), np.uint8)


def write_scenes(root: Path, splits: Mapping[str, Sequence[int]], rows: str = "0 0.5 0.5 0.25 0.5\n") -> Path:
    """Writes a data.yaml whose splits hold scenes of these seeds, named by them, with the rows as labels."""
    for split, seeds in splits.items():
        for folder in ("images", "labels"):
            (root / folder / split).mkdir(parents=True)
        for seed in seeds:
            assert cv2.imwrite(str(root / f"images/{split}/{split}{seed}.jpg"), scene(seed))
            (root / f"labels/{split}/{split}{seed}.txt").write_text(rows)
    write_data_yaml(root / "data.yaml", {split: f"images/{split}" for split in splits}, ("hand", "face"))
    return root / "data.yaml"
