"""`seyolo data anchors`: anchor boxes for a data set."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from seyolo.commands.output import Json, check_target, show
from seyolo.data.anchors import dataset_box_sizes, kmeans_anchors
from seyolo.data.datasets import load_dataset


def anchors(
    data: Path,
    /,
    *,
    size: int = 416,
    num: int = 9,
    split: str = "train",
    seed: int = 0,
    json: Json = None,
) -> None:
    """Anchor boxes for a data set, by k-means on IoU.

    Args:
        data: a data.yaml, Darknet .data, COCO .json or VOC folder.
        size: side of the square input in pixels.
        num: how many: 9 for yolov3, 6 for yolov3-tiny.
        split: whose boxes are looked at.
        seed: of the starting points.
        json: write the result here as JSON, too; - is stdout.
    """
    check_target(json)
    boxes = dataset_box_sizes(load_dataset(data).split(split), (size, size))
    found = kmeans_anchors(boxes, num, np.random.default_rng(seed))
    value = {
        "anchors": [[round(side, 2) for side in pair] for pair in found.sizes_wh.tolist()],
        "mean_iou": found.mean_iou,
        "num_boxes": len(boxes),
        "size": size,
    }
    readable = (
        f"anchors={found.to_cfg()}\nmean IoU {found.mean_iou:.3f} over {len(boxes):,} boxes at {size} px"
    )
    show(value, readable, json)
