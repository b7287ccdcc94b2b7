"""Example detections: counts of mistakes, the worst images, the boxes drawn on them."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np

from seyolo.data.datasets import load_dataset
from seyolo.detections import Detections
from seyolo.evaluation.evaluate import Judged, truth_of
from seyolo.media.images import read_image
from seyolo.report.figures.samples import fitted
from seyolo.report.figures.slim_run import SIDE_PX, write_example_images


def test_mistakes_are_counted_for_both_networks(slim_run: Path, tiny_hands: Path) -> None:
    index = json.loads((slim_run / "pictures" / "index.json").read_text())
    objects = sum(len(sample.class_ids) for sample in load_dataset(tiny_hands).split("test"))
    assert index["mistakes"]["test"] == {
        "objects": objects,
        "dense_missed": 0,
        "slim_missed": 1,
        "only_dense_missed": 0,
        "only_slim_missed": 1,
        "dense_false": 0,
        "slim_false": 1,
    }


def test_the_worst_images_come_first(slim_run: Path) -> None:
    misses = json.loads((slim_run / "pictures" / "index.json").read_text())["misses"]
    assert {miss["split"] for miss in misses} == {"test"}  # val is not shown where there is a test split
    assert [(miss["missed"], miss["false"], miss["dense_missed"]) for miss in misses] == [
        (1, 0, 0),
        (0, 1, 0),
    ]
    for miss in misses:
        image = cv2.imread(str(slim_run / "pictures" / miss["picture"]))
        assert max(image.shape[:2]) == SIDE_PX


def test_among_many_mistakes_only_these_are_drawn(tiny_hands: Path, tmp_path: Path) -> None:
    dataset = load_dataset(tiny_hands)
    sample, *others = dataset.split("test")
    assert len(sample.class_ids) == 1
    image = read_image(sample.image)
    truth = truth_of(sample, *image.shape[:2])
    corner = np.float32([[x, y, x + 4, y + 4] for x in (0, 2, 4) for y in (0, 2, 4)])
    # The hand is found, and nine times there is one in the corner; AP counts more.
    detected = Detections(np.concatenate([truth.boxes_xyxy, corner]), [0.9] * 10, np.zeros(10))
    boxes = np.concatenate([detected.boxes, np.float32([[20, 20, 30, 30]])])
    found = Detections(boxes, [0.9] * 11, np.zeros(11))
    truths = [truth, *(truth_of(other, 64, 64) for other in others)]
    nothing = [Detections.empty()] * len(others)
    judgement = Judged(truths, [found, *nothing], [detected, *nothing])
    write_example_images(tmp_path, dataset, {"dense": {"test": judgement}})
    index = json.loads((tmp_path / "pictures" / "index.json").read_text())
    assert [(miss["missed"], miss["false"]) for miss in index["misses"]] == [(0, 9)]
    plain, scale = fitted(image, SIDE_PX)
    drawn = cv2.imread(str(tmp_path / "pictures" / index["misses"][0]["picture"]))
    is_drawn = np.abs(drawn.astype(int) - plain).max(axis=2) > 60
    edge_px = round(9 * scale)
    assert is_drawn[:edge_px, :edge_px].any()
    assert not is_drawn[edge_px:, edge_px:].any()


def test_the_same_images_are_kept_of_both_networks(slim_run: Path) -> None:
    samples = json.loads((slim_run / "pictures" / "index.json").read_text())["samples"]
    assert len({sample["image"] for sample in samples}) == len(samples) == 4
    dense, slim = (
        [cv2.imread(str(slim_run / "pictures" / sample[name])).astype(int) for sample in samples]
        for name in ("dense", "slim")
    )
    assert [a.shape for a in dense] == [b.shape for b in slim]
    differs = [bool(np.abs(a - b).max() > 60) for a, b in zip(dense, slim, strict=True)]
    assert differs == [True, False, False, True]


def test_every_stage_and_split_has_its_curves(slim_run: Path) -> None:
    curves = json.loads((slim_run / "curves.json").read_text())
    assert {stage: set(splits) for stage, splits in curves.items()} == {
        "dense": {"val", "test"},
        "finetuned": {"val", "test"},
    }
