"""The images that importance, repair and int8 are measured on, with labels and without."""

from __future__ import annotations

import re
from pathlib import Path

import cv2
import pytest

import seyolo
from helpers.spot_detector import spot_detector, spot_images, write_spots
from seyolo.data.datasets import load_dataset
from seyolo.errors import DataError
from seyolo.letterbox import Fit
from seyolo.options.export import ExportOptions
from seyolo.verbs.calibration import CalibrationSet, classes_not_shown


def test_calibration_images_are_drawn_by_seed(tiny_hands: Path) -> None:
    dataset = load_dataset(tiny_hands)
    drawn = [
        [sample.image for sample in CalibrationSet(dataset, Fit((64, 64)), seed).samples(5)]
        for seed in (0, 0, 1)
    ]
    assert len(set(drawn[0])) == 5
    assert drawn[0] == drawn[1] != drawn[2]
    assert len(CalibrationSet(dataset, Fit((64, 64))).samples(1000)) == len(dataset.split("train"))


def test_the_number_of_images_is_that_of_the_batches(tiny_hands: Path) -> None:
    images = CalibrationSet(
        load_dataset(tiny_hands), Fit((64, 64))
    )  # of 12 images: an epoch is a batch of 16
    for count, expected in ((8, 2 + 6), (20, 5 + 15), (64, 12 + 16)):
        assert images.num_images(count) == sum(map(len, images.batches(count))) == expected


@pytest.fixture
def dense(tmp_path: Path) -> Path:
    path = tmp_path / "dense.safetensors"
    seyolo.save(seyolo.load("yolov3-tiny@0.25", num_classes=1), path)
    return path


def test_a_folder_of_images_prunes_as_the_data_set_it_is_of(
    dense: Path, tiny_hands: Path, tmp_path: Path
) -> None:
    photos = tiny_hands.parent / "images/train"
    for data in (tiny_hands, photos):
        out = tmp_path / f"{data.name}.cfg"
        chosen = {"importance": "norm", "repair": "recalibrate", "budget": "macs=50%", "size": 64}
        seyolo.api.prune_file(dense, out, data=data, **chosen)
    weights = [(tmp_path / f"{name}.weights").read_bytes() for name in ("data.yaml", "train")]
    assert weights[0] == weights[1]
    measured = seyolo.api.prune_file(dense, tmp_path / "slim.cfg", data=photos, budget="macs=50%", size=64)
    assert measured.importance == "obs"
    scores = seyolo.api.importance_scores(dense, "obs", data=photos)
    assert scores.importance == "obs"


def test_taylor_needs_labels(dense: Path, tiny_hands: Path, tmp_path: Path) -> None:
    photos = tiny_hands.parent / "images/train"
    said = f"{photos}: has no labels, which --importance taylor needs; choose obs, bn, norm or group, which"
    with pytest.raises(DataError, match=re.escape(said)):
        seyolo.api.prune_file(dense, tmp_path / "x.cfg", data=photos, importance="taylor", budget="macs=50%")
    assert not (tmp_path / "x.cfg").exists()


def test_int8_is_measured_on_a_folder_of_images(tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    paths = [tmp_path / f"photos/{number:02}.png" for number in range(12)]
    for path, image in zip(paths, spot_images(12), strict=True):
        cv2.imwrite(str(path), image)
    seyolo.save(spot_detector(), tmp_path / "spots.safetensors")
    model, out = seyolo.load(tmp_path / "spots.safetensors"), tmp_path / "folder.onnx"
    options = ExportOptions(int8=True, data=tmp_path / "photos")
    exported = seyolo.api.export_file(tmp_path / "spots.safetensors", out, options)
    assert (exported.files, exported.metrics) == ((out,), {})
    seyolo.export(model, tmp_path / "listed.onnx", int8=True, pictures=paths)
    assert out.read_bytes() == (tmp_path / "listed.onnx").read_bytes()


def test_classes_that_the_images_do_not_show_are_named(tmp_path: Path) -> None:
    dataset = load_dataset(write_spots(tmp_path, train=3))
    assert dataset.names == ("spot",)
    assert classes_not_shown(dataset, ["spot"]) == []
    (line,) = classes_not_shown(dataset, ["face", "Spot", "hand"])
    assert line.startswith(
        "warning: the images show 1 of the network's 3 classes, not face, hand; give images"
    )
    assert classes_not_shown(dataset, ["face", "hand"]) == []  # labels of other classes say nothing
    for label in (tmp_path / "labels/train").iterdir():
        label.write_text("")
    assert classes_not_shown(load_dataset(dataset.source), ["spot", "hand"]) == []
