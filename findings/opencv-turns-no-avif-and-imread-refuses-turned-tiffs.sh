#!/usr/bin/env bash
# One turned picture in five formats: OpenCV leaves AVIF unturned, and imread refuses the TIFF that imdecode turns.
#
# Seen with opencv-python-headless 4.14.0.94, pillow 13.0.0, numpy 2.4.6, Python 3.11, Linux, 2026-11-29:
#   an image of 64 x 40 pixels with Exif orientation 6 (a quarter turn) is saved by Pillow in five formats. JPEG, PNG
#   and WebP are read as 40 x 64 by imread and imdecode. Pillow writes the orientation of an AVIF as the box `irot`,
#   without Exif; OpenCV reads it as 64 x 40, no warning. The TIFF is turned by imdecode; imread logs an internal
#   error ('original_ptr == real_mat.data' must be 'true') and returns None.
# Expected before: all five are turned, by both functions, or AVIF by none of the two ways of storing an orientation.
# What follows: boxes drawn on an AVIF as a browser shows it lie elsewhere in the array; read bytes and imdecode them.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check \
  numpy==2.4.6 opencv-python-headless==4.14.0.94 pillow==13.0.0
cat > "$folder/check.py" <<'PY'
import sys
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

ORIENTATION, QUARTER_TURN = 0x0112, 6
TURNED, AS_STORED = (64, 40), (40, 64)  # height and width
expected = {
    "jpg": (TURNED, TURNED),
    "png": (TURNED, TURNED),
    "webp": (TURNED, TURNED),
    "avif": (AS_STORED, AS_STORED),
    "tiff": (None, TURNED),
}


def shape_of(image):
    return None if image is None else image.shape[:2]


cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
image = Image.fromarray(np.zeros((40, 64, 3), np.uint8))
folder = Path(sys.argv[1])
for ending, shapes in expected.items():
    path = folder / f"a.{ending}"
    exif = Image.Exif()  # a new one each time: saving an AVIF takes the orientation out of it
    exif[ORIENTATION] = QUARTER_TURN
    image.save(path, exif=exif)
    data = path.read_bytes()
    seen = shape_of(cv2.imread(str(path))), shape_of(cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR))
    print(f"OpenCV {cv2.__version__}, {ending}: imread {seen[0]}, imdecode {seen[1]}")
    assert seen == shapes, "this is another: the finding is out of date"
    assert (b"irot" in data) == (ending == "avif")
PY
"$folder/venv/bin/python" "$folder/check.py" "$folder"
