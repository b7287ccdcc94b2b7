"""The report on a data set lists every problem at once and counts what it should."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from seyolo.data.check import Report, check_dataset
from seyolo.data.datasets import load_dataset
from seyolo.data.writing import write_data_yaml


def make_image(path: Path, seed: int, height: int = 40, width: int = 80) -> bytes:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 255, (height, width, 3), dtype=np.uint8)
    assert cv2.imwrite(str(path), pixels)
    return path.read_bytes()


def make_label(root: Path, place: str, text: str) -> None:
    path = root / "labels" / f"{place}.txt"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


@pytest.fixture
def report(tmp_path: Path) -> Report:
    """Train holds one of every trouble; val shares an image with it; test is missing."""
    images = tmp_path / "images"
    data = make_image(images / "train/shared.jpg", 0)
    make_image(images / "train/good.jpg", 1)
    make_image(images / "train/negative.jpg", 2)
    make_image(images / "train/bad_rows.jpg", 3)
    (images / "train/cut.jpg").write_bytes(data[:-100])
    (images / "train/text.jpg").write_text("no image")
    (images / "val").mkdir()
    (images / "val/other_name.jpg").write_bytes(data)
    # 80x40 px: 0.2 * 80 x 0.1 * 40 = 16 x 4 = side 8; 0.5 * 80 x 0.4 * 40 = 40 x 16, side 25.298.
    make_label(tmp_path, "train/good", "0 0.5 0.5 0.2 0.1\n1 0.5 0.5 0.5 0.4\n0 0.5 0.5 0.2 0.1\n")
    # 0.1 - 0.21 / 2 = -0.005 = 0.4 px outside of 80.
    make_label(tmp_path, "train/shared", "0 0.1 0.5 0.21 0.1\n")
    make_label(tmp_path, "train/bad_rows", "7 0.5 0.5 0.1 0.1\n0 0.5 0.5 0.1 nan\n0 0.5\n0 1.5 0.5 0.1 0.1\n")
    make_label(tmp_path, "train/cut", "0 0.5 0.5 0.1 0.1\n")
    make_label(tmp_path, "train/gone", "0 0.5 0.5 0.1 0.1\n")
    make_label(tmp_path, "val/other_name", "")
    splits = {name: f"images/{name}" for name in ("train", "val", "test")}
    write_data_yaml(tmp_path / "data.yaml", splits, ("hand", "face"))
    return check_dataset(load_dataset(tmp_path / "data.yaml"))


def test_counts(report: Report) -> None:
    train, val, test = report.splits
    assert (train.num_pictures, val.num_pictures, test.num_pictures) == (6, 1, 0)
    assert train.objects_per_class == {"hand": 3, "face": 1}  # good 1 + 1, shared 1, cut 1
    assert train.num_objects == 4
    assert train.num_negatives == 2  # negative.jpg and text.jpg; bad_rows.jpg is none
    assert (train.num_clipped, train.num_duplicates, train.num_unreadable) == (1, 1, 2)
    assert (val.num_negatives, val.num_objects, val.box_side_px) == (1, 0, {})
    assert report.num_shared_pictures == 1


def test_box_sides_are_in_image_pixels(report: Report) -> None:
    # shared.jpg: clipped to 0..0.205, 16.4 x 4 px, side 8.0994; the image cut.jpg has no size.
    sides_px = sorted([8.0, 8.0994, 25.2982])
    train = report.splits[0].box_side_px
    assert list(train) == ["p0", "p10", "p50", "p90", "p100"]
    np.testing.assert_allclose([train["p0"], train["p50"], train["p100"]], sides_px, rtol=1e-4)


def test_every_problem_is_listed_with_its_place(report: Report) -> None:
    found = {(Path(p.file).name, p.line): p.text for p in report.problems}
    expected = {
        ("data.yaml", 0): "split `test` is missing",
        ("bad_rows.txt", 1): "class 7 is out of range",
        ("bad_rows.txt", 2): "not finite",
        ("bad_rows.txt", 3): "expected 5 columns",
        ("bad_rows.txt", 4): "px out of the 80x40 image",
        ("cut.jpg", 0): "truncated",
        ("text.jpg", 0): "not an image",
        ("gone.txt", 0): "no image of this name",
        ("shared.jpg", 0): "the same image is in train",
    }
    assert found.keys() == expected.keys()
    for place, text in expected.items():
        assert text in found[place]
    assert "and in val" in found["shared.jpg", 0]


def test_the_report_is_json(report: Report) -> None:
    value = json.loads(json.dumps(report.to_dict()))
    assert list(value) == ["source", "names", "splits", "num_shared_pictures", "near_duplicates", "problems"]
    assert value["problems"][0].keys() == {"file", "line", "text"}
    assert value["splits"][0]["box_side_px_p50"] == 8.1


def test_rows_of_an_unreadable_image_that_need_its_size(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    (tmp_path / "images/x.jpg").write_bytes(b"")
    (tmp_path / "labels").mkdir()
    (tmp_path / "labels/x.txt").write_text("0 0.0 0.5 0.1 0.1\n")
    write_data_yaml(tmp_path / "data.yaml", {"train": "images"}, ("hand",))
    problems = check_dataset(load_dataset(tmp_path / "data.yaml")).problems
    assert [(Path(p.file).name, p.line) for p in problems] == [("x.jpg", 0), ("x.txt", 1)]


def test_real_hands_are_sound(shared_data: Path, tmp_path: Path) -> None:
    hands = shared_data / "hands"
    splits = {name: str(hands / "images" / name) for name in ("val", "val_small")}
    write_data_yaml(tmp_path / "data.yaml", splits, ("hand",))
    report = check_dataset(load_dataset(tmp_path / "data.yaml"))
    assert report.problems == ()
    assert [split.num_objects for split in report.splits] == [371, 2620]
    assert report.splits[1].box_side_px["p50"] == pytest.approx(31, abs=1)  # as its documentation says
