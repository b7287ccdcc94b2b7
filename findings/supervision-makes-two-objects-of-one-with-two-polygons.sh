#!/usr/bin/env bash
# supervision writes one COCO object with two polygons (one that something partly hides) as two YOLO objects.
#
# Seen with supervision 0.31.2, opencv-python-headless 4.14.0.94, Python 3.11, 2026-11-29:
#   from_coco followed by as_yolo gives one row per polygon, with force_masks and without: two objects where
#   there is one, and the box that holds both parts is lost.
# Expected before: one object stays one object, by its box or by one joined polygon.
# What follows: the number of objects, recall and AP change with a conversion; drop `segmentation` before.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check supervision==0.31.2 opencv-python-headless==4.14.0.94 numpy==2.4.6
cat > "$folder/check.py" <<'PY'
import json
from pathlib import Path

import cv2
import numpy as np
import supervision

Path("images").mkdir()
cv2.imwrite("images/a.jpg", np.zeros((100, 200, 3), np.uint8))
left, right = [10, 10, 30, 10, 30, 30, 10, 30], [80, 30, 100, 30, 100, 50, 80, 50]
coco = {
    "images": [{"id": 1, "file_name": "a.jpg", "width": 200, "height": 100}],
    "categories": [{"id": 1, "name": "hand"}],
    "annotations": [
        {"id": 1, "image_id": 1, "category_id": 1, "iscrowd": 0, "area": 800, "bbox": [10, 10, 90, 40], "segmentation": [left, right]}
    ],
}
Path("coco.json").write_text(json.dumps(coco))


def rows(name, **options):
    """The YOLO rows that one object becomes."""
    dataset = supervision.DetectionDataset.from_coco("images", "coco.json", **options)
    dataset.as_yolo(annotations_directory_path=name)
    return [row for path in Path(name).glob("*.txt") for row in path.read_text().splitlines()]


found = {"force_masks": rows("masks", force_masks=True), "default": rows("boxes")}
print("supervision", supervision.__version__, "| rows of one object:", found)
same = all(len(some) == 2 for some in found.values())
raise SystemExit(0 if same else "other rows now: the finding is out of date")
PY
cd "$folder"
"$folder/venv/bin/python" check.py
