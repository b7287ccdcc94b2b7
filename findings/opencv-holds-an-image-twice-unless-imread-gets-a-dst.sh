#!/usr/bin/env bash
# cv2.imread(path) and cv2.imdecode take twice the memory of the image; cv2.imread(path, None, flags) takes it once.
#
# Seen with opencv-python-headless 4.14.0.94, numpy 2.4.6, Python 3.11, Linux, 2026-11-29:
#   a PNG and a JPEG of 6000 x 6000 pixels are 103 MB as BGR. imread(path, flags) and imdecode(data, flags) raise the
#   process's peak by 206 MB: the decoder fills a matrix of its own, which is then copied into a NumPy array. The
#   overload of imread with a second argument `dst`, which may be None, decodes into the array: 103 MB.
# Expected before: one allocation by all three, or at least by imread in both spellings.
# What follows: on a small board the largest image that can be read doubles with a None between path and flags.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
python=$folder/venv/bin/python
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check numpy==2.4.6 opencv-python-headless==4.14.0.94
cat > "$folder/check.py" <<'PY'
import resource
import sys

import cv2
import numpy as np

READERS = {
    "imdecode(data, flags)": lambda path: cv2.imdecode(np.fromfile(path, np.uint8), cv2.IMREAD_COLOR),
    "imread(path, flags)": lambda path: cv2.imread(path, cv2.IMREAD_COLOR),
    "imread(path, None, flags)": lambda path: cv2.imread(path, None, cv2.IMREAD_COLOR),
}


def peak_mb():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


path, name, expected = sys.argv[1:]
if name == "write":
    cv2.imwrite(path, np.zeros((6000, 6000, 3), np.uint8))
    raise SystemExit
before = peak_mb()
image = READERS[name](path)
times = (peak_mb() - before) / (image.nbytes / 2**20)
print(f"OpenCV {cv2.__version__}, {path[-3:]}, {name}: {times:.2f} times the image")
raise SystemExit(0 if abs(times - float(expected)) < 0.2 else "this is another: the finding is out of date")
PY
for ending in png jpg; do
  "$python" "$folder/check.py" "$folder/a.$ending" write 0
  "$python" "$folder/check.py" "$folder/a.$ending" "imdecode(data, flags)" 2
  "$python" "$folder/check.py" "$folder/a.$ending" "imread(path, flags)" 2
  "$python" "$folder/check.py" "$folder/a.$ending" "imread(path, None, flags)" 1
done
