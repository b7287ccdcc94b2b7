"""Labels by a model: its detections become labels, doubtful images come first, nothing is replaced."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from helpers.square_finder import SquareFinder, squares_image
from seyolo.data.check import check_dataset
from seyolo.data.convert import Target
from seyolo.data.datasets import load_dataset
from seyolo.data.labelling import doubt_of, label_images
from seyolo.data.rounds import REVIEW_FILE
from seyolo.detector import Detector
from seyolo.errors import DataError, UsageError
from seyolo.progress import Silent

SIZE = (100, 200)
"""Height and width; in the input of 100x100 px the image is half as large."""
SQUARES = {"a": [(20, 20, 60, 80), (120, 30, 180, 70)], "b": [], "c": [(0, 0, 40, 40)]}


class Rated(SquareFinder):
    """Gives boxes at the left of the input a low score."""

    def _find(self, image: np.ndarray) -> np.ndarray:
        rows: Any = super()._find(image)
        rows[:, 4] = np.where((rows[:, 4] > 0) & (rows[:, 0] < 12), 0.2, rows[:, 4])
        return np.asarray(rows)


@pytest.fixture
def images(tmp_path: Path) -> list[Path]:
    paths = []
    for name, squares in SQUARES.items():
        path = tmp_path / "photos" / f"{name}.png"
        path.parent.mkdir(exist_ok=True)
        assert cv2.imwrite(str(path), squares_image(SIZE, squares))
        paths.append(path)
    return paths


def review(out: Path) -> list[dict[str, str]]:
    with (out / REVIEW_FILE).open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize("to", ["yolo", "coco", "voc"])
def test_what_the_model_finds_becomes_a_sound_data_set(
    to: Target, images: list[Path], tmp_path: Path
) -> None:
    out = tmp_path / "out"
    found = label_images(Detector(SquareFinder()), images, out, to, Silent())
    assert (found.counts.num_images, found.counts.num_objects, found.num_empty) == (3, 3, 1)
    dataset = load_dataset(out)
    assert dataset.names == ("square",)
    assert check_dataset(dataset).problems == ()
    boxes = {sample.image.stem: sample.boxes_cxcywh for sample in dataset.split("train")}
    # 20 to 60 of 200 and 20 to 80 of 100: centre 0.2 and 0.5, sides 0.2 and 0.6.
    expected = np.array([[0.2, 0.5, 0.2, 0.6], [0.75, 0.5, 0.3, 0.4]])
    order = np.argsort(boxes["a"][:, 0])
    np.testing.assert_allclose(boxes["a"][order], expected, atol=0.011 if to == "voc" else 0.01)
    assert len(boxes["b"]) == 0
    assert all((out / row["image"]).is_file() for row in review(out))


def test_an_image_without_boxes_has_an_empty_label_and_images_are_linked(
    images: list[Path], tmp_path: Path
) -> None:
    out = tmp_path / "out"
    label_images(Detector(SquareFinder()), images, out, "yolo", Silent())
    assert (out / "labels/train/b.txt").read_text() == ""
    assert (out / "labels/train/classes.txt").read_text() == "square\n"
    assert (out / "images/train/a.png").samefile(images[0])


def test_labels_are_the_detections_from_the_threshold_on(images: list[Path], tmp_path: Path) -> None:
    """The box at the left has score 0.2: no label at 0.25, but it makes its image doubtful."""
    detector = Detector(Rated(), confidence=0.25)
    found = label_images(detector, images, tmp_path / "out", "yolo", Silent())
    assert (found.counts.num_objects, found.num_empty) == (2, 2)
    assert detector.confidence == 0.25
    rows = review(tmp_path / "out")
    # c: 0.2 of 0.25 is 0.8, but it has no label: 1. b: nothing: 1. a: twice (1 - 0.9) / 0.75.
    assert [row["image"] for row in rows] == [
        "images/train/b.png",
        "images/train/c.png",
        "images/train/a.png",
    ]
    assert [row["doubt"] for row in rows] == ["1.000", "1.000", "0.267"]
    assert [row["boxes"] for row in rows] == ["0", "0", "2"]
    assert [row["lowest_score"] for row in rows] == ["", "", "0.900"]
    low = label_images(Detector(Rated(), confidence=0.1), images, tmp_path / "low", "yolo", Silent())
    assert low.counts.num_objects == 3


def test_doubt_is_largest_at_the_threshold() -> None:
    # (1 - 0.7) / 0.6 above, 0.1 / 0.4 below; 0.04 says nothing.
    assert doubt_of(np.array([0.7, 0.1, 0.04]), 0.4) == pytest.approx(0.5 + 0.25)
    assert doubt_of(np.array([0.4]), 0.4) == 1
    assert doubt_of(np.array([0.2, 0.3, 0.3]), 0.4) == pytest.approx(2)
    assert doubt_of(np.array([0.1]), 0.4) == 1
    assert doubt_of(np.array([]), 0.4) == 1
    assert doubt_of(np.array([0.5]), 0.0) == pytest.approx(0.5)
    assert doubt_of(np.array([1.0]), 1.0) == 0


def test_images_that_cannot_be_read_are_left_out_and_named(images: list[Path], tmp_path: Path) -> None:
    images[1].write_text("no image")
    found = label_images(Detector(SquareFinder()), images, tmp_path / "out", "yolo", Silent())
    assert found.counts.num_images == 2
    (message,) = found.unreadable
    assert "b.png" in message
    for image in images:
        image.unlink()
        image.write_text("no image")
    with pytest.raises(DataError, match="none of the images can be read"):
        label_images(Detector(SquareFinder()), images, tmp_path / "none", "yolo", Silent())
    assert not (tmp_path / "none").exists()


def test_equal_names_of_several_folders_stay_apart(images: list[Path], tmp_path: Path) -> None:
    other = tmp_path / "more" / "a.png"
    other.parent.mkdir()
    assert cv2.imwrite(str(other), squares_image(SIZE, []))
    label_images(Detector(SquareFinder()), [images[0], other], tmp_path / "out", "yolo", Silent())
    names = [row["image"] for row in review(tmp_path / "out")]
    assert sorted(names) == ["images/train/more/a.png", "images/train/photos/a.png"]
    assert len(load_dataset(tmp_path / "out").split("train").arrays["class_ids"]) == 2


def test_nothing_is_replaced(images: list[Path], tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "mine.txt").write_text("kept")
    detector = Detector(SquareFinder())
    with pytest.raises(DataError, match="already there"):
        label_images(detector, images, out, "yolo", Silent())
    assert [path.name for path in out.iterdir()] == ["mine.txt"]
    unknown: Any = "kitti"
    with pytest.raises(UsageError, match="--to kitti"):
        label_images(detector, images, tmp_path / "other", unknown, Silent())
