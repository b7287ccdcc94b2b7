#!/usr/bin/env bash
# OpenCV reads a PAM of three colours with red and blue exchanged, one with an alpha channel correctly.
#
# Seen with opencv-python-headless 4.14.0.94 and 5.0.0.93, numpy 2.4.6, Python 3.11, 2026-11-29:
#   cv2.imdecode of a P7 file with DEPTH 3 and TUPLTYPE RGB gives the stored order R, G, B where every other format
#   gives B, G, R. DEPTH 4 with RGB_ALPHA, GRAYSCALE and the same pixels as a PPM (P6) come out right.
# Expected before: B, G, R, as from PPM, whose header alone differs.
# What follows: ffmpeg and netpbm write PAM into pipes. A detector sees blue faces and loses accuracy in silence;
#   convert to PPM or PNG, or exchange the channels where data starts with P7 and DEPTH is 3.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cat > "$folder/check.py" <<'PY'
import cv2
import numpy as np

pixels = np.random.default_rng(0).integers(0, 256, (7, 9, 4), dtype=np.uint8)


def decoded(head, samples):
    data = head.encode() + np.ascontiguousarray(pixels[..., :samples]).tobytes()
    return cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)


def pam(depth, kind):
    return decoded(f"P7\nWIDTH 9\nHEIGHT 7\nDEPTH {depth}\nMAXVAL 255\nTUPLTYPE {kind}\nENDHDR\n", depth)


rgb, bgr = pixels[..., :3], pixels[..., 2::-1]
found = {
    "PPM is BGR": np.array_equal(decoded("P6\n9 7\n255\n", 3), bgr),
    "PAM of RGB_ALPHA is BGR": np.array_equal(pam(4, "RGB_ALPHA"), bgr),
    "PAM of RGB is BGR": np.array_equal(pam(3, "RGB"), bgr),
    "PAM of RGB is RGB": np.array_equal(pam(3, "RGB"), rgb),
}
print("OpenCV", cv2.__version__, found)
raise SystemExit(0 if [*found.values()] == [True, True, False, True] else "the finding is out of date")
PY
for version in 4.14.0.94 5.0.0.93; do
  python3 -m venv "$folder/$version"
  "$folder/$version/bin/pip" install --quiet --disable-pip-version-check numpy==2.4.6 "opencv-python-headless==$version"
  "$folder/$version/bin/python" "$folder/check.py"
done
