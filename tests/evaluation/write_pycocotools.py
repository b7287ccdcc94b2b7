"""Draws COCO data sets with detections and writes them with the numbers of pycocotools.

Run it where pycocotools is installed; it needs no seyolo: `python tests/evaluation/write_pycocotools.py`.
There is one data set per kind; the numbers are AP, AP@0.5, AP@0.75, AP of small objects, AR at 100
detections, and AP by class. The file in the repository is of pycocotools 2.0.11. Sides of detections are
multiples of 1/16, which single precision holds exactly.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.random import Generator

WIDTH, HEIGHT = 320, 240
OUT = Path(__file__).with_name("pycocotools.json")


def box(generator: Generator, low: float = 6, high: float = 120) -> list[float]:
    width, height = np.exp(generator.uniform(np.log(low), np.log(high), 2))
    left, top = generator.uniform(0, WIDTH - width), generator.uniform(0, HEIGHT - height)
    return [round(float(value), 1) for value in (left, top, width, height)]


def near(generator: Generator, bbox: list[float], share: float) -> list[float]:
    """Moves and scales a box by a share of its size."""
    left, top, width, height = bbox
    move_x, move_y, wide, high = generator.normal(0, share, 4)
    moved = left + move_x * width, top + move_y * height, width * np.exp(wide), height * np.exp(high)
    return [round(float(value) * 16) / 16 for value in moved]


def inside(generator: Generator, bbox: list[float]) -> list[float]:
    left, top, width, height = bbox
    parts = generator.uniform(0.1, 0.5, 2)
    shift = generator.uniform(-0.1, 1.1 - parts)  # some reach out
    found = left + shift[0] * width, top + shift[1] * height, parts[0] * width, parts[1] * height
    return [round(float(value) * 16) / 16 for value in found]


def scene(
    generator: Generator,
    *,
    num_images: int = 6,
    num_classes: int = 1,
    crowds: float = 0.0,
    detections: int = 12,
    change: Callable[[dict[str, Any]], None] = lambda annotation: None,
) -> dict[str, Any]:
    """Draws images of 0 to 5 objects; `crowds` is the share of crowds, `change` edits an annotation."""
    images = [
        {"id": 10 + i, "file_name": f"{i}.png", "width": WIDTH, "height": HEIGHT} for i in range(num_images)
    ]
    annotations: list[dict[str, Any]] = []
    results: list[dict[str, Any]] = []
    for image in images:
        own: list[dict[str, Any]] = []
        for _ in range(int(generator.integers(0, 6))):
            is_crowd = int(generator.random() < crowds)
            bbox = box(generator, 60, 200) if is_crowd else box(generator)
            row = {"image_id": image["id"], "category_id": 3 + int(generator.integers(num_classes)) * 2}
            row |= {"bbox": bbox, "area": round(bbox[2] * bbox[3], 2), "iscrowd": is_crowd}
            change(row)
            own.append(row)
        for _ in range(detections):
            kind = generator.random()
            source = own[int(generator.integers(len(own)))] if own else None
            if source is None or kind < 0.2:
                found, label = (
                    near(generator, box(generator), 0.0),
                    3 + int(generator.integers(num_classes)) * 2,
                )
            elif source["iscrowd"] and kind < 0.8:
                found, label = inside(generator, source["bbox"]), source["category_id"]
            else:
                found, label = (
                    near(generator, source["bbox"], generator.choice([0.02, 0.1])),
                    source["category_id"],
                )
            score = round(float(generator.uniform(0.01, 1)), 5)
            results.append({"image_id": image["id"], "category_id": label, "bbox": found, "score": score})
        annotations += own
    for number, row in enumerate(annotations, start=1):
        row["id"] = number
    categories = [{"id": 3 + 2 * i, "name": f"kind {i}"} for i in range(num_classes)]
    return {
        "truth": {"images": images, "annotations": annotations, "categories": categories},
        "found": results,
    }


def halve_area(row: dict[str, Any]) -> None:
    row["area"] = round(row["area"] * 0.4, 2)


def flag(row: dict[str, Any]) -> None:
    """`ignore`, which pycocotools overwrites with `iscrowd`."""
    row["ignore"] = int(row["bbox"][0] > WIDTH / 2)


def as_runs(row: dict[str, Any]) -> None:
    """Replaces the box by an outline: run lengths of a filled rectangle, a corner of it missing."""
    left, top, width, height = (max(1, int(value)) for value in row["bbox"])
    mask = np.zeros((HEIGHT, WIDTH), bool)
    mask[top : top + height, left : left + width] = True
    mask[top, left] = width * height < 8
    flat = np.concatenate([[False], mask.T.ravel(), [False]])
    edges = np.flatnonzero(flat[1:] != flat[:-1])
    row["segmentation"] = {"size": [HEIGHT, WIDTH], "counts": np.diff([0, *edges, mask.size]).tolist()}
    row["bbox"] = [left, top, width, height]  # only to draw detections, see `outlined`


def as_text(row: dict[str, Any]) -> None:
    """As `as_runs`, compressed by pycocotools."""
    from pycocotools import mask  # noqa: PLC0415

    as_runs(row)
    packed = mask.frPyObjects(row["segmentation"], HEIGHT, WIDTH)
    row["segmentation"] = {"size": [HEIGHT, WIDTH], "counts": packed["counts"].decode()}


def as_polygon(row: dict[str, Any]) -> None:
    """Replaces the box by two polygons of one object: its left and its right half."""
    left, top, width, height = row["bbox"]
    x = [round(left + width * part, 2) for part in (0, 0.4, 0.6, 1)]
    bottom = round(top + height, 2)
    row["segmentation"] = [
        [x[0], top, x[1], top, x[1], bottom, x[0], bottom],
        [x[2], top, x[3], top, x[3], bottom],
    ]
    row["bbox"] = [left, top, round(x[3] - left, 2), round(bottom - top, 2)]


def outlined(drawn: dict[str, Any], boxes_of: Callable[[Any], list[float]]) -> dict[str, Any]:
    """Drops the boxes; pycocotools gets those of the outlines."""
    drawn["boxes"] = [boxes_of(row["segmentation"]) for row in drawn["truth"]["annotations"]]
    for row in drawn["truth"]["annotations"]:
        del row["bbox"]
    return drawn


def of_runs(segmentation: Any) -> list[float]:
    from pycocotools import mask  # noqa: PLC0415

    packed = segmentation
    if isinstance(segmentation["counts"], list):
        packed = mask.frPyObjects(segmentation, HEIGHT, WIDTH)
    return [float(value) for value in mask.toBbox(packed)]


def of_polygons(segmentation: Any) -> list[float]:
    points = np.concatenate([np.reshape(polygon, (-1, 2)) for polygon in segmentation])
    low, high = points.min(axis=0), points.max(axis=0)
    return [float(value) for value in (*low, *(high - low))]


def kinds(generator: Generator) -> dict[str, dict[str, Any]]:
    ties = scene(generator, detections=20)
    for row in ties["found"]:
        row["score"] = round(row["score"], 1)
    only_crowds = scene(generator, num_classes=2, crowds=0.4)
    for row in only_crowds["truth"]["annotations"]:
        row["iscrowd"] = max(row["iscrowd"], int(row["category_id"] == 5))
    return {
        "plain": scene(generator),
        "crowds": scene(generator, crowds=0.4),
        "crowds of several categories": scene(generator, num_classes=3, crowds=0.4),
        "a category of crowds alone": only_crowds,
        "several categories": scene(generator, num_classes=4),
        "many empty images": scene(generator, num_images=14, detections=3),
        "more than 100 detections": scene(generator, num_images=2, crowds=0.2, detections=150),
        "equal scores": ties,
        "no detections": scene(generator, detections=0),
        "areas of outlines": scene(generator, num_classes=2, crowds=0.2, change=halve_area),
        "the key ignore": scene(generator, crowds=0.2, change=flag),
        "run lengths": outlined(scene(generator, crowds=0.3, change=as_runs), of_runs),
        "compressed run lengths": outlined(scene(generator, crowds=0.3, change=as_text), of_runs),
        "two polygons of an object": outlined(scene(generator, change=as_polygon), of_polygons),
    }


def judge(drawn: dict[str, Any]) -> dict[str, Any]:
    """Returns the numbers of pycocotools."""
    from pycocotools.coco import COCO  # noqa: PLC0415
    from pycocotools.cocoeval import COCOeval  # noqa: PLC0415

    truth = COCO()
    truth.dataset = json.loads(json.dumps(drawn["truth"]))
    for row, bbox in zip(truth.dataset["annotations"], drawn.get("boxes", []), strict=False):
        row["bbox"] = bbox
    truth.createIndex()
    found = COCO()
    rows = [
        {**row, "area": row["bbox"][2] * row["bbox"][3], "iscrowd": 0, "id": 1 + i}
        for i, row in enumerate(drawn["found"])
    ]
    found.dataset = {**truth.dataset, "annotations": rows}
    found.createIndex()
    run = COCOeval(truth, found, "bbox")
    run.evaluate()
    run.accumulate()
    run.summarize()
    ap, ap50, ap75, small = (float(value) for value in run.stats[:4])
    precision = run.eval["precision"][:, :, :, 0, 2]
    per_class = [
        float(each.mean()) if (each := precision[:, :, i][precision[:, :, i] > -1]).size else -1.0
        for i in range(precision.shape[2])
    ]
    return {
        "ap": ap,
        "ap50": ap50,
        "ap75": ap75,
        "ap_small": small,
        "recall": float(run.stats[8]),
        "per_class": per_class,
    }


def main() -> None:
    drawn = kinds(np.random.default_rng(19))
    for each in drawn.values():
        each["expected"] = judge(each)
        each.pop("boxes", None)
    OUT.write_text(json.dumps(drawn, separators=(",", ":")).replace('{"truth"', '\n{"truth"') + "\n")


if __name__ == "__main__":
    main()
