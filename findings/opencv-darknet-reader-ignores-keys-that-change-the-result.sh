#!/usr/bin/env bash
# OpenCV 4's Darknet reader ignores five cfg keys that change the result, and reports nothing.
#
# Seen with opencv-python-headless 4.14.0.94, numpy 2.4.6, Python 3.11, 2026-11-29:
#   dilation=2 computes an ordinary convolution; the second layer of a shortcut is not added; stride_x and
#   stride_y are taken for 1; scale= of an upsample does not multiply; a convolution without `activation`,
#   which AlexeyAB's Darknet gives the logistic function, stays linear. All return boxes; none warns.
# Expected before: an error for keys that are not supported, as for unknown sections.
# What follows: a cfg with one of these keys gives other boxes in OpenCV than in Darknet; compare
#   before you trust a converted network.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check opencv-python-headless==4.14.0.94 numpy==2.4.6
cat > "$folder/check.py" <<'PY'
import struct

import cv2
import numpy as np

SIDE = 32
NET = f"[net]\nwidth={SIDE}\nheight={SIDE}\nchannels=3\n"
HEAD = (
    "[convolutional]\nfilters=6\nsize=1\nstride=1\nactivation=linear\n"
    "[yolo]\nmask=0\nanchors=8,8\nclasses=1\nnum=1\n"
)


def conv(stride="stride=1\n", activation="activation=linear\n", more=""):
    return f"[convolutional]\nfilters=4\nsize=3\npad=1\n{stride}{activation}{more}"


def rows(layers, num_convs=1):
    """What OpenCV computes for these layers with the same drawn weights and image."""
    num_floats = (4 + 4 * 3 * 9) + (num_convs - 1) * (4 + 4 * 4 * 9) + (6 + 6 * 4)
    floats = np.random.default_rng(1).normal(0, 0.3, num_floats).astype(np.float32)
    weights = struct.pack("<iiiQ", 0, 2, 0, 0) + floats.tobytes()
    cfg = (NET + layers + HEAD).encode()
    net = cv2.dnn.readNetFromDarknet(np.frombuffer(cfg, np.uint8), np.frombuffer(weights, np.uint8))
    net.setInput(np.random.default_rng(2).random((1, 3, SIDE, SIDE), dtype=np.float32))
    return net.forward()


def same(one, other):
    return one.shape == other.shape and bool(np.array_equal(one, other))


three = conv() * 3
up = "[upsample]\nstride=2\n"
ignored = {
    "dilation": same(rows(conv()), rows(conv(more="dilation=2\n"))),
    "second layer of a shortcut": same(
        rows(three + "[shortcut]\nfrom=-2\nactivation=linear\n", 3),
        rows(three + "[shortcut]\nfrom=-2,-3\nactivation=linear\n", 3),
    ),
    "stride_x, stride_y": same(rows(conv()), rows(conv(stride="stride_x=2\nstride_y=2\n"))),
    "scale of an upsample": same(rows(conv() + up), rows(conv() + up + "scale=0.5\n")),
    "default activation (linear, not logistic)": same(rows(conv(activation="")), rows(conv()))
    and not same(rows(conv(activation="")), rows(conv(activation="activation=logistic\n"))),
}
print("OpenCV", cv2.__version__)
for key, value in ignored.items():
    print("ignored" if value else "HONOURED", key)
raise SystemExit(0 if all(ignored.values()) else "this OpenCV honours some of them: the finding is out of date")
PY
"$folder/venv/bin/python" "$folder/check.py"
