"""The two Oxford protocols, from a boxes file as the converter writes it."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest

from seyolo.data.oxford.convert import COLUMNS
from seyolo.data.samples import Sample
from seyolo.detections import Detections
from seyolo.errors import DataError
from seyolo.evaluation.oxford import oxford_metrics

LARGE = [10.0, 10.0, 70.0, 70.0]
DIAMOND = [100.0, 100.0, 150.0, 150.0]
"""The upright box of a diamond of half its area: 1,250 px² where the box has 2,500."""
DIAMOND_CORNERS = [125.0, 100.0, 150.0, 125.0, 125.0, 150.0, 100.0, 125.0]


def upright_corners(left: float, top: float, right: float, bottom: float) -> list[float]:
    return [left, top, right, top, right, bottom, left, bottom]


def row(image: str, corners: list[float], area_px2: float, split: str = "test") -> list[object]:
    return [split, image, 200, 180, *corners, area_px2, "left"]


def write_boxes(path: Path, rows: list[list[object]], columns=COLUMNS) -> Path:
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([columns, *rows])
    return path


def sample(name: str = "a.jpg", num_hands: int = 2, split: str = "test") -> Sample:
    boxes = np.full((num_hands, 4), 0.25, dtype=np.float32)
    return Sample(Path("images") / split / name, boxes, np.zeros(num_hands, dtype=np.int64))


def found(*rows: tuple[list[float], float]) -> Detections:
    boxes = np.array([box for box, _ in rows], dtype=np.float32).reshape(-1, 4)
    scores = np.array([score for _, score in rows], dtype=np.float32)
    return Detections(boxes, scores, np.zeros(len(rows), dtype=np.int64))


@pytest.fixture
def boxes_csv(tmp_path: Path) -> Path:
    rows = [row("a.jpg", upright_corners(*LARGE), 3600), row("a.jpg", DIAMOND_CORNERS, 1250)]
    return write_boxes(tmp_path / "oxford_boxes.csv", rows)


def test_a_small_hand_that_is_missed(boxes_csv: Path) -> None:
    metrics = oxford_metrics([sample()], [found((LARGE, 0.9))], boxes_csv)
    # One of two hands found: the recall points 0.00 to 0.50, 51 of 101.
    assert metrics["all"].ap50 == pytest.approx(51 / 101)
    assert metrics["official"].ap50 == pytest.approx(1)
    assert (metrics["all"].num_objects, metrics["official"].num_objects) == (2, 1)


def test_a_small_hand_that_is_found_first_does_not_hurt(boxes_csv: Path) -> None:
    # Its upright box has 2,500 px², above the limit; the quadrilateral decides.
    metrics = oxford_metrics([sample()], [found((DIAMOND, 0.9), (LARGE, 0.8))], boxes_csv)
    assert metrics["official"].ap == pytest.approx(1)
    assert metrics["all"].ap == pytest.approx(1)


def test_a_false_alarm_hurts_in_both(boxes_csv: Path) -> None:
    alarm = [150.0, 0.0, 170.0, 20.0]
    metrics = oxford_metrics([sample()], [found((alarm, 0.9), (LARGE, 0.8), (DIAMOND, 0.7))], boxes_csv)
    assert metrics["official"].ap50 == pytest.approx(1 / 2)
    assert metrics["all"].ap50 == pytest.approx(2 / 3)


@pytest.mark.parametrize(("area_px2", "counted"), [(1500.0, 0), (1500.01, 1)])
def test_the_limit_itself_is_too_small(tmp_path: Path, area_px2: float, counted: int) -> None:
    boxes = write_boxes(tmp_path / "b.csv", [row("a.jpg", upright_corners(*LARGE), area_px2)])
    metrics = oxford_metrics([sample(num_hands=1)], [found()], boxes)
    assert metrics["official"].num_objects == counted


def test_boxes_are_clipped_to_the_image(tmp_path: Path) -> None:
    # Width 200, height 180: the corners reach 40 px beyond the right and 20 px beyond the bottom border.
    boxes = write_boxes(tmp_path / "b.csv", [row("a.jpg", upright_corners(160, 140, 240, 200), 4800)])
    metrics = oxford_metrics([sample(num_hands=1)], [found(([160, 140, 200, 180], 0.9))], boxes)
    assert metrics["all"].ap == pytest.approx(1)


def test_the_same_name_in_another_split_is_another_image(tmp_path: Path) -> None:
    rows = [
        row("a.jpg", upright_corners(*DIAMOND), 2500, split="train"),
        row("a.jpg", upright_corners(*LARGE), 3600),
    ]
    boxes = write_boxes(tmp_path / "b.csv", rows)
    metrics = oxford_metrics([sample(num_hands=1)], [found((LARGE, 0.9))], boxes)
    assert metrics["all"].ap == pytest.approx(1)
    assert metrics["all"].num_objects == 1


def test_a_image_without_hands(boxes_csv: Path) -> None:
    samples = [sample(), sample("empty.jpg", num_hands=0)]
    metrics = oxford_metrics(samples, [found((LARGE, 0.8)), found((LARGE, 0.9))], boxes_csv)
    assert metrics["official"].ap50 == pytest.approx(1 / 2)


class TestBadInput:
    def test_no_file(self, tmp_path: Path) -> None:
        with pytest.raises(DataError, match=r"oxford_boxes\.csv: cannot be read .* official protocol needs"):
            oxford_metrics([sample()], [found()], tmp_path / "oxford_boxes.csv")

    def test_a_labelled_image_the_file_does_not_know(self, boxes_csv: Path) -> None:
        with pytest.raises(DataError, match=r"no row for test/b\.jpg, whose label has 2 hands"):
            oxford_metrics([sample("b.jpg")], [found()], boxes_csv)

    def test_a_missing_column(self, tmp_path: Path) -> None:
        boxes = write_boxes(tmp_path / "b.csv", [["test", "a.jpg"]], columns=COLUMNS[:2])
        with pytest.raises(DataError, match="no column 'height'"):
            oxford_metrics([sample()], [found()], boxes)

    @pytest.mark.parametrize("value", ["much", "nan"])
    def test_a_bad_number_names_its_line(self, tmp_path: Path, value: str) -> None:
        rows = [row("a.jpg", DIAMOND_CORNERS, 1250), row("a.jpg", DIAMOND_CORNERS, value)]
        with pytest.raises(DataError, match=r"b\.csv:3: "):
            oxford_metrics([sample()], [found()], write_boxes(tmp_path / "b.csv", rows))

    def test_a_binary_file(self, tmp_path: Path) -> None:
        path = tmp_path / "b.csv"
        path.write_bytes(b"\xff\xd8\xff\xe0")
        with pytest.raises(DataError, match="not a table"):
            oxford_metrics([sample()], [found()], path)
