"""A small archive in the layout of Oxford Hand with drawn hands, to follow docs/tutorials/oxford-hand.md.

python benchmarks/drawn_oxford.py hand_dataset.tar.gz
"""

from __future__ import annotations

import argparse
import tarfile
import tempfile
from pathlib import Path

import cv2
import numpy as np
from scipy.io import savemat

from seyolo.data.oxford.annotations import CORNERS
from seyolo.data.synthetic.dataset import draw_scene

COUNTS = {"training": 300, "validation": 60, "test": 80}
SIDE_PX = 320


def write_annotation(path: Path, boxes_xyxy: np.ndarray) -> None:
    """Writes boxes (n, 4) as a cell array of structs, each with four corners (y, x)."""
    cells = np.empty((1, len(boxes_xyxy)), object)
    for index, (left, top, right, bottom) in enumerate(boxes_xyxy.astype(np.float64).tolist()):
        corners = ((top, left), (top, right), (bottom, right), (bottom, left))
        cells[0, index] = np.empty((1, 1), [(name, object) for name in CORNERS])
        for name, corner in zip(CORNERS, corners, strict=True):
            cells[0, index][name][0, 0] = np.array([corner])
    savemat(path, {"boxes": cells})


def write_archive(out: Path, counts: dict[str, int]) -> None:
    """Draws so many images per folder into a new archive; FileExistsError where there is one."""
    with tarfile.open(out, "x:gz") as archive, tempfile.TemporaryDirectory() as folder:
        for number, (source, count) in enumerate(counts.items()):
            data = Path(folder, f"{source}_dataset/{source}_data")
            for kind in ("images", "annotations"):
                (data / kind).mkdir(parents=True)
            for index in range(count):
                image, boxes_xyxy = draw_scene(np.random.default_rng([1, number, index]), SIDE_PX, SIDE_PX)
                cv2.imwrite(str(data / f"images/{source}_{index:04}.jpg"), image)
                write_annotation(data / f"annotations/{source}_{index:04}.mat", boxes_xyxy)
        archive.add(folder, "hand_dataset")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("out", type=Path, help="the archive to write, such as hand_dataset.tar.gz")
    given = parser.parse_args()
    if given.out.exists():
        parser.error(f"{given.out} is there already; give another name")
    write_archive(given.out, COUNTS)
