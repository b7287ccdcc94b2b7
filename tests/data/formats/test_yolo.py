"""YOLO label files: where they lie, and which rows are refused."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from helpers.written_datasets import write_text
from seyolo.data.formats.yolo import label_path, parse_labels, read_labels
from seyolo.data.formats.yolo_rows import RowForm

HAND = RowForm(("hand",))


def no_size() -> tuple[int, int]:
    raise AssertionError("the image's size must not be asked for")


class TestLabelPath:
    def test_only_the_last_images_folder_is_replaced(self, tmp_path: Path) -> None:
        label = write_text(tmp_path / "images/set/labels/train/x.txt", "")
        assert label_path(tmp_path / "images/set/images/train/x.jpg") == label

    def test_beside_the_image(self, tmp_path: Path) -> None:
        label = write_text(tmp_path / "x.txt", "")
        assert label_path(tmp_path / "x.jpg") == label
        assert label_path(tmp_path / "y.jpg") is None


class TestLabels:
    @pytest.mark.parametrize(
        ("row", "message"),
        [
            ("1 0.5 0.5 0.1 0.1", "class 1 is out of range"),
            ("-1 0.5 0.5 0.1 0.1", "class -1 is out of range"),
            ("0.5 0.5 0.5 0.1 0.1", r"class 0\.5 is out of range"),
            ("0 nan 0.5 0.1 0.1", "not finite"),
            ("0 0.5 0.5 inf 0.1", "not finite"),
            ("0 0.5 0.5 0.1", "expected 5 columns .*, found 4"),
            ("0 0.5 0.5 0 0.1", "width 0 and height 0.1 must be above 0"),
            ("0 0.5 0.5 0.1 -0.1", "must be above 0"),
            ("0 0.5 1.005 0.1 0.01", "lies outside the image"),  # 0.5 px below the lower edge
        ],
    )
    def test_bad_rows(self, tmp_path: Path, row: str, message: str) -> None:
        path = write_text(tmp_path / "x.txt", f"\n{row}\n")
        (problem,) = read_labels(path, HAND, lambda: (50, 100)).problems
        assert re.search(rf"x\.txt:2: .*{message}", str(problem))

    def test_repeated_rows_are_kept_once(self) -> None:
        labels, problems = parse_labels("0 .5 .5 .1 .1\n0 0.50 0.5 0.1 0.1\n0 .4 .5 .1 .1\n", HAND, no_size)
        assert (len(labels.class_ids), labels.num_duplicates, problems) == (2, 1, [])

    def test_rounding_is_neither_clipped_nor_asked_about(self) -> None:
        # 0.0833335 rounds to 0.083333 at half of 0.166667: left = -5e-7.
        labels, problems = parse_labels("0 0.083333 0.5 0.166667 0.1\n", HAND, no_size)
        assert (labels.num_clipped, problems) == (0, [])
        assert labels.boxes_cxcywh[0, 0] - labels.boxes_cxcywh[0, 2] / 2 >= -1e-8

    def test_all_bad_rows_are_listed(self) -> None:
        labels, problems = parse_labels("3 .5 .5 .1 .1\n0 .5 .5 .1 .1\n\n0 .5\n", HAND, no_size)
        assert [problem.number for problem in problems] == [1, 4]
        assert len(labels.class_ids) == 1

    def test_byte_order_mark_and_windows_line_ends(self, tmp_path: Path) -> None:
        path = tmp_path / "x.txt"
        path.write_bytes(b"\xef\xbb\xbf0 0.5 0.5 0.1 0.1\r\n0 0.4 0.5 0.1 0.1\r\n")
        assert len(read_labels(path, HAND, no_size).labels.class_ids) == 2

    def test_binary_content(self, tmp_path: Path) -> None:
        path = tmp_path / "x.txt"
        path.write_bytes(b"\xff\xfe0\x00")
        assert read_labels(path, HAND, no_size).problems == [(str(path), 0, "not a text file in UTF-8")]

    @given(
        st.tuples(st.floats(-0.2, 1.2), st.floats(-0.2, 1.2), st.floats(0.001, 1.2), st.floats(0.001, 1.2)),
        st.integers(1, 400),
        st.integers(1, 400),
    )
    def test_a_box_is_inside_after_reading_or_reported(
        self, box: tuple[float, float, float, float], height: int, width: int
    ) -> None:
        row = "0 " + " ".join(f"{value:.6f}" for value in box)
        labels, problems = parse_labels(row, HAND, lambda: (height, width))
        assert len(problems) + len(labels.class_ids) == 1
        centre, half = labels.boxes_cxcywh[:, :2], labels.boxes_cxcywh[:, 2:] / 2
        assert (centre - half >= -1e-6).all()
        assert (centre + half <= 1 + 1e-6).all()
        cx, cy, w, h = (float(column) for column in row.split()[1:])
        outside_px = max((w / 2 - cx) * width, (cx + w / 2 - 1) * width)
        outside_px = max(outside_px, (h / 2 - cy) * height, (cy + h / 2 - 1) * height)
        if outside_px > 1.01:
            assert problems
        if outside_px <= 0:
            assert not problems
            assert labels.num_clipped == 0
