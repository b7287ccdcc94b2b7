#!/usr/bin/env bash
# pycocotools and faster-coco-eval replace the `ignore` of a ground truth by its `iscrowd`: `ignore: 1` counts in full.
#
# Seen with pycocotools 2.0.11 and faster-coco-eval 1.8.0, numpy 2.4.6, Python 3.11, Linux, 2026-11-29:
#   one image has two objects, the second marked `"ignore": 1, "iscrowd": 0`, and one detection that fits the first.
#   AP is 0.50495, that of a detector that misses one of two; with `iscrowd: 1` AP is 1. Both copy `ignore` from the
#   annotation, and overwrite it with `iscrowd` in the next line.
# Expected before: `ignore` is honoured, as in the papers' "difficult" objects: neither found nor missed counts.
# What follows: VOC's difficult objects cannot be handed to these evaluators as `ignore`. As `iscrowd` they get another
#   overlap, too (intersection over the detection's area) and any number of matches.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check \
  numpy==2.4.6 pycocotools==2.0.11 faster-coco-eval==1.8.0
cat > "$folder/check.py" <<'PY'
import contextlib
import copy
import io
from importlib.metadata import version

import faster_coco_eval
import pycocotools.coco
import pycocotools.cocoeval

BOXES = [[10, 10, 40, 40], [100, 100, 40, 40]]


def ground_truth(**marks):
    annotations = [
        {"id": 1 + i, "image_id": 1, "category_id": 1, "bbox": box, "area": 1600, "iscrowd": 0}
        for i, box in enumerate(BOXES)
    ]
    annotations[1] |= marks
    images = [{"id": 1, "width": 200, "height": 200, "file_name": "a.jpg"}]
    return {"info": {}, "images": images, "categories": [{"id": 1, "name": "a"}], "annotations": annotations}


def average_precision(coco_type, eval_type, truth):
    coco = coco_type()
    coco.dataset = copy.deepcopy(truth)
    coco.createIndex()
    found = coco.loadRes([{"image_id": 1, "category_id": 1, "bbox": BOXES[0], "score": 0.9}])
    judge = eval_type(coco, found, "bbox")
    judge.evaluate()
    judge.accumulate()
    judge.summarize()
    return round(float(judge.stats[0]), 5)


EVALUATORS = {
    "pycocotools": (pycocotools.coco.COCO, pycocotools.cocoeval.COCOeval),
    "faster-coco-eval": (faster_coco_eval.COCO, faster_coco_eval.COCOeval_faster),
}
expected = {"two objects": 0.50495, "ignore: 1": 0.50495, "iscrowd: 1": 1.0}
for name, (coco_type, eval_type) in EVALUATORS.items():
    marks = {"two objects": {}, "ignore: 1": {"ignore": 1}, "iscrowd: 1": {"iscrowd": 1}}
    with contextlib.redirect_stdout(io.StringIO()):
        seen = {text: average_precision(coco_type, eval_type, ground_truth(**mark)) for text, mark in marks.items()}
    print(name, version(name), seen)
    assert seen == expected, "this is another: the finding is out of date"
PY
"$folder/venv/bin/python" "$folder/check.py"
