"""Rows of YOLO labels that are more than a box: points become their box, all others are named."""

from __future__ import annotations

import logging
import math
from pathlib import Path

import numpy as np
import pytest

from helpers.written_datasets import write_image, write_text, write_yaml
from seyolo.data.check import check_dataset
from seyolo.data.datasets import load_dataset
from seyolo.data.formats.yolo import parse_labels
from seyolo.data.formats.yolo_rows import RowForm
from seyolo.data.labels import Labels
from seyolo.errors import DataError

FORM = RowForm(("face", "hand", "traffic light"))


def read(row: str, form: RowForm = FORM) -> Labels:
    labels, problems = parse_labels(row, form, lambda: (120, 160))
    assert problems == []
    return labels


def refused(row: str, form: RowForm = FORM) -> str:
    labels, problems = parse_labels(row, form, lambda: (120, 160))
    assert len(labels.class_ids) == 0
    (problem,) = problems
    return problem.text


def text(*values: float) -> str:
    return " ".join(f"{value:.6f}" for value in values)


class TestPoints:
    @pytest.mark.parametrize(
        ("points", "box"),
        [
            ("0.125 0.25 0.375 0.25 0.375 0.666667 0.125 0.666667", [0.25, 0.4583335, 0.25, 0.416667]),
            (
                "0.125 0.25 0.375 0.25 0.375 0.666667 0.125 0.666667 0.2 0.4",
                [0.25, 0.4583335, 0.25, 0.416667],
            ),
            ("0.25 0.25 0.5 0.25 0.375 0.5", [0.375, 0.375, 0.25, 0.25]),
            # Roboflow closes a polygon with its first point.
            ("0.25 0.25 0.5 0.25 0.375 0.5 0.25 0.25", [0.375, 0.375, 0.25, 0.25]),
            # The whole image, with whole numbers at its border.
            ("0 0 1 0 1 1 0 1", [0.5, 0.5, 1, 1]),
            ("0.1 0.5 0.5 0.1 0.9 0.5 0.5 0.9", [0.5, 0.5, 0.8, 0.8]),
            # Less than a pixel outside.
            ("-0.001 0.25 0.5 0.25 0.25 0.5", [0.25, 0.375, 0.5, 0.25]),
        ],
    )
    def test_they_become_their_box(self, points: str, box: list[float]) -> None:
        labels = read(f"1 {points}")
        np.testing.assert_allclose(labels.boxes_cxcywh, [box], atol=1e-7)
        assert (labels.class_ids.tolist(), labels.num_outlines) == ([1], 1)

    def test_boxes_and_points_in_a_file(self) -> None:
        labels = read("0 0.5 0.5 0.2 0.2\n1 0.25 0.25 0.5 0.25 0.375 0.5\n0\t0.1 0.1\t0.1 0.1\r\n")
        assert (labels.num_outlines, labels.class_ids.tolist()) == (1, [0, 1, 0])

    def test_turned_boxes_and_round_outlines_are_not_taken_for_keypoints(self) -> None:
        rng = np.random.default_rng(0)
        for _ in range(2000):
            centre, radius, turn = rng.uniform(0.2, 0.8, 2), rng.uniform(0.02, 0.2, 2), rng.uniform(0, 7)
            count = int(rng.integers(3, 30))
            angles = turn + np.arange(count) / count * 2 * math.pi
            ring = centre + radius * np.stack([np.cos(angles), np.sin(angles)], axis=1)
            corners = centre + np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]]) * radius @ [
                [math.cos(turn), -math.sin(turn)],
                [math.sin(turn), math.cos(turn)],
            ]
            for points in (ring, corners):
                if points.min() >= 0 and points.max() <= 1:
                    assert read(f"0 {text(*points.flatten())}").num_outlines == 1

    def test_points_on_a_line_have_no_box(self) -> None:
        assert refused("0 0.1 0.5 0.2 0.5 0.3 0.5") == "width 0.2 and height 0 must be above 0"

    def test_points_out_of_the_image_are_refused_as_boxes_are(self) -> None:
        assert "px out of the 160x120 image" in refused("0 0.1 0.5 1.1 0.5 0.3 0.7")

    def test_they_are_counted_and_said(self, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
        data = write_yaml(tmp_path)
        write_text(tmp_path / "labels/val/b1.txt", "1 0.25 0.25 0.5 0.25 0.375 0.5\n0 0.5 0.5 0.2 0.2\n")
        assert [split.num_outlines for split in check_dataset(load_dataset(data)).splits] == [0, 1, 0]
        with caplog.at_level(logging.INFO, "seyolo"):
            dataset = load_dataset(data)
            for split in ("train", "val", "val"):
                dataset.split(split)
        said = f"{data}: outlines, read as the boxes around them, among the labels of split `val`: 1"
        assert [record.getMessage() for record in caplog.records] == [said]


BODY = "0.5 0.5 0.4 0.6"
POINTS_3D = "0.4 0.3 2 0.6 0.3 1 0.5 0.75 0"


class TestNamed:
    @pytest.mark.parametrize(
        ("row", "message"),
        [
            ("0 0.5 0.5 0.1 0.1 0.93", "6 columns are a box and a confidence; keep the first five"),
            ("0 0.5 0.5 0.1 0.1 17", "6 columns are a box and a track id; keep"),
            ("0 0.5 0.5 0.1 0.1 1", "6 columns are a box and a confidence or a track id; keep"),
            ("0 0.5 0.5 0.1 0.1 0.93 17", "7 columns are a box, a confidence and a track id; keep"),
            (f"0 {BODY} {POINTS_3D}", "14 columns are a box and 3 keypoints (x, y and visibility); keep"),
            (f"0 {BODY} 0.4 0.3 2", "8 columns are a box and 1 keypoint (x, y and visibility); keep"),
            # Two keypoints with visibility: 11 columns, which a polygon has, too; but a 2 is no coordinate.
            (f"0 {BODY} 0.4 0.3 2 0.6 0.7 1", "11 columns are a box and 2 keypoints (x, y and visibility)"),
            ("0 0.5 0.5 0.1 0.1 0.2 0.3 0.4 0.5 0.6", "or a class and 3 points or more, found 10"),
            ("0 0.5 0.5", "expected 5 columns (class cx cy w h), or a class and 3 points or more, found 3"),
            ("0", "found 1"),
            ("0,0.5,0.5,0.2,0.2", "has commas; expected numbers with points and spaces, `0 0.5 0.5 0.2 0.2`"),
            ("0, 0.5, 0.5, 0.2, 0.2", "`0 0.5 0.5 0.2 0.2`"),
            ("0;0.5;0.5;0.2;0.2", "`0 0.5 0.5 0.2 0.2`"),
            ("0 0,5 0,5 0,2 0,2", "`0 0.5 0.5 0.2 0.2`"),
            ("0;0,5;0,5;0,2;0,2", "`0 0.5 0.5 0.2 0.2`"),
            ("hand 0.5 0.5 0.2 0.2", "`hand` is no number; expected that of the class: 1 for hand"),
            ("traffic light 0.5 0.5 0.2 0.2", "expected that of the class: 2 for traffic light"),
            ("foot 0.5 0.5 0.2 0.2", "that of the class: 0 for face, 1 for hand, 2 for traffic light"),
            ("0 0.5 0.5 x 0.2", "are not numbers"),
            ("3 0.5 0.5 0.2 0.2", "0 is the first; subtract 1 if the labels count classes from 1"),
            ("4 0.5 0.5 0.2 0.2", "class 4 is out of range; the data set names 3 classes, 0 is the first"),
            ("0 52 40 20 20", "`52 40 20 20` are pixels; expected parts of the 160x120 image: divide x"),
            ("0 0 0 20 20", "are pixels"),
            ("0 52.5 40.5 20 1.5", "are pixels"),
            ("0 20 30 60 30 60 80 20 80", "are pixels"),
        ],
    )  # fmt: skip
    def test_rows_of_other_kinds(self, row: str, message: str) -> None:
        assert message in refused(row)

    @pytest.mark.parametrize("count", [3, 5, 12, 21])
    def test_keypoints_that_fill_their_box_fit_two_readings(self, count: int) -> None:
        rng = np.random.default_rng(count)
        x, y = rng.uniform(0.3, 0.7, count), rng.uniform(0.2, 0.8, count)
        box = (x.min() + x.max()) / 2, (y.min() + y.max()) / 2, np.ptp(x) * 1.1, np.ptp(y) * 1.1
        message = refused(f"0 {text(*box, *np.stack([x, y], axis=1).flatten())}")
        both = f"a polygon of {count + 2} points, or a box and {count} keypoints (x and y)"
        assert f"{5 + 2 * count} columns fit two readings, {both}" in message
        assert "keep the first five columns" in message
        assert "a polygon may begin with another of its points" in message

    def test_visibilities_of_0_and_1_fit_two_readings(self) -> None:
        message = refused(f"0 {BODY} 0.4 0.3 1 0.6 0.7 0")
        assert "a polygon of 5 points, or a box and 2 keypoints (x, y and visibility)" in message

    def test_a_triangle_at_the_border_may_be_a_track(self) -> None:
        message = refused("0 0.5 0.5 0.2 0.2 0.9 1")
        assert "a polygon of 3 points, or a box, a confidence and a track id" in message
        assert read("0 0.5 0.5 0.2 0.2 0.9 1.000000").num_outlines == 1

    @pytest.mark.parametrize(
        ("keypoints", "row", "message"),
        [
            ((3, 3), f"0 {BODY} {POINTS_3D}", "14 columns are a box and 3 keypoints (x, y and visibility)"),
            ((2, 2), f"0 {BODY} 0.49 0.5 0.5 0.5", "9 columns are a box and 2 keypoints (x and y)"),
            ((2, 2), f"0 {BODY} 0.49 0.5 0.5 0.5 0.5 0.4", "expected 5 columns (class cx cy w h), found 11"),
        ],
    )
    def test_kpt_shape_decides(self, keypoints: tuple[int, int], row: str, message: str) -> None:
        form = RowForm(FORM.names, keypoints)
        assert message in refused(row, form)
        assert len(read(f"0 {BODY}", form).class_ids) == 1


class TestInADataSet:
    # A polygon that would also be a box (centre, size) with 3 keypoints that fill it.
    EITHER = "0 0.5 0.5 0.4 0.6 0.32 0.22 0.68 0.4 0.4 0.78"
    OTHER = "0 0.25 0.25 0.5 0.25 0.375 0.5"  # of another count of points

    def written(self, folder: Path, rows: dict[str, str], extra: str = "") -> Path:
        for seed, (name, text) in enumerate(rows.items()):
            write_image(folder / f"images/{name}.png", seed)
            write_text(folder / f"labels/{name}.txt", f"{text}\n")
        return write_text(folder / "data.yaml", f"train: images\nval: images\nnames: [hand]\n{extra}")

    def test_rows_of_several_counts_are_polygons(self, tmp_path: Path) -> None:
        data = self.written(tmp_path / "one", {"a": self.EITHER, "b": self.EITHER})
        with pytest.raises(DataError, match="11 columns fit two readings"):
            load_dataset(data).split("train")
        data = self.written(tmp_path / "several", {"a": self.EITHER, "b": self.OTHER})
        assert [len(sample.class_ids) for sample in load_dataset(data).split("train")] == [1, 1]
        (report, _) = check_dataset(load_dataset(data)).splits
        assert (report.num_outlines, report.num_objects) == (2, 2)

    def test_kpt_shape_in_the_yaml(self, tmp_path: Path) -> None:
        keys = "kpt_shape: [3, 2]\nflip_idx: [0, 2, 1]\n"
        data = self.written(tmp_path, {"a": self.EITHER, "b": self.OTHER}, keys)
        with pytest.raises(DataError, match=r"a\.txt:1: 11 columns are a box and 3 keypoints \(x and y\)"):
            load_dataset(data).split("train")

    @pytest.mark.parametrize("shape", ["3", "[3]", "[3, 4]", "[0, 2]", "[a, 2]", "[3, 2, 1]"])
    def test_a_kpt_shape_that_makes_no_sense(self, tmp_path: Path, shape: str) -> None:
        data = self.written(tmp_path, {"a": self.OTHER}, f"kpt_shape: {shape}\n")
        with pytest.raises(DataError, match="kpt_shape: expected a number of keypoints and 2 or 3, found"):
            load_dataset(data)


def test_a_refusal_names_file_and_line(tmp_path: Path) -> None:
    write_image(tmp_path / "images/a.png")
    write_text(tmp_path / "labels/a.txt", "0 0.5 0.5 0.2 0.2\n0 0.5 0.5 0.2 0.2 0.9\n")
    data = write_text(tmp_path / "data.yaml", "train: images\nval: images\nnames: [hand]\n")
    with pytest.raises(
        DataError, match=r"a\.txt:2: 6 columns are a box and a confidence; keep the first five"
    ):
        load_dataset(data).split("train")
    (first, *_) = check_dataset(load_dataset(data)).problems
    assert (Path(first.file).name, first.line) == ("a.txt", 2)
