"""AP of drawn COCO data sets, read as users give them: equal to that of pycocotools."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from helpers.boxes import found
from seyolo.data.datasets import load_dataset
from seyolo.evaluation.ap import average_precision
from seyolo.evaluation.bootstrap import ap_draws
from seyolo.evaluation.curves import detection_curves
from seyolo.evaluation.evaluate import truth_of

DRAWN: dict[str, Any] = json.loads(Path(__file__).with_name("pycocotools.json").read_text())


def judged(folder: Path, drawn: dict[str, Any]):
    """Writes the json and empty images, and returns ground truth, detections and the number of classes."""
    content = drawn["truth"]
    (folder / "val.json").write_text(json.dumps(content))
    for image in content["images"]:
        (folder / image["file_name"]).touch()
    dataset = load_dataset(folder / "val.json")
    numbers = {image["file_name"]: image["id"] for image in content["images"]}
    class_ids = {category["id"]: index for index, category in enumerate(content["categories"])}
    truths, predictions = [], []
    for sample in dataset.split("val"):
        rows = [row for row in drawn["found"] if row["image_id"] == numbers[sample.image.name]]
        boxes = np.array([row["bbox"] for row in rows]).reshape(-1, 4)
        boxes[:, 2:] += boxes[:, :2]
        labels = [class_ids[row["category_id"]] for row in rows]
        truths.append(truth_of(sample, 240, 320))
        predictions.append(found(boxes, [row["score"] for row in rows], labels))
    return truths, predictions, len(class_ids)


@pytest.mark.parametrize("kind", DRAWN)
def test_equal_to_pycocotools(kind: str, tmp_path: Path) -> None:
    metrics = average_precision(*judged(tmp_path, DRAWN[kind]))
    expected = DRAWN[kind]["expected"]
    assert 0 < expected["ap"] < 1 or kind == "no detections"
    for name in ("ap", "ap50", "ap75", "ap_small", "recall"):
        assert getattr(metrics, name) == pytest.approx(expected[name], abs=1e-6), name
    per_class = [-1.0 if math.isnan(one.ap) else one.ap for one in metrics.per_class]
    assert per_class == pytest.approx(expected["per_class"], abs=1e-6)


@pytest.mark.parametrize("kind", [kind for kind in DRAWN if kind not in {"no detections", "equal scores"}])
def test_curves_and_bootstrap_ignore_the_same(kind: str, tmp_path: Path) -> None:
    arguments = judged(tmp_path, DRAWN[kind])
    expected = DRAWN[kind]["expected"]
    curves = detection_curves(*arguments)
    assert curves is not None
    assert curves.precision50.mean() == pytest.approx(expected["ap50"], abs=1e-6)
    assert curves.precision75.mean() == pytest.approx(expected["ap75"], abs=1e-6)
    assert ap_draws(*arguments, draws=0)[0] == pytest.approx(expected["ap"], abs=1e-6)
