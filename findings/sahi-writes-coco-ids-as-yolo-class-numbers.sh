#!/usr/bin/env bash
# sahi exports COCO to YOLO with the COCO category ids as class numbers, beside a data.yml that has fewer classes.
#
# Seen with sahi 0.12.8, opencv-python-headless 4.14.0.94, Python 3.11, 2026-11-29:
#   two categories with the ids 3 and 7 (COCO's own ids have gaps, too) become the classes 3 and 7 in the label file,
#   while data.yml says nc: 2 and names: [cat, hand]. A trainer refuses the labels or learns other classes.
# Expected before: class numbers are positions in `names`.
# What follows: number the categories from 0 before Coco.from_coco_dict_or_path.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check sahi==0.12.8 opencv-python-headless==4.14.0.94
cat > "$folder/check.py" <<'PY'
import json
from pathlib import Path

import cv2
import numpy as np
from sahi.utils.coco import Coco

Path("images").mkdir()
cv2.imwrite("images/a.jpg", np.zeros((100, 200, 3), np.uint8))
coco = {
    "images": [{"id": 1, "file_name": "a.jpg", "width": 200, "height": 100}],
    "categories": [{"id": 3, "name": "cat"}, {"id": 7, "name": "hand"}],
    "annotations": [
        {"id": n, "image_id": 1, "category_id": c, "iscrowd": 0, "area": 3600, "bbox": [10, 10, 90, 40], "segmentation": []}
        for n, c in enumerate((3, 7), 1)
    ],
}
Path("coco.json").write_text(json.dumps(coco))
read = Coco.from_coco_dict_or_path("coco.json", image_dir="images")
read.export_as_yolo(output_dir="yolo", train_split_rate=1.0)
(labels,) = (path for path in Path("yolo").rglob("*.txt"))
classes = sorted(int(row.split()[0]) for row in labels.read_text().splitlines())
config = next(Path("yolo").rglob("data.yml")).read_text()
print("classes in the label file:", classes, "|", config.splitlines()[:2])
same = classes == [3, 7] and "nc: 2" in config
raise SystemExit(0 if same else "the classes are others now: the finding is out of date")
PY
cd "$folder"
"$folder/venv/bin/python" check.py
