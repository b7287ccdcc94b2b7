"""Conversions: the same boxes in every format, to what its numbers can hold."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest

from helpers.written_datasets import HEIGHT, WIDTH, write_coco, write_image, write_text, write_voc, write_yaml
from helpers.written_exports import EXPORTS
from seyolo.data.check import check_dataset
from seyolo.data.convert import Target, convert
from seyolo.data.datasets import Dataset, load_dataset
from seyolo.errors import DataError

ROUNDING_PX = {"yolo": 1e-4, "coco": 1e-3, "voc": 0.5}


def rows(dataset: Dataset) -> dict[tuple[str, str], np.ndarray]:
    """Class, centre and sides in pixels, sorted, by split and name of the image."""
    found = {}
    for split in dataset.splits:
        for sample in dataset.split(split):
            boxes = sample.boxes_cxcywh * ([WIDTH, HEIGHT] * 2)
            table = np.hstack([sample.class_ids[:, None], boxes])
            found[split, sample.image.stem] = table[np.lexsort(table.T)]
    return found


def assert_same(before: Dataset, after: Dataset, tolerance_px: float) -> None:
    assert after.names == before.names
    expected, found = rows(before), rows(after)
    assert found.keys() == expected.keys()
    for key, table in expected.items():
        np.testing.assert_allclose(found[key], table, atol=tolerance_px)


@pytest.fixture
def odd(tmp_path: Path) -> Dataset:
    """Boxes that no whole pixel bounds, some at the edges, one a fraction of a pixel."""
    generator = np.random.default_rng(0)
    for split in ("train", "val"):
        for number in range(6):
            write_image(tmp_path / f"images/{split}/{split}{number}.png", number + 10 * len(split))
            corners = np.sort(generator.uniform(0, 1, (4, 2, 2)), axis=1).reshape(4, 4)
            corners[0] = (0, 0, 1, 1)
            corners[1] = (0.999, 0.25, 1, 0.26)
            rows = np.hstack([(corners[:, :2] + corners[:, 2:]) / 2, corners[:, 2:] - corners[:, :2]])
            text = "".join(f"{i % 3} {' '.join(f'{v:.6f}' for v in row)}\n" for i, row in enumerate(rows))
            write_text(tmp_path / f"labels/{split}/{split}{number}.txt", text)
    text = "train: images/train\nval: images/val\nnames: [c, 'é b', a]\n"
    return load_dataset(write_text(tmp_path / "data.yaml", text))


@pytest.mark.parametrize("to", ROUNDING_PX)
def test_each_format_is_read_back(odd: Dataset, tmp_path: Path, to: Target) -> None:
    counts = convert(odd, tmp_path / "out", to)
    assert [(row.split, row.num_images, row.num_objects) for row in counts] == [
        ("train", 6, 24),
        ("val", 6, 24),
    ]
    after = load_dataset(tmp_path / "out")
    assert_same(odd, after, 1.0 if to == "voc" else ROUNDING_PX[to])
    assert check_dataset(after).problems == ()


def test_yolo_gives_the_same_numbers(odd: Dataset, tmp_path: Path) -> None:
    convert(odd, tmp_path / "out", "yolo")
    for split in ("train", "val"):
        for before, after in zip(odd.split(split), load_dataset(tmp_path / "out").split(split), strict=True):
            np.testing.assert_array_equal(after.boxes_cxcywh, before.boxes_cxcywh)


def test_round_the_formats(tmp_path: Path) -> None:
    first = load_dataset(write_yaml(tmp_path / "first"))
    convert(first, tmp_path / "coco", "coco")
    convert(load_dataset(tmp_path / "coco"), tmp_path / "voc", "voc")
    convert(load_dataset(tmp_path / "voc"), tmp_path / "yolo", "yolo")
    assert_same(first, load_dataset(tmp_path / "yolo"), 1e-4)  # the boxes of BOXES are whole pixels


@pytest.mark.parametrize("name", EXPORTS)
def test_every_export_becomes_voc(tmp_path: Path, name: str) -> None:
    write, _ = EXPORTS[name]
    write(tmp_path / "in")
    before = load_dataset(tmp_path / "in")
    convert(before, tmp_path / "out", "voc")
    assert_same(before, load_dataset(tmp_path / "out"), 1e-3)


def test_corners_of_voc_count_from_1(tmp_path: Path) -> None:
    convert(load_dataset(write_yaml(tmp_path / "in")), tmp_path / "out", "voc")
    box = ElementTree.parse(tmp_path / "out/Annotations/a3.xml").find("object/bndbox")
    assert box is not None
    # Pixels 13 to 19 and 7 to 30 counted from 0.
    assert [int(corner.text or "") for corner in box] == [14, 8, 20, 31]


class TestIgnoredRegions:
    def crowds(self, folder: Path) -> Dataset:
        data = write_coco(folder)
        content = json.loads(data.read_text())
        content["annotations"][0]["iscrowd"] = 1
        data.write_text(json.dumps(content))
        return load_dataset(data)

    def difficult(self, folder: Path) -> Dataset:
        xml = write_voc(folder) / "Annotations/b1.xml"
        xml.write_text(xml.read_text().replace("<difficult>0", "<difficult>1"))
        return load_dataset(folder)

    @pytest.mark.parametrize(
        ("make", "to", "kept"),
        [
            ("crowds", "coco", 1),
            ("crowds", "voc", 0),
            ("crowds", "yolo", 0),
            ("difficult", "voc", 1),
            ("difficult", "coco", 0),
            ("difficult", "yolo", 0),
        ],
    )
    def test_kept_where_the_format_can(self, tmp_path: Path, make: str, to: Target, kept: int) -> None:
        make_them: Callable[[Path], Dataset] = getattr(self, make)
        before = make_them(tmp_path / "in")
        counts = {row.split: row for row in convert(before, tmp_path / "out", to)}
        assert (counts["val"].num_ignored, counts["val"].num_left_out) == (kept, 1 - kept)
        assert (counts["train"].num_ignored, counts["train"].num_left_out) == (0, 0)
        after = load_dataset(tmp_path / "out")
        assert_same(before, after, 1e-3)
        ignored = [sample.ignored for sample in after.split("val")]
        assert sum(map(len, ignored)) == kept
        if kept:
            region = next(found for found in ignored if len(found))
            expected = next(sample.ignored for sample in before.split("val") if len(sample.ignored))
            np.testing.assert_allclose(region.boxes_cxcywh, expected.boxes_cxcywh, atol=1e-6)
            np.testing.assert_array_equal(region.is_crowd, expected.is_crowd)


class TestImages:
    def test_are_hard_links(self, tmp_path: Path) -> None:
        dataset = load_dataset(write_yaml(tmp_path / "in"))
        convert(dataset, tmp_path / "out")
        assert os.path.samefile(tmp_path / "in/images/train/a1.png", tmp_path / "out/images/train/a1.png")

    def test_are_copies_where_there_are_no_links(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def refuse(*_: object) -> None:
            raise OSError("not here")

        monkeypatch.setattr(os, "link", refuse)
        convert(load_dataset(write_yaml(tmp_path / "in")), tmp_path / "out")
        assert not os.path.samefile(tmp_path / "in/images/train/a1.png", tmp_path / "out/images/train/a1.png")
        assert check_dataset(load_dataset(tmp_path / "out")).problems == ()

    @pytest.mark.parametrize("to", ROUNDING_PX)
    def test_equal_names_in_several_folders(self, tmp_path: Path, to: Target) -> None:
        """`a.png` in two folders, `a.jpg` beside one, and a folder `images` below `images`."""
        places = ["x/a.png", "y/a.png", "y/a.bmp", "x/images/b.png", "x/A.png"]
        for seed, place in enumerate(places):
            write_image(tmp_path / "in/images" / place, seed)
        labels = ("labels/x/a", "labels/y/a", "images/x/labels/b", "labels/x/A")
        for number, name in enumerate(labels):
            write_text(tmp_path / f"in/{name}.txt", f"{number} 0.5 0.5 0.25 0.5\n")
        data = write_text(tmp_path / "in/data.yaml", "train: images\nnames: [a, b, c, d]\n")
        before = load_dataset(data)
        assert [len(sample.class_ids) for sample in before.split("train")] == [1, 1, 1, 1, 1]
        convert(before, tmp_path / "out", to)
        after = load_dataset(tmp_path / "out")
        assert len(after.images("train")) == 5
        classes = sorted(int(i) for sample in after.split("train") for i in sample.class_ids)
        assert classes == [0, 1, 1, 2, 3]

    def test_nothing_is_left_of_a_failed_conversion(self, tmp_path: Path) -> None:
        data = write_yaml(tmp_path / "in")
        write_text(tmp_path / "in/labels/val/b1.txt", "0 0.5\n")
        with pytest.raises(DataError, match=r"b1\.txt:1: "):
            convert(load_dataset(data), tmp_path / "out")
        assert sorted(path.name for path in tmp_path.iterdir()) == ["in"]

    def test_a_folder_that_is_not_empty(self, tmp_path: Path) -> None:
        write_text(tmp_path / "out/x", "")
        with pytest.raises(DataError, match="already there and not an empty folder"):
            convert(load_dataset(write_yaml(tmp_path / "in")), tmp_path / "out")
