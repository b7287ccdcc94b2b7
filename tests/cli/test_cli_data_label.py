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
    common = ["--names", names, "--confidence", 0.1, "--runtime", "onnxruntime", "--overwrite"]
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
    again = run(
        "data", "label", "runs/train/train/best.safetensors", pictures, "again", "--to", "coco", "--overwrite"
    )
    assert again.code == 0, again.err
    assert load_dataset("again").names == ("hand",)


ROUND = ["data", "label", "hand", "photos", "out", "--threads", 1, "--runtime", "onnxruntime"]


@pytest.fixture
def photos(hands: Path, tmp_path: Path) -> Path:
    """Four images without labels, and one under another name in a folder of its own for later."""
    images = sorted((hands.parent / "images/train").glob("*.jpg"))
    (tmp_path / "later").mkdir()
    (tmp_path / "photos").mkdir()
    for image in images[:4]:
        shutil.copy(image, tmp_path / "photos")
    shutil.copy(images[4], tmp_path / "later" / images[0].name)
    return tmp_path / "photos"


def test_a_second_round_adds_images_and_keeps_corrected_labels(run: Run, photos: Path) -> None:
    first = run(*ROUND)
    assert first.code == 0, first.err
    done = "wrote out; correct the images in the order of out/review.csv, then: seyolo train --data out"
    assert first.err.splitlines()[-1] == done
    assert "labels of their own" not in first.err
    labels = sorted(Path("out/labels/train").glob("0*.txt"))
    for label in labels:
        label.write_text("0 0.5 0.5 0.25 0.25\n")  # corrected
    (new,) = Path("later").iterdir()
    shutil.copy(new, photos / "added.jpg")
    (photos / labels[0].with_suffix(".jpg").name).rename(photos / "renamed.jpg")
    second = run(*ROUND, "--json", "value.json")
    assert second.code == 0, second.err
    assert (
        "4 of 5 images have labels already (4 in out), left out; --overwrite labels them again" in second.err
    )
    assert "labels of their own" not in second.err
    assert "out has 5 images now; correct the images in the order of out/review.csv" in second.err
    value = json.loads(Path("value.json").read_text())
    assert [value[key] for key in ("num_images", "num_kept", "num_in_all")] == [1, 4, 5]
    assert {label.read_text() for label in labels} == {"0 0.5 0.5 0.25 0.25\n"}
    assert Path("out/labels/train/added.txt").is_file()
    rows = Path("out/review.csv").read_text().splitlines()[1:]
    assert [row.partition(",")[0] for row in rows] == ["images/train/added.jpg"]
    assert len(Path("out/review_1.csv").read_text().splitlines()) == 5
    checked = run("data", "check", "out")
    assert (checked.code, "label file" in checked.err) == (0, False)
    options = ["--model", "yolov3-tiny@0.125", "--size", 64, "--epochs", 1, "--batch", 2]
    assert run("train", "--data", "out", *options).code == 0


def test_an_image_of_a_taken_name_gets_a_number(run: Run, photos: Path) -> None:
    assert run(*ROUND).code == 0
    (new,) = Path("later").iterdir()
    assert (photos / new.name).is_file()
    assert run("data", "label", "hand", "later", "out").code == 0
    assert Path(f"out/images/train/{new.stem}_2.jpg").samefile(new)
    assert Path(f"out/labels/train/{new.stem}_2.txt").is_file()
    assert len(load_dataset("out").split("train")) == 5


def test_nothing_new_is_refused_and_overwrite_labels_again(run: Run, photos: Path) -> None:
    assert run(*ROUND).code == 0
    label = next(Path("out/labels/train").glob("0*.txt"))
    before = label.read_text()
    label.write_text("0 0.5 0.5 0.25 0.25\n")
    outcome = run(*ROUND)
    assert_refused(outcome, "4 of 4 images have labels already (4 in out); give others", "--overwrite")
    assert label.read_text() == "0 0.5 0.5 0.25 0.25\n"
    again = run(*ROUND, "--overwrite")
    assert again.code == 0, again.err
    assert "out has" not in again.err
    assert label.read_text() == before
    assert len(load_dataset("out").split("train")) == 4


def test_images_with_a_label_file_of_their_own_are_left_out(run: Run, photos: Path) -> None:
    image, other, third, _ = sorted(photos.iterdir())
    image.with_suffix(".txt").write_text("0 0.5 0.5 0.2 0.2\n")
    other.with_suffix(".txt").write_text("a caption, no label")
    third.with_suffix(".xml").write_text("<annotation></annotation>")
    outcome = run(*ROUND)
    assert outcome.code == 0, outcome.err
    assert "2 of 4 images have labels already (2 beside them), left out" in outcome.err
    assert outcome.err.splitlines()[-2:] == [
        "to train on images that have labels of their own, too, move them and their labels into a folder, "
        "and add it in out/data.yaml: train: [images/train, ../own/images/train]",
        "move images that have labels of their own alone: one that is in out, too, would count twice, "
        "once as without objects",
    ]
    assert len(load_dataset("out").split("train")) == 2
    own = photos.with_name("own")
    own.mkdir()
    for path in (image, image.with_suffix(".txt")):
        path.rename(own / path.name)
    data = Path("out/data.yaml")
    data.write_text(data.read_text().replace("train: images/train", "train: [images/train, ../own]"))
    rows = {
        Path(sample.image).name: len(sample.boxes_cxcywh) for sample in load_dataset("out").split("train")
    }
    assert (len(rows), rows[image.name]) == (3, 1)


def test_other_folders_formats_and_classes_are_refused(run: Run, photos: Path) -> None:
    assert run(*ROUND, "--to", "coco").code == 0
    assert_refused(run(*ROUND, "--to", "coco"), "images can be added to YOLO labels alone")
    shutil.rmtree("out")
    assert run(*ROUND).code == 0
    assert_refused(run(*ROUND, "--to", "voc"), "images can be added to YOLO labels alone")
    Path("names.txt").write_text("face\n")
    named = run(*ROUND, "--names", "names.txt", "--overwrite")
    assert_refused(named, "out: its classes are hand, those of the model face", "name another folder")


def test_a_model_without_class_names_is_refused(run: Run, onnx: Path, hands: Path) -> None:
    pictures = hands.parent / "images/test"
    outcome = run("data", "label", onnx, pictures, "out", "--overwrite")
    assert_refused(outcome, "names no classes", "--names FILE")
    assert not Path("out").exists()


def test_what_cannot_be_labelled_is_refused_before_the_model_is_opened(run: Run, hands: Path) -> None:
    pictures = hands.parent / "images/test"
    Path("empty").mkdir()
    Path("full").mkdir()
    Path("full/kept.txt").write_text("kept")
    assert_refused(run("data", "label", "gone.onnx", "empty", "out"), "no images in this folder")
    assert_refused(run("data", "label", "gone.onnx", pictures, "full"), "full: already there")
    assert_refused(run("data", "label", "gone.onnx", pictures, "out", "--overwrite"), "gone.onnx")
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
    outcome = run("data", "label", "hand", hands.parent / "images/test", "out", "--overwrite", *options)
    assert outcome.code == 0, outcome.err
