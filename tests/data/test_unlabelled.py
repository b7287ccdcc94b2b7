"""Images without label file among labelled ones: said once, in every format where they are negatives."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from helpers.written_datasets import (
    BOXES,
    write_coco,
    write_darknet,
    write_image,
    write_voc,
    write_yaml,
)
from helpers.written_exports import labelme
from seyolo.data.check import check_dataset
from seyolo.data.datasets import load_dataset
from seyolo.data.splitting import for_training
from seyolo.errors import DataError

WAY = "label them, or move them away if that is not meant"


def yolo(folder: Path) -> Path:
    data = write_yaml(folder)
    (folder / "labels/train/a1.txt").unlink()
    return data


def darknet(folder: Path) -> Path:
    data = write_darknet(folder)
    (folder / "labels/a1.txt").unlink()
    return data


def xml_beside(folder: Path) -> Path:
    write_voc(folder)
    (folder / "JPEGImages").rename(folder / "images")
    (folder / "Annotations").rename(folder / "annotations")
    (folder / "annotations/a1.xml").unlink()
    return folder


def labelme_jsons(folder: Path) -> Path:
    labelme(folder)
    next(folder.rglob("a1.json")).unlink()
    return folder


@pytest.mark.parametrize("write", [yolo, darknet, xml_beside, labelme_jsons])
def test_one_image(tmp_path: Path, write: Callable[[Path], Path]) -> None:
    dataset = load_dataset(write(tmp_path))
    num_images = len(dataset.images("train"))
    (line,) = dataset.cautions()
    image = next(tmp_path.rglob("a1.[pj]*g"))
    said = f"1 of {num_images} images of train has no label file and counts as an image without objects"
    assert line == f"warning: {dataset.source}: {said}, the first is {image}; {WAY}"
    assert check_dataset(dataset).problems == ()


def test_several_splits(tmp_path: Path) -> None:
    data = yolo(tmp_path)
    for name in ("train/a2", "val/b1"):
        (tmp_path / f"labels/{name}.txt").unlink()
    dataset = load_dataset(data)
    said = "2 of 3 images of train and 1 of 2 images of val have no label file and count as images without"
    (line,) = dataset.cautions()
    assert said in line
    (line,) = dataset.cautions(["val"])
    assert "1 of 2 images of val has no label file" in line
    assert "of train" not in line
    assert dataset.unlabelled(["test"]) == []


def test_an_empty_label_file_is_meant(tmp_path: Path) -> None:
    data = write_yaml(tmp_path)
    assert (tmp_path / "labels/train/a2.txt").read_text() == ""
    assert load_dataset(data).cautions() == []


def test_a_split_without_any_label_file_is_a_problem_as_before(tmp_path: Path) -> None:
    data = write_yaml(tmp_path)
    for name in BOXES["train"]:
        (tmp_path / f"labels/train/{name}.txt").unlink()
    (line,) = load_dataset(data).cautions()
    assert "split `train`: no label file for any of its 3 images" in line


def test_an_image_without_xml_in_a_voc_folder_is_an_error_as_before(tmp_path: Path) -> None:
    write_voc(tmp_path)
    (tmp_path / "Annotations/a1.xml").unlink()
    dataset = load_dataset(tmp_path)
    with pytest.raises(DataError, match="an image without objects needs an xml without <object>"):
        dataset.split("train")
    assert dataset.unlabelled() == []


def test_a_divided_data_set(tmp_path: Path) -> None:
    for number in range(6):
        write_image(tmp_path / f"{number}.png", number)
        if number:
            (tmp_path / f"{number}.txt").write_text("0 0.5 0.5 0.2 0.2\n")
    (tmp_path / "classes.txt").write_text("hand\n")
    dataset = load_dataset(tmp_path)
    assert "1 of 6 images of train has no label file" in dataset.unlabelled()[0]
    kept = {"train": [str(tmp_path / f"{n}.png") for n in range(4)], "val": [str(tmp_path / "5.png")]}
    divided, _ = for_training(dataset, 0, kept)
    assert "1 of 5 images of train has no label file" in divided.unlabelled()[0]


def test_images_that_no_json_lists_are_named(tmp_path: Path) -> None:
    data = write_coco(tmp_path)
    dataset = load_dataset(data)
    for split in dataset.splits:
        dataset.listed(split)
    assert dataset.remarks == ()
    image = dataset.images("train")[0]
    extra = write_image(image.with_name("extra.png"), 77)
    write_image(image.with_name(".hidden.png"), 78)
    dataset = load_dataset(data)
    assert dataset.described(["val"])[1:] == []
    (said,) = dataset.described()[1:]
    assert said == (
        f"{data}: 1 image beside those of the jsons is not listed there and not used; the first is {extra}"
    )
    values = json.loads(data.read_text())
    assert all(image["file_name"] != "extra.png" for image in values["images"])
