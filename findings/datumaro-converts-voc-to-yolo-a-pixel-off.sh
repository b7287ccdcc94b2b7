#!/usr/bin/env bash
# datumaro turns a Pascal VOC box into a YOLO row that is a pixel off.
#
# Seen with datumaro 1.13.12, Python 3.11, 2026-11-29:
#   VOC counts pixels from 1 and includes both corners, so (1, 1, 50, 40) is the 50x40 pixels in the top left
#   corner of a 200x100 image: centre 0.125 0.2, size 0.25 0.4. The row says 0.1275 0.205 0.245 0.39.
# Expected before: exact conversion between two formats that the library is made for.
# What follows: small objects lose most: a box of 8x8 pixels has an IoU of 0.77 with its own label. Convert
#   VOC with code that subtracts 1 from xmin and ymin.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check datumaro==1.13.12
cat > "$folder/check.py" <<'PY'
from pathlib import Path

import cv2
import datumaro
import numpy as np

voc = Path("voc")
for name in ("JPEGImages", "Annotations", "ImageSets/Main"):
    (voc / name).mkdir(parents=True)
cv2.imwrite("voc/JPEGImages/a.jpg", np.zeros((100, 200, 3), np.uint8))
for split in ("train", "val"):
    (voc / f"ImageSets/Main/{split}.txt").write_text("a\n")
(voc / "Annotations/a.xml").write_text("""<annotation><folder>VOC</folder><filename>a.jpg</filename>
<size><width>200</width><height>100</height><depth>3</depth></size><segmented>0</segmented>
<object><name>person</name><pose>Unspecified</pose><truncated>0</truncated><difficult>0</difficult>
<bndbox><xmin>1</xmin><ymin>1</ymin><xmax>50</xmax><ymax>40</ymax></bndbox></object></annotation>""")
datumaro.Dataset.import_from("voc", "voc").export("yolo", "yolo_ultralytics", save_media=True)
(row,) = {path.read_text().strip() for path in Path("yolo").rglob("a.txt")}
numbers = [float(text) for text in row.split()[1:]]
print("datumaro", datumaro.__version__, "centre and size:", numbers, "| right: 0.125 0.2 0.25 0.4")
same = np.allclose(numbers, [0.1275, 0.205, 0.245, 0.39], atol=1e-6)
raise SystemExit(0 if same else "the row is another now: the finding is out of date")
PY
cd "$folder"
"$folder/venv/bin/python" check.py
