"""The images of `written_datasets` as labelling tools export them, each in its documented layout.

A writer puts the export into an empty folder, whose path is DATA. Tools without splits export the images of
BOXES as one split.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from helpers.written_datasets import (
    BOXES,
    HEIGHT,
    NAMES,
    WIDTH,
    Box,
    coco_values,
    voc_xml,
    write_coco,
    write_darknet,
    write_image,
    write_text,
    write_voc,
    write_yaml,
    yolo_rows,
)
from seyolo.data.datasets import Dataset

ALL: dict[str, list[Box]] = {name: boxes for images in BOXES.values() for name, boxes in images.items()}
FOLDERS = {"train": "train", "val": "valid", "test": "test"}
SEEDS = {name: seed for seed, name in enumerate(ALL)}


def put_image(folder: Path, name: str, place: str) -> None:
    write_image(folder / place / f"{name}.png", SEEDS[name])


def all_coco(rename: Callable[[str], str] = str) -> dict[str, list[dict[str, Any]]]:
    """One json of all images, with ids of its own."""
    joined: dict[str, list[dict[str, Any]]] = {"images": [], "annotations": [], "categories": []}
    for number, split in enumerate(BOXES):
        values: Any = coco_values(split)
        joined["categories"] = values["categories"]
        for image in values["images"]:
            joined["images"].append(
                {**image, "id": image["id"] + 1000 * number, "file_name": rename(image["file_name"])}
            )
        for entry in values["annotations"]:
            moved = {"id": entry["id"] + 1000 * number, "image_id": entry["image_id"] + 1000 * number}
            joined["annotations"].append({**entry, **moved})
    return joined


def roboflow_yolo(folder: Path) -> None:
    for split, images in BOXES.items():
        for name, boxes in images.items():
            put_image(folder, name, f"{FOLDERS[split]}/images")
            write_text(folder / FOLDERS[split] / f"labels/{name}.txt", yolo_rows(boxes))
    write_text(folder / "README.roboflow.txt", "Exported by roboflow\n")
    write_text(
        folder / "data.yaml",
        "train: ../train/images\nval: ../valid/images\ntest: ../test/images\n\n"
        "nc: 2\nnames: ['face', 'hand']\n\n"
        "roboflow:\n  workspace: w\n  project: p\n  version: 1\n  license: CC BY 4.0\n",
    )


def roboflow_darknet(folder: Path) -> None:
    for split, images in BOXES.items():
        for name, boxes in images.items():
            put_image(folder, name, FOLDERS[split])
            write_text(folder / FOLDERS[split] / f"{name}.txt", yolo_rows(boxes))
        write_text(folder / FOLDERS[split] / "_darknet.labels", "face\nhand\n")


def roboflow_coco(folder: Path) -> None:
    for split, images in BOXES.items():
        for name in images:
            put_image(folder, name, FOLDERS[split])
        text = json.dumps({"info": {"year": "2026"}, **coco_values(split)})
        write_text(folder / FOLDERS[split] / "_annotations.coco.json", text)


def roboflow_voc(folder: Path) -> None:
    for split, images in BOXES.items():
        for name, boxes in images.items():
            put_image(folder, name, FOLDERS[split])
            write_text(folder / FOLDERS[split] / f"{name}.xml", voc_xml(boxes))


def cvat_yolo(folder: Path) -> None:
    for name, boxes in ALL.items():
        put_image(folder, name, "obj_train_data")
        write_text(folder / f"obj_train_data/{name}.txt", yolo_rows(boxes))
    write_text(
        folder / "obj.data", "classes = 2\ntrain = data/train.txt\nnames = data/obj.names\nbackup = backup/\n"
    )
    write_text(folder / "obj.names", "face\nhand\n")
    write_text(folder / "train.txt", "".join(f"data/obj_train_data/{name}.png\n" for name in ALL))


def cvat_ultralytics(folder: Path) -> None:
    for split in ("train", "val"):
        for name, boxes in BOXES[split].items():
            put_image(folder, name, f"images/{split}")
            write_text(folder / f"labels/{split}/{name}.txt", yolo_rows(boxes))
        write_text(
            folder / f"{split}.txt", "".join(f"data/images/{split}/{name}.png\n" for name in BOXES[split])
        )
    write_text(
        folder / "data.yaml", "names:\n  0: face\n  1: hand\npath: .\ntrain: train.txt\nval: val.txt\n"
    )


def cvat_coco(folder: Path) -> None:
    for name in ALL:
        put_image(folder, name, "images/default")
    values = {"licenses": [{"name": "", "id": 0, "url": ""}], "info": {"contributor": ""}, **all_coco()}
    write_text(folder / "annotations/instances_default.json", json.dumps(values))


def cvat_voc(folder: Path) -> None:
    for name, boxes in ALL.items():
        put_image(folder, name, "JPEGImages")
        write_text(folder / f"Annotations/{name}.xml", voc_xml(boxes, first=0))
    write_text(folder / "ImageSets/Main/default.txt", "".join(f"{name}\n" for name in ALL))
    write_text(folder / "ImageSets/Main/hand_default.txt", "".join(f"{name} 1\n" for name in ALL))
    rows = "# label:color_rgb:parts:actions\nbackground:0,0,0::\nface:250,50,83::\nhand:255,204,51::\n"
    write_text(folder / "labelmap.txt", rows)


def labelimg_yolo(folder: Path) -> None:
    for name, boxes in ALL.items():
        put_image(folder, name, "")
        write_text(folder / f"{name}.txt", yolo_rows(boxes))
    write_text(folder / "classes.txt", "face\nhand\n")


def labelimg_voc(folder: Path) -> None:
    for name, boxes in ALL.items():
        put_image(folder, name, "")
        write_text(folder / f"{name}.xml", voc_xml(boxes))


def label_studio_yolo(folder: Path) -> None:
    for number, (name, boxes) in enumerate(ALL.items()):
        write_image(folder / f"images/{number:08x}-{name}.png", SEEDS[name])
        write_text(folder / f"labels/{number:08x}-{name}.txt", yolo_rows(boxes))
    write_text(folder / "classes.txt", "face\nhand\n")
    categories = [{"id": 0, "name": "face"}, {"id": 1, "name": "hand"}]
    write_text(folder / "notes.json", json.dumps({"categories": categories, "info": {"version": "1.0"}}))


def label_studio_coco(folder: Path) -> None:
    """With a hash before each name, which the images of the export have as well."""
    for name in ALL:
        write_image(folder / f"images/0a1b2c3d-{name}.png", SEEDS[name])
    write_text(folder / "result.json", json.dumps(all_coco(lambda name: f"images\\1\\0a1b2c3d-{name}")))


def label_studio_uploads(folder: Path) -> None:
    """The json alone was exported; the images are those that were uploaded."""
    for name in ALL:
        put_image(folder, name, "photos")
    write_text(folder / "result.json", json.dumps(all_coco(lambda name: f"/data/upload/1/0a1b2c3d-{name}")))


def fiftyone_coco(folder: Path) -> None:
    for name in ALL:
        put_image(folder, name, "data")
    write_text(folder / "labels.json", json.dumps({"info": {}, "licenses": [], **all_coco()}))


def labelme(folder: Path) -> None:
    for name, boxes in ALL.items():
        put_image(folder, name, "")
        write_text(folder / f"{name}.json", json.dumps(labelme_values(name, boxes)))


def labelme_values(name: str, boxes: list[Box]) -> dict[str, Any]:
    """Rectangles by two corners in any order, and polygons by four points."""
    shapes = []
    for number, (class_id, left, top, right, bottom) in enumerate(boxes):
        points = [[right, bottom], [left, top]]
        if number:
            points = [[left, top], [right, top], [right, bottom], [left, bottom]]
        shape = {"label": NAMES[class_id], "points": points, "group_id": None, "flags": {}}
        shapes.append({**shape, "shape_type": "polygon" if number else "rectangle"})
    values = {"version": "5.4.1", "flags": {}, "shapes": shapes, "imagePath": f"{name}.png"}
    return {**values, "imageData": None, "imageHeight": HEIGHT, "imageWidth": WIDTH}


def ultralytics(folder: Path) -> None:
    write_yaml(folder)


def darknet(folder: Path) -> None:
    write_darknet(folder)


def official_coco(folder: Path) -> None:
    write_coco(folder)
    for split in BOXES:
        captions = {"info": {}, "images": [], "annotations": [], "licenses": []}
        write_text(folder / f"annotations/captions_{split}2017.json", json.dumps(captions))
        keypoints = (folder / f"annotations/instances_{split}2017.json").read_text()
        write_text(folder / f"annotations/person_keypoints_{split}2017.json", keypoints)


def voc_devkit(folder: Path) -> None:
    write_voc(folder / "VOCdevkit/VOC2007")


def kaggle_voc(folder: Path) -> None:
    for name, boxes in ALL.items():
        put_image(folder, name, "images")
        write_text(folder / f"annotations/{name}.xml", voc_xml(boxes))


EXPORTS: dict[str, tuple[Callable[[Path], None], str]] = {
    "ultralytics": (ultralytics, "YOLO, data.yaml"),
    "roboflow_yolo": (roboflow_yolo, "YOLO as Roboflow exports it, data.yaml"),
    "roboflow_darknet": (roboflow_darknet, "YOLO as Roboflow exports it for Darknet, _darknet.labels"),
    "roboflow_coco": (roboflow_coco, "COCO as Roboflow exports it, _annotations.coco.json"),
    "roboflow_voc": (roboflow_voc, "VOC, an xml for each image, roboflow_voc"),
    "cvat_yolo": (cvat_yolo, "YOLO 1.1 as CVAT exports it, obj.data"),
    "cvat_ultralytics": (cvat_ultralytics, "YOLO, data.yaml"),
    "cvat_coco": (cvat_coco, "COCO as CVAT exports it, instances_default.json"),
    "cvat_voc": (cvat_voc, "VOC as CVAT exports it, cvat_voc"),
    "labelimg_yolo": (labelimg_yolo, "YOLO as LabelImg writes it, classes.txt"),
    "labelimg_voc": (labelimg_voc, "VOC, an xml for each image, labelimg_voc"),
    "label_studio_yolo": (label_studio_yolo, "YOLO as Label Studio exports it, classes.txt"),
    "label_studio_coco": (label_studio_coco, "COCO as Label Studio exports it, result.json"),
    "label_studio_uploads": (label_studio_uploads, "COCO as Label Studio exports it, result.json"),
    "fiftyone_coco": (fiftyone_coco, "COCO as FiftyOne exports it, labels.json"),
    "labelme": (labelme, "labelme, labelme"),
    "darknet": (darknet, "YOLO of Darknet, obj.data"),
    "official_coco": (official_coco, "COCO, instances_test2017.json"),
    "voc_devkit": (voc_devkit, "VOC, VOC2007"),
    "kaggle_voc": (kaggle_voc, "VOC, an xml for each image, kaggle_voc"),
}
"""Writers by the name of the export, and the layout that is recognised."""


def boxes_of(dataset: Dataset) -> dict[str, np.ndarray]:
    """Class and corners in pixels by the name of the image, without what Label Studio puts before it."""
    found = {}
    for split in dataset.splits:
        for sample in dataset.split(split):
            corners = np.hstack([sample.boxes_cxcywh[:, :2] - sample.boxes_cxcywh[:, 2:] / 2] * 2)
            corners[:, 2:] += sample.boxes_cxcywh[:, 2:]
            rows = np.hstack([sample.class_ids[:, None], corners * ([WIDTH, HEIGHT] * 2)])
            found[re.sub("^[0-9a-f]{8}-", "", sample.image.stem)] = rows
    return found
