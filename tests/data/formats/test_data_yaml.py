"""data.yaml: splits in folders and lists, and what is said about what makes no sense."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from helpers.written_datasets import write_text
from seyolo.data.check import check_dataset
from seyolo.data.datasets import load_dataset
from seyolo.data.writing import write_data_yaml
from seyolo.errors import DataError


def make_image(path: Path, height: int = 20, width: int = 40, seed: int = 0) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 255, (height, width, 3), dtype=np.uint8)
    assert cv2.imwrite(str(path), pixels)
    return path


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Two train images (one a negative without label file), one val image with an empty label."""
    make_image(tmp_path / "images/train/b.jpg")
    make_image(tmp_path / "images/train/a.png")
    make_image(tmp_path / "images/val/c.jpg")
    write_text(tmp_path / "labels/train/b.txt", "0 0.5 0.5 0.25 0.5\n1 0.25 0.5 0.1 0.1\n")
    write_text(tmp_path / "labels/val/c.txt", "")
    write_data_yaml(tmp_path / "data.yaml", {"train": "images/train", "val": "images/val"}, ("hand", "face"))
    return tmp_path


def write_yaml(root: Path, text: str) -> Path:
    path = root / "data.yaml"
    path.write_text(text, encoding="utf-8")
    return path


class TestSplits:
    def test_samples_are_sorted_and_images_without_label_are_negatives(self, root: Path) -> None:
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
        write_text(root / "lists/some.txt", lines)
        path = write_yaml(root, "train: lists/some.txt\nnames: [hand, face]\n")
        assert [sample.image.name for sample in load_dataset(path).split("train")] == ["a.png", "b.jpg"]

    def test_a_list_file_with_a_missing_image_names_the_line(self, root: Path) -> None:
        write_text(root / "some.txt", "images/train/b.jpg\nimages/train/gone.jpg\n")
        path = write_yaml(root, "train: some.txt\nnames: [hand, face]\n")
        with pytest.raises(DataError, match=r"some\.txt:2: there is no image .*gone\.jpg"):
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
        with pytest.raises(DataError, match="split `train` has no images"):
            load_dataset(path).split("train")

    def test_a_bad_label_names_file_and_line(self, root: Path) -> None:
        write_text(root / "labels/train/a.txt", "0 0.5 0.5 0.1 0.1\n2 0.5 0.5 0.1 0.1\n")
        with pytest.raises(DataError, match=r"a\.txt:2: class 2 is out of range.* names 2"):
            load_dataset(root / "data.yaml").split("train")

    def test_a_label_reaching_out_is_measured_on_its_own_image(self, root: Path) -> None:
        # b.jpg is 40 px wide: left = 0.02 - 0.08 / 2 = -0.02 = 0.8 px outside; right = 0.06.
        write_text(root / "labels/train/b.txt", "0 0.02 0.5 0.08 0.5\n")
        dataset = load_dataset(root / "data.yaml")
        assert check_dataset(dataset).splits[0].num_clipped == 1
        np.testing.assert_allclose(
            dataset.split("train")[1].boxes_cxcywh, [[0.03, 0.5, 0.06, 0.5]], atol=1e-7
        )
        # 0.01 - 0.04 = -0.03 = 1.2 px outside.
        write_text(root / "labels/train/b.txt", "0 0.01 0.5 0.08 0.5\n")
        with pytest.raises(DataError, match=r"b\.txt:1: the box reaches 1\.2 px out of the 40x20 image"):
            load_dataset(root / "data.yaml").split("train")

    def test_loading_opens_no_images(self, root: Path) -> None:
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
            ("train: images/train\nnames: [hand, hand]\n", "a class name is repeated"),
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

    def test_a_missing_file(self, tmp_path: Path) -> None:
        with pytest.raises(DataError, match=r"data\.yaml: no such file"):
            load_dataset(tmp_path / "data.yaml")

    def test_a_relative_path_works(self, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.chdir(root)
        (sample,) = [s for s in load_dataset("data.yaml").split("train") if len(s.class_ids)]
        assert sample.image.name == "b.jpg"


def test_real_hands(shared_data: Path) -> None:
    dataset = load_dataset(shared_data / "hands" / "data.yaml")
    samples = dataset.split("val_small")
    assert dataset.names == ("hand",)
    assert (len(samples), sum(len(s.class_ids) for s in samples)) == (80, 2620)
