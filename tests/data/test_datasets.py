"""data.yaml, splits, and YOLO labels: what is read, and what is said about what cannot be."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from seyolo.data.datasets import label_path, load_dataset, write_data_yaml
from seyolo.data.labels import parse_labels, read_labels
from seyolo.errors import DataError


def no_size() -> tuple[int, int]:
    raise AssertionError("the picture's size must not be asked for")


def make_picture(path: Path, height: int = 20, width: int = 40, seed: int = 0) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 255, (height, width, 3), dtype=np.uint8)
    assert cv2.imwrite(str(path), pixels)
    return path


def make_label(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Two train pictures (one a negative without label file), one val picture with an empty label."""
    make_picture(tmp_path / "images/train/b.jpg")
    make_picture(tmp_path / "images/train/a.png")
    make_picture(tmp_path / "images/val/c.jpg")
    make_label(tmp_path / "labels/train/b.txt", "0 0.5 0.5 0.25 0.5\n1 0.25 0.5 0.1 0.1\n")
    make_label(tmp_path / "labels/val/c.txt", "")
    write_data_yaml(tmp_path / "data.yaml", {"train": "images/train", "val": "images/val"}, ("hand", "face"))
    return tmp_path


def write_yaml(root: Path, text: str) -> Path:
    path = root / "data.yaml"
    path.write_text(text, encoding="utf-8")
    return path


class TestSplits:
    def test_samples_are_sorted_and_pictures_without_label_are_negatives(self, root: Path) -> None:
        negative, labelled = load_dataset(root / "data.yaml").split("train")
        assert [negative.image.name, labelled.image.name] == ["a.png", "b.jpg"]
        assert negative.boxes_cxcywh.shape == (0, 4)
        assert negative.class_ids.dtype == np.int64
        np.testing.assert_array_equal(labelled.class_ids, [0, 1])
        expected = np.array([[0.5, 0.5, 0.25, 0.5], [0.25, 0.5, 0.1, 0.1]], np.float32)
        np.testing.assert_array_equal(labelled.boxes_cxcywh, expected)
        assert labelled.boxes_cxcywh.dtype == np.float32

    def test_an_empty_label_file_is_a_negative(self, root: Path) -> None:
        (sample,) = load_dataset(root / "data.yaml").split("val")
        assert len(sample.class_ids) == 0

    @pytest.mark.parametrize(
        "lines",
        [
            "images/train/b.jpg\nimages/train/a.png\n",  # relative to the root
            "../images/train/a.png\n\n../images/train/b.jpg\n../images/train/b.jpg",  # to the list's folder
        ],
    )
    def test_a_list_file_is_relative_to_its_folder_or_the_root(self, root: Path, lines: str) -> None:
        make_label(root / "lists/some.txt", lines)
        path = write_yaml(root, "train: lists/some.txt\nnames: [hand, face]\n")
        assert [sample.image.name for sample in load_dataset(path).split("train")] == ["a.png", "b.jpg"]

    def test_a_list_file_with_a_missing_picture_names_the_line(self, root: Path) -> None:
        make_label(root / "some.txt", "images/train/b.jpg\nimages/train/gone.jpg\n")
        path = write_yaml(root, "train: some.txt\nnames: [hand, face]\n")
        with pytest.raises(DataError, match=r"some\.txt:2: there is no picture .*gone\.jpg"):
            load_dataset(path).split("train")

    def test_a_split_may_be_several_places(self, root: Path) -> None:
        path = write_yaml(root, "train: [images/train, images/val]\nnames: [hand, face]\n")
        assert [s.image.name for s in load_dataset(path).split("train")] == ["a.png", "b.jpg", "c.jpg"]

    def test_other_split_names(self, root: Path) -> None:
        path = write_yaml(
            root, "test_small: nowhere\nval-2: images/val\nholdout: images/val\nnames: [a, b]\n"
        )
        dataset = load_dataset(path)
        assert list(dataset.splits) == ["test_small", "val-2", "holdout"]
        assert len(dataset.split("holdout")) == 1

    def test_an_unknown_split_names_the_existing_ones(self, root: Path) -> None:
        with pytest.raises(DataError, match=r"no split `test`; there are train, val$"):
            load_dataset(root / "data.yaml").split("test")

    def test_a_missing_split_says_where_it_should_be(self, root: Path) -> None:
        path = write_yaml(root, "train: images/nowhere\nnames: [hand]\n")
        with pytest.raises(DataError, match=r"split `train` is missing: .*nowhere is no folder"):
            load_dataset(path).split("train")

    def test_an_empty_split_is_refused(self, root: Path) -> None:
        (root / "images/empty").mkdir()
        (root / "images/empty/notes.md").touch()
        path = write_yaml(root, "train: images/empty\nnames: [hand]\n")
        with pytest.raises(DataError, match="split `train` has no pictures"):
            load_dataset(path).split("train")

    def test_a_bad_label_names_file_and_line(self, root: Path) -> None:
        make_label(root / "labels/train/a.txt", "0 0.5 0.5 0.1 0.1\n2 0.5 0.5 0.1 0.1\n")
        with pytest.raises(DataError, match=r"a\.txt:2: class 2 is out of range.* names 2"):
            load_dataset(root / "data.yaml").split("train")

    def test_a_label_reaching_out_is_measured_on_its_own_picture(self, root: Path) -> None:
        # b.jpg is 40 px wide: left = 0.02 - 0.08 / 2 = -0.02 = 0.8 px outside; right = 0.06.
        make_label(root / "labels/train/b.txt", "0 0.02 0.5 0.08 0.5\n")
        content = load_dataset(root / "data.yaml").read_split("train")
        assert content.num_clipped == 1
        np.testing.assert_allclose(content.samples[1].boxes_cxcywh, [[0.03, 0.5, 0.06, 0.5]], atol=1e-7)
        # 0.01 - 0.04 = -0.03 = 1.2 px outside.
        make_label(root / "labels/train/b.txt", "0 0.01 0.5 0.08 0.5\n")
        with pytest.raises(DataError, match=r"b\.txt:1: the box reaches 1\.2 px out of the 40x20 picture"):
            load_dataset(root / "data.yaml").split("train")

    def test_loading_opens_no_pictures(self, root: Path) -> None:
        for image in (root / "images").rglob("*.*"):
            image.write_bytes(b"")
        assert len(load_dataset(root / "data.yaml").split("train")) == 2


