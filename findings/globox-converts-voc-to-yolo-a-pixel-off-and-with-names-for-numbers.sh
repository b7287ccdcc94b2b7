#!/usr/bin/env bash
# globox turns a Pascal VOC box into a YOLO row that is a pixel off, and writes the class name where YOLO has a number.
#
# Seen with globox 2.9.0, opencv-python-headless 4.14.0.94, Python 3.11, 2026-11-29:
#   VOC counts pixels from 1 and includes both corners, so (1, 1, 50, 40) is the 50x40 pixels in the top left
#   corner. The row is `hand 0.1275 0.205 0.245 0.39`: centre and size are off by a pixel, and `hand` is no number.
# Expected before: `0 0.125 0.2 0.25 0.4`, class numbers in some order that the library chooses.
# What follows: subtract 1 from xmin and ymin yourself, and pass label_to_id.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check globox==2.9.0 opencv-python-headless==4.14.0.94 numpy==2.4.6
cat > "$folder/check.py" <<'PY'
from pathlib import Path

import cv2
import numpy as np
from globox import AnnotationSet

voc = Path("voc")
voc.mkdir()
cv2.imwrite("voc/a.jpg", np.zeros((100, 200, 3), np.uint8))
(voc / "a.xml").write_text("""<annotation><folder>voc</folder><filename>a.jpg</filename>
<size><width>200</width><height>100</height><depth>3</depth></size>
<object><name>hand</name><bndbox><xmin>1</xmin><ymin>1</ymin><xmax>50</xmax><ymax>40</ymax></bndbox></object>
</annotation>""")
AnnotationSet.from_pascal_voc(voc).save_yolo_v5(Path("yolo"))
row = Path("yolo/a.txt").read_text().strip()
print("row:", row, "| right: 0 0.125 0.2 0.25 0.4")
raise SystemExit(0 if row == "hand 0.1275 0.205 0.245 0.39" else "the row is another now: the finding is out of date")
PY
cd "$folder"
"$folder/venv/bin/python" check.py
