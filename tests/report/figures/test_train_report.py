"""The images of a training run: boxes where they belong, in their colours."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from seyolo.data.datasets import load_dataset
from seyolo.data.labels import Ignored
from seyolo.detections import Detections
from seyolo.evaluation.evaluate import Judged
from seyolo.media.annotate import class_colour
from seyolo.opening.network import load
from seyolo.report.figures import train_run
from seyolo.report.figures.samples import GAP_PX, IGNORED_REGION, LABEL_PX
from seyolo.report.figures.train_run import CELL_PX, FOUND, TRUTH, write_batch, write_train_figures


def pixel(sheet: np.ndarray, x: float, y: float, column: int = 0) -> np.ndarray:
    """The colour at (x, y) of an image on the sheet, in parts of its cell."""
    left = GAP_PX + column * (CELL_PX + GAP_PX)
    return sheet[round(LABEL_PX + GAP_PX + y * CELL_PX), round(left + x * CELL_PX)].astype(int)


def near(colour: np.ndarray, expected: tuple[int, int, int]) -> bool:
    return bool(np.abs(colour - expected).max() < 60)  # JPEG smears thin lines


@pytest.fixture
def lossless(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(train_run, "BATCH_FILE", "batch.png")
    monkeypatch.setattr(train_run, "PREDICTIONS_FILE", "val.png")


def test_a_batch_with_its_labels(tmp_path: Path, lossless: None) -> None:
    images = np.zeros((2, 3, 160, 160), np.uint8)
    images[:, 0] = 200  # red, since the network reads RGB
    # One box in the second image: centre (80, 40), 80 x 40 px, so its left side is at a quarter.
    write_batch(tmp_path, images, np.array([[1, 1, 80, 40, 80, 40]], np.float32), ["left", "right"])
    sheet = cv2.imread(str(tmp_path / "batch.png"))
    assert sheet.shape == (LABEL_PX + CELL_PX + 2 * GAP_PX, 2 * (CELL_PX + GAP_PX) + GAP_PX, 3)
    assert pixel(sheet, 0.25, 0.25).tolist() == [0, 0, 200]
    assert near(pixel(sheet, 0.25, 0.25, column=1), class_colour(1))


def test_labels_and_detections_have_two_colours(
    tiny_hands: Path, tmp_path: Path, lossless: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    samples = load_dataset(tiny_hands).split("val")
    found = Detections(np.array([[1.0, 1, 20, 30]]), np.array([0.5]), np.array([0]))
    monkeypatch.setattr(train_run, "judged", lambda _, picked, *__: Judged([], [], [found] * len(picked)))
    model = load("yolov3-tiny@0.125", names=["hand"])
    history = [{"epoch": 1, "box": 1.0, "objectness": 1.0, "classes": 0.0, "val_ap": 0.5}]
    write_train_figures(tmp_path, model, samples, (64, 64), history)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["curves.png", "val.png"]
    sheet = cv2.imread(str(tmp_path / "val.png"))[LABEL_PX:].astype(int)
    for colour in (TRUTH, FOUND):
        assert (np.abs(sheet - colour).max(axis=2) == 0).sum() > 100


def test_ignored_regions_are_grey(
    tiny_hands: Path, tmp_path: Path, lossless: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_batch(
        tmp_path, np.zeros((1, 3, 160, 160), np.uint8), np.float32([[0, -1, 80, 40, 80, 40]]), ["hand"]
    )
    sheet = cv2.imread(str(tmp_path / "batch.png"))
    assert near(pixel(sheet, 0.25, 0.25), IGNORED_REGION)
    region = Ignored(np.float32([[0.5, 0.5, 0.5, 0.5]]), np.zeros(1, np.int64), np.array([True]))
    samples = [replace(sample, ignored=region) for sample in load_dataset(tiny_hands).split("val")]
    nothing = Detections.empty()
    monkeypatch.setattr(train_run, "judged", lambda _, picked, *__: Judged([], [], [nothing] * len(picked)))
    model = load("yolov3-tiny@0.125", names=["hand"])
    write_train_figures(tmp_path, model, samples, 64, [{"epoch": 1, "box": 1.0, "val_ap": 0.5}])
    sheet = cv2.imread(str(tmp_path / "val.png"))[LABEL_PX:].astype(int)
    assert (np.abs(sheet - IGNORED_REGION).max(axis=2) == 0).sum() > 100
