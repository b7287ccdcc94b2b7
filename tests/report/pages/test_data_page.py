"""The page of a data set: one file that loads nothing, with the right counts, images and warnings."""

from __future__ import annotations

import base64
import re
from pathlib import Path

import cv2
import numpy as np
import pytest

from helpers.html_page import Page, check_page
from helpers.pictured import SIDE_PX, scene, write_scenes
from seyolo.data.datasets import load_dataset
from seyolo.errors import DataError, UsageError
from seyolo.report.pages.data import ViewOptions, write_data_page


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Four scenes to train on; val holds one of them smaller, and a box of 2x2 pixels."""
    path = write_scenes(tmp_path / "hands", {"train": [1, 2, 3, 4], "val": [5, 6]})
    images, labels = path.parent / "images/val", path.parent / "labels/val"
    assert cv2.imwrite(str(images / "val6.jpg"), cv2.resize(scene(1), (100, 80)))
    (labels / "val5.txt").write_text(f"1 0.5 0.5 {2 / SIDE_PX} {2 / SIDE_PX}\n0 0.5 0.5 0.5 0.5\n")
    (labels / "val6.txt").write_text("")
    return path


def rows_of(page: Page, label: str) -> list[list[str]]:
    """The cells of a table as text."""
    table = re.search(rf'aria-label="{label}">\s*<table.*?</table>', page.source, flags=re.DOTALL)
    assert table is not None
    rows = re.findall(r"<tr.*?</tr>", table[0], flags=re.DOTALL)
    return [re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", row) for row in rows]


def test_the_page_holds_what_the_data_set_holds(data: Path, tmp_path: Path) -> None:
    page = Page(write_data_page(load_dataset(data), tmp_path / "page.html", ViewOptions(size=320)))
    check_page(page)
    assert "6 images, 6 boxes, 2 classes" in page.text
    assert rows_of(page, "Splits") == [
        ["", "images", "boxes", "an image", "without boxes"],
        ["train", "4", "4", "1.0", "0"],
        ["val", "2", "2", "1.0", "1"],
    ]
    assert rows_of(page, "Boxes and images of each class in each split")[1:] == [
        ["hand", "4 (4)", "1 (1)"],
        ["face", "0 (0)", "1 (1)"],
    ]
    assert rows_of(page, "Images of each size")[1:] == [
        ["160x160 (1:1)", "4", "1"],
        ["100x80 (5:4)", "0", "1"],
    ]
    # In an input of 320 px all sides double: 80x40 becomes sqrt(160 * 80) = 113, 2x2 becomes 4, 80x80 160.
    assert rows_of(page, "Box sizes in the input")[1:] == [
        ["train", "113", "113", "113", "113", "113", "0 (0 %)"],
        ["val", "4", "20", "82", "144", "160", "0 (0 %)"],
    ]
    assert "√(width x height), px" in page.text
    assert "face, 2x2 px, shorter side 4.0 px in the input, val5.jpg" in page.text
    assert "1 of 2 images of val is a near-duplicate of training images (val6.jpg of train1.jpg)" in page.text
    assert "val/val6.jpg and train/train1.jpg, similarity" in page.text
    assert "data check finds none" in page.text
    # Six labelled images, five with a smallest box, one pair; nothing is loaded late.
    assert len(page.images) == 6 + 5 + 2
    assert "loading" not in page.source


def test_boxes_have_the_colours_of_the_legend(data: Path, tmp_path: Path) -> None:
    page = Page(write_data_page(load_dataset(data), tmp_path / "page.html"))
    colours = re.findall(r'class="swatch" style="background: (#[0-9a-f]{6})"></i>(\w+)<', page.source)
    assert [name for _, name in colours] == ["hand", "face"]
    red, green, blue = (int(colours[0][0][start : start + 2], 16) for start in (1, 3, 5))
    source = next(str(image["src"]) for image in page.images if "train1.jpg" in str(image["alt"]))
    drawn = decoded(source)
    # The box of half the height lies from 3/8 to 5/8 of the width.
    line = drawn[drawn.shape[0] // 2, round(drawn.shape[1] * 3 / 8) - 1 : round(drawn.shape[1] * 3 / 8) + 3]
    assert np.abs(line.astype(int) - [blue, green, red]).sum(axis=1).min() < 120


def decoded(source: str) -> np.ndarray:
    """The image of a data URL."""
    data = np.frombuffer(base64.b64decode(source.partition(",")[2]), np.uint8)
    return np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR), np.uint8)


def test_the_seed_and_the_number_choose_the_images(data: Path, tmp_path: Path) -> None:
    dataset = load_dataset(data)

    def shown(seed: int) -> list[str]:
        page = Page(write_data_page(dataset, tmp_path / f"{seed}.html", ViewOptions(num_images=2, seed=seed)))
        return [str(image["alt"]) for image in page.images if "with its labels" in str(image["alt"])]

    assert len(shown(0)) == 4
    assert shown(0) == shown(0)
    assert len({tuple(shown(seed)) for seed in range(6)}) > 1


def test_equal_files_and_problems_are_shown(data: Path, tmp_path: Path) -> None:
    folder = data.parent
    (folder / "images/val/val5.jpg").write_bytes((folder / "images/train/train2.jpg").read_bytes())
    (folder / "labels/train/train3.txt").write_text("7 0.5 0.5 0.1 0.1\n")
    page = Page(write_data_page(load_dataset(data), tmp_path / "page.html"))
    assert "1 file of val equal to one of train" in page.text
    assert "2 problems found by data check" in page.text
    assert "class 7 is out of range" in page.text


def test_a_data_set_without_labels_or_without_images(data: Path, tmp_path: Path) -> None:
    for label in data.parent.glob("labels/*/*.txt"):
        label.write_text("")
    page = Page(write_data_page(load_dataset(data), tmp_path / "page.html"))
    assert "There are no boxes" in page.text
    for image in data.parent.glob("images/*/*.jpg"):
        image.write_text("no image")
    with pytest.raises(DataError, match="there is no image to show"):
        write_data_page(load_dataset(data), tmp_path / "none.html")
    assert not (tmp_path / "none.html").exists()
    with pytest.raises(UsageError, match="--images 5000"):
        ViewOptions(num_images=5000)
