"""The same few images and boxes written as a data set in each of the formats."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np

from seyolo.data.writing import write_data_yaml

HEIGHT, WIDTH = 40, 80
NAMES = ("face", "hand")
Box = tuple[int, int, int, int, int]
# Class and half-open corners in pixels counted from 0; the last one of a1 fills its image.
BOXES: dict[str, dict[str, list[Box]]] = {
    "train": {"a1": [(1, 8, 4, 24, 20), (0, 0, 0, 80, 40)], "a2": [], "a3": [(0, 13, 7, 20, 31)]},
    "val": {"b1": [(1, 70, 30, 80, 40)], "b2": [(0, 1, 1, 2, 2), (1, 1, 1, 2, 2)]},
    "test": {"c1": [(1, 30, 10, 33, 39)]},
}


def write_image(path: Path, seed: int = 0) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 255, (HEIGHT, WIDTH, 3), dtype=np.uint8)
    assert cv2.imwrite(str(path), pixels)
    return path


def write_text(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def write_images(place: Callable[[str, str], Path]) -> None:
    """Writes each image, of a content of its own, where `place` says for a split and a name."""
    named = [(split, name) for split, images in BOXES.items() for name in images]
    for seed, (split, name) in enumerate(named):
        write_image(place(split, name), seed)


def yolo_rows(boxes: list[Box]) -> str:
    return "".join(
        f"{class_id} {(left + right) / 2 / WIDTH!r} {(top + bottom) / 2 / HEIGHT!r} "
        f"{(right - left) / WIDTH!r} {(bottom - top) / HEIGHT!r}\n"
        for class_id, left, top, right, bottom in boxes
    )


def write_yaml(folder: Path) -> Path:
    write_images(lambda split, name: folder / f"images/{split}/{name}.png")
    for split, images in BOXES.items():
        for name, boxes in images.items():
            write_text(folder / f"labels/{split}/{name}.txt", yolo_rows(boxes))
    write_data_yaml(folder / "data.yaml", {split: f"images/{split}" for split in BOXES}, NAMES)
    return folder / "data.yaml"


def write_darknet(folder: Path) -> Path:
    """As darknet's scripts for VOC leave it: labels/ beside JPEGImages/, one list per split."""
    write_images(lambda _, name: folder / f"JPEGImages/{name}.png")
    for split, images in BOXES.items():
        for name, boxes in images.items():
            write_text(folder / f"labels/{name}.txt", yolo_rows(boxes))
        write_text(folder / f"{split}.txt", "".join(f"JPEGImages/{name}.png\n" for name in images))
    write_text(folder / "obj.names", "".join(f"{name}\n" for name in NAMES))
    return write_text(
        folder / "obj.data",
        "classes= 2\ntrain  = train.txt\nvalid  = val.txt\ntest = test.txt\n"
        "names = obj.names\nbackup = backup/\n",
    )


def coco_values(split: str) -> dict[str, list[dict[str, object]]]:
    """The content of a split's json; categories 90 and 7 stand in the wrong order."""
    images = BOXES[split]
    boxes = [(name, *box) for name, found in images.items() for box in found]
    return {
        "images": [
            {"id": 100 + index, "file_name": f"{name}.png", "height": HEIGHT, "width": WIDTH}
            for index, name in enumerate(images)
        ],
        "annotations": [
            {
                "id": index,
                "image_id": 100 + list(images).index(name),
                "category_id": (7, 90)[class_id],
                "bbox": [left, top, right - left, bottom - top],
                "segmentation": [[left, top, right, top, right, bottom]],
                "area": (right - left) * (bottom - top),
                "iscrowd": 0,
            }
            for index, (name, class_id, left, top, right, bottom) in enumerate(boxes)
        ],
        "categories": [{"id": 90, "name": "hand"}, {"id": 7, "name": "face", "supercategory": "person"}],
    }


def write_coco(folder: Path) -> Path:
    write_images(lambda split, name: folder / f"{split}2017/{name}.png")
    for split in BOXES:
        write_text(folder / f"annotations/instances_{split}2017.json", json.dumps(coco_values(split)))
    return folder / "annotations/instances_val2017.json"


def voc_xml(boxes: list[Box], size: bool = True, first: int = 1) -> str:
    """An annotation: corners count from `first`; from 1, the last pixel belongs to the box."""
    objects = "".join(
        f"<object><name>{NAMES[class_id]}</name><difficult>0</difficult><bndbox><xmin>{left + first}</xmin>"
        f"<ymin>{top + first}</ymin><xmax>{right}</xmax><ymax>{bottom}</ymax></bndbox></object>"
        for class_id, left, top, right, bottom in boxes
    )
    stated = f"<size><width>{WIDTH}</width><height>{HEIGHT}</height><depth>3</depth></size>" if size else ""
    return f"<annotation>{stated}{objects}</annotation>\n"


def write_voc(folder: Path) -> Path:
    write_images(lambda _, name: folder / f"JPEGImages/{name}.png")
    for split, images in BOXES.items():
        for name, boxes in images.items():
            write_text(folder / f"Annotations/{name}.xml", voc_xml(boxes))
        write_text(folder / f"ImageSets/Main/{split}.txt", "".join(f"{name}\n" for name in images))
    names = "".join(f"{name}\n" for split in ("train", "val") for name in BOXES[split])
    write_text(folder / "ImageSets/Main/trainval.txt", names)
    return folder


FORMATS: dict[str, Callable[[Path], Path]] = {
    "data.yaml": write_yaml,
    "darknet": write_darknet,
    "coco": write_coco,
    "voc": write_voc,
}
"""Each writes the data set into a folder and returns what is given as DATA."""
