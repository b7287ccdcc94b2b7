"""`seyolo data label`: labels that every data verb and training take, and what it refuses."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from helpers.running import Run, assert_refused
from seyolo.data.datasets import load_dataset
from seyolo.detector import Detector


def test_labels_are_those_of_the_detector_and_can_be_trained_on(
    run: Run, hands: Path, onnx: Path, tmp_path: Path
) -> None:
    names = Path("names.txt")
    names.write_text("hand\n")
    pictures = hands.parent / "images/train"
    common = ["--names", names, "--confidence", 0.1, "--runtime", "onnxruntime"]
    outcome = run("data", "label", onnx, pictures, "out", *common, "--json", "-")
    assert outcome.code == 0, outcome.err
    value = json.loads(outcome.out)
    detector = Detector(onnx, confidence=0.1, names=["hand"])
    expected = [len(found) for found in detector.detect_many(pictures)]
    assert (value["num_images"], value["num_boxes"]) == (8, sum(expected))
    assert value["num_without_boxes"] == expected.count(0)
    samples = load_dataset("out").split("train")
    assert [len(sample.class_ids) for sample in samples] == expected
    assert run("data", "check", "out").code == 0
    assert run("data", "view", "out").code == 0
    shutil.rmtree("out/labels")
    shutil.copytree(hands.parent / "labels", "out/labels")  # corrected
    trained = run(
        "train", "--data", "out", "--model", "yolov3-tiny@0.125", "--size", 64, "--epochs", 1, "--batch", 2
    )
    assert trained.code == 0, trained.err
    again = run("data", "label", "runs/train/train/best.safetensors", pictures, "again", "--to", "coco")
    assert again.code == 0, again.err
    assert load_dataset("again").names == ("hand",)


def test_a_model_without_class_names_is_refused(run: Run, onnx: Path, hands: Path) -> None:
    pictures = hands.parent / "images/test"
    assert_refused(run("data", "label", onnx, pictures, "out"), "names no classes", "--names FILE")
    assert not Path("out").exists()


def test_what_cannot_be_labelled_is_refused_before_the_model_is_opened(run: Run, hands: Path) -> None:
    pictures = hands.parent / "images/test"
    Path("empty").mkdir()
    Path("full").mkdir()
    Path("full/kept.txt").write_text("kept")
    assert_refused(run("data", "label", "gone.onnx", "empty", "out"), "no images in this folder")
    assert_refused(run("data", "label", "gone.onnx", pictures, "full"), "full: already there")
    assert_refused(run("data", "label", "gone.onnx", pictures, "out"), "gone.onnx")
    assert_refused(run("data", "label", "hand", pictures, "out", "--confidence", 2), "--confidence 2")
    assert_refused(run("data", "label", "hand", pictures, "out", "--to", "kitti"), "kitti")
    assert not Path("out").exists()


def test_unreadable_images_are_named(run: Run, hands: Path) -> None:
    shutil.copytree(hands.parent / "images/test", "photos")
    for number in range(4):
        Path(f"photos/bad{number}.jpg").write_text("no image")
    outcome = run("data", "label", "hand", "photos", "out")
    assert outcome.code == 0, outcome.err
    assert outcome.err.count("warning: left out: photos") == 3
    assert "1 more image that cannot be read" in outcome.err
    assert len(load_dataset("out").split("train")) == 2


@pytest.mark.parametrize("options", [["--tile", "--tile-size", 48], ["--threads", 1]])
def test_options_of_detect_hold(run: Run, hands: Path, options: list[object]) -> None:
    outcome = run("data", "label", "hand", hands.parent / "images/test", "out", *options)
    assert outcome.code == 0, outcome.err