class TestYaml:
    @pytest.mark.parametrize(
        ("text", "message"),
        [
            ("train: images/train\nnmaes: [hand]\n", r"unknown key `nmaes`; did you mean `names`\?"),
            ("tain: images/train\nnames: [hand]\n", r"unknown key `tain`; did you mean `train`\?"),
            ("train: images/train\nnames: [hand]\nfoo: 3\n", "unknown key `foo`.* known are path, train"),
            ("train: images/train\n", "names: expected a list of class names, found None"),
            ("train: images/train\nnames: []\n", "names: expected a list"),
            ("train: images/train\nnames: {1: hand}\n", r"expected the numbers 0 to 0, found \[1\]"),
            ("train: images/train\nnames: [yes, no]\n", "names: expected text, found True"),
            ("train: images/train\nnames: [hand, hand]\n", "a class name stands twice"),
            ("train: images/train\nnames: [hand]\nnc: 2\n", "nc is 2, but names lists 1"),
            ("train: 3\nnames: [hand]\n", "train: expected text, found 3"),
            ("path: gone\ntrain: images/train\nnames: [hand]\n", "path: there is no folder .*gone"),
            ("names: [hand]\n", "names no split"),
            ("just text", "expected keys"),
            ("", "expected keys"),
            ("train: [images\n", r"data\.yaml:2: not valid YAML"),
        ],
    )
    def test_what_makes_no_sense_is_named(self, root: Path, text: str, message: str) -> None:
        with pytest.raises(DataError, match=message):
            load_dataset(write_yaml(root, text))

    def test_names_as_numbered_keys_and_an_absolute_path(self, root: Path, tmp_path: Path) -> None:
        text = (
            f"path: {tmp_path}\ntrain: images/train\ntest:\nroboflow: {{version: 1}}\nnames: {{1: b, 0: a}}\n"
        )
        (root / "elsewhere").mkdir()
        dataset = load_dataset(write_yaml(root / "elsewhere", text))
        assert dataset.names == ("a", "b")
        assert list(dataset.splits) == ["train"]
        assert len(dataset.images("train")) == 2

    @pytest.mark.parametrize("name", ["coco.data", "instances.json", "VOC"])
    def test_other_formats_are_refused_by_name(self, tmp_path: Path, name: str) -> None:
        with pytest.raises(DataError, match=rf"{name}: not a data\.yaml"):
            load_dataset(tmp_path / name)

    def test_a_missing_file(self, tmp_path: Path) -> None:
        with pytest.raises(DataError, match=r"data\.yaml: no such file"):
            load_dataset(tmp_path / "data.yaml")

    def test_a_relative_path_works(self, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.chdir(root)
        (sample,) = [s for s in load_dataset("data.yaml").split("train") if len(s.class_ids)]
        assert sample.image.name == "b.jpg"


class TestLabelPath:
    def test_only_the_last_images_folder_is_replaced(self, tmp_path: Path) -> None:
        label = make_label(tmp_path / "images/set/labels/train/x.txt", "")
        assert label_path(tmp_path / "images/set/images/train/x.jpg") == label

    def test_beside_the_picture(self, tmp_path: Path) -> None:
        label = make_label(tmp_path / "x.txt", "")
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
            ("0 0.5 0.5 0.1 0.1 0.9", "expected 5 columns .*, found 6"),
            ("hand 0.5 0.5 0.1 0.1", "are not five numbers"),
            ("0 0.5 0.5 0 0.1", "width 0 and height 0.1 must be above 0"),
            ("0 0.5 0.5 0.1 -0.1", "must be above 0"),
            ("0 52 40 20 20", "px out of the 100x50 picture"),  # pixels instead of parts
            ("0 0.5 1.005 0.1 0.01", "lies outside the picture"),  # 0.5 px below the lower edge
        ],
    )
    def test_bad_rows(self, tmp_path: Path, row: str, message: str) -> None:
        path = make_label(tmp_path / "x.txt", f"\n{row}\n")
        with pytest.raises(DataError, match=rf"x\.txt:2: .*{message}"):
            read_labels(path, 1, lambda: (50, 100))

    def test_repeated_rows_are_kept_once(self) -> None:
        labels, problems = parse_labels("0 .5 .5 .1 .1\n0 0.50 0.5 0.1 0.1\n0 .4 .5 .1 .1\n", 1, no_size)
        assert (len(labels.class_ids), labels.num_duplicates, problems) == (2, 1, [])

    def test_rounding_is_neither_clipped_nor_asked_about(self) -> None:
        # 0.0833335 rounds to 0.083333 at half of 0.166667: left = -5e-7.
        labels, problems = parse_labels("0 0.083333 0.5 0.166667 0.1\n", 1, no_size)
        assert (labels.num_clipped, problems) == (0, [])
        assert labels.boxes_cxcywh[0, 0] - labels.boxes_cxcywh[0, 2] / 2 >= -1e-8

    def test_all_bad_rows_are_listed(self) -> None:
        labels, problems = parse_labels("3 .5 .5 .1 .1\n0 .5 .5 .1 .1\n\n0 .5\n", 1, no_size)
        assert [problem.line for problem in problems] == [1, 4]
        assert len(labels.class_ids) == 1

    def test_byte_order_mark_and_windows_line_ends(self, tmp_path: Path) -> None:
        path = tmp_path / "x.txt"
        path.write_bytes(b"\xef\xbb\xbf0 0.5 0.5 0.1 0.1\r\n0 0.4 0.5 0.1 0.1\r\n")
        assert len(read_labels(path, 1, no_size).class_ids) == 2

    def test_binary_content(self, tmp_path: Path) -> None:
        path = tmp_path / "x.txt"
        path.write_bytes(b"\xff\xfe0\x00")
        with pytest.raises(DataError, match=r"x\.txt: not a text file"):
            read_labels(path, 1, no_size)

    @given(
        st.tuples(st.floats(-0.2, 1.2), st.floats(-0.2, 1.2), st.floats(0.001, 1.2), st.floats(0.001, 1.2)),
        st.integers(1, 400),
        st.integers(1, 400),
    )
    def test_a_box_is_inside_after_reading_or_reported(
        self, box: tuple[float, float, float, float], height: int, width: int
    ) -> None:
        row = "0 " + " ".join(f"{value:.6f}" for value in box)
        labels, problems = parse_labels(row, 1, lambda: (height, width))
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


def test_real_hands(shared_data: Path) -> None:
    dataset = load_dataset(shared_data / "hands" / "data.yaml")
    content = dataset.read_split("val_small")
    assert dataset.names == ("hand",)
    assert (len(content.samples), sum(len(s.class_ids) for s in content.samples)) == (80, 2620)
    assert (content.num_clipped, content.num_duplicates) == (0, 0)
