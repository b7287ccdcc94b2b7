"""Labels that state another size than the image has: refused wherever the image is read."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from seyolo.data.anchors import dataset_box_sizes
from seyolo.data.batches.evaluation import evaluation_batches
from seyolo.data.batches.training import ImageCache, TrainingLoader, Workers
from seyolo.data.check import check_dataset
from seyolo.data.datasets import Dataset, load_dataset
from seyolo.errors import DataError
from seyolo.letterbox import Fit
from seyolo.options.training import Augmentation
from seyolo.verbs.benchmark import sample_images
from seyolo.verbs.calibration import CalibrationSet, int8_images

EXIF_6 = b"Exif\0\0II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x06\0\0\0\0\0\0\0"
TURN = b"\xff\xe1" + (len(EXIF_6) + 2).to_bytes(2, "big") + EXIF_6


def write_coco(folder: Path, stated: tuple[int, int], shown: tuple[int, int], *, is_turned: bool) -> Path:
    """A COCO json of one image in train and val, which states one (width, height) and shows another."""
    width, height = shown[::-1] if is_turned else shown
    data = bytes(cv2.imencode(".jpg", np.full((height, width, 3), 90, np.uint8))[1])
    for split in ("train", "val"):
        image = folder / "images" / split / "a.jpg"
        image.parent.mkdir(parents=True)
        image.write_bytes(data[:2] + TURN + data[2:] if is_turned else data)
        value = {
            "images": [{"id": 1, "file_name": "a.jpg", "width": stated[0], "height": stated[1]}],
            "annotations": [{"id": 1, "image_id": 1, "category_id": 1, "bbox": [5, 5, 20, 20]}],
            "categories": [{"id": 1, "name": "hand"}],
        }
        (folder / "annotations").mkdir(exist_ok=True)
        (folder / f"annotations/instances_{split}.json").write_text(json.dumps(value))
    return folder / "annotations/instances_val.json"


def write_voc(folder: Path, stated: tuple[int, int], shown: tuple[int, int], *, is_turned: bool) -> Path:
    """The same as a VOC folder."""
    write_coco(folder / "coco", stated, shown, is_turned=is_turned)
    for name in ("JPEGImages", "Annotations", "ImageSets/Main"):
        (folder / name).mkdir(parents=True)
    (folder / "coco/images/val/a.jpg").rename(folder / "JPEGImages/a.jpg")
    box = "<bndbox><xmin>6</xmin><ymin>6</ymin><xmax>25</xmax><ymax>25</ymax></bndbox>"
    size = f"<size><width>{stated[0]}</width><height>{stated[1]}</height></size>"
    text = f"<annotation>{size}<object><name>hand</name>{box}</object></annotation>"
    (folder / "Annotations/a.xml").write_text(text)
    for split in ("train", "val"):
        (folder / f"ImageSets/Main/{split}.txt").write_text("a\n")
    return folder


def train_batch(dataset: Dataset) -> None:
    next(TrainingLoader(dataset.split("train"), Fit((64, 64)), 2, Augmentation(), seed=0).epoch(0))


def train_batch_of_processes(dataset: Dataset) -> None:
    loader = TrainingLoader(
        dataset.split("train"), Fit((64, 64)), 2, Augmentation(), 0, workers=Workers(processes=1)
    )
    try:
        next(loader.epoch(0))
    finally:
        loader.close()


READERS: dict[str, Callable[[Dataset], object]] = {
    "sample": lambda dataset: dataset.split("val")[0].read(),
    "size": lambda dataset: dataset.split("val")[0].size(),
    "val": lambda dataset: list(evaluation_batches(dataset.split("val"), Fit((64, 64)), 2)),
    "train": train_batch,
    "train with processes": train_batch_of_processes,
    "cache": lambda dataset: ImageCache(dataset.split("train"), 64, 1 << 20).fill(),
    "anchors": lambda dataset: dataset_box_sizes(dataset.split("val"), (64, 64)),
    "benchmark": sample_images,
    "export --int8": int8_images,
    "prune": lambda dataset: list(CalibrationSet(dataset, Fit((64, 64))).batches()),
}


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("write", [write_coco, write_voc])
def test_every_reader_refuses_it(write: Callable[..., Path], reader: str, tmp_path: Path) -> None:
    dataset = load_dataset(write(tmp_path, (80, 60), (60, 80), is_turned=True))
    expected = (
        r"a\.jpg: has 60x80 pixels, but its labels state 80x60, which is the size before its orientation "
        "turns it; label it as it is shown, or remove its orientation"
    )
    with pytest.raises(DataError, match=expected):
        READERS[reader](dataset)


@pytest.mark.parametrize(
    ("stated", "shown", "is_turned"),
    [
        ((80, 60), (80, 61), False),  # a pixel
        ((60, 80), (80, 60), False),  # exchanged by a tool, not by an orientation
        ((160, 120), (80, 60), False),  # reduced after it was labelled
        ((81, 60), (80, 60), True),
    ],
)
def test_other_sizes(
    stated: tuple[int, int], shown: tuple[int, int], is_turned: bool, tmp_path: Path
) -> None:
    dataset = load_dataset(write_coco(tmp_path, stated, shown, is_turned=is_turned))
    text = f"has {shown[0]}x{shown[1]} pixels, but its labels state {stated[0]}x{stated[1]}; label this image"
    with pytest.raises(DataError, match=re.escape(text)):
        dataset.split("val")[0].read()
    assert sum(text in problem.text for problem in check_dataset(dataset).problems) == 2


@pytest.mark.parametrize("write", [write_coco, write_voc])
@pytest.mark.parametrize("is_turned", [False, True])
def test_the_size_as_shown_is_right(write: Callable[..., Path], is_turned: bool, tmp_path: Path) -> None:
    dataset = load_dataset(write(tmp_path, (80, 60), (80, 60), is_turned=is_turned))
    (sample,) = dataset.split("val")
    assert sample.stated_size == (60, 80)
    assert sample.read().shape == (60, 80, 3)
    assert sample.size() == (60, 80)


def test_no_size_is_no_other_size(tmp_path: Path) -> None:
    dataset = load_dataset(write_coco(tmp_path, (0, 0), (80, 60), is_turned=False))
    assert dataset.split("val")[0].stated_size is None
    assert dataset.split("val")[0].read().shape == (60, 80, 3)


def test_the_case_of_an_unturned_image(shared_cases: Path) -> None:
    path = shared_cases / "data/stated_size_of_unturned_picture/annotations/instances_val.json"
    with pytest.raises(DataError, match=r"val/0\.jpg: has 160x120 pixels, but its labels state 120x160"):
        list(evaluation_batches(load_dataset(path).split("val"), Fit((64, 64)), 2))
