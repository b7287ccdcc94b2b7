"""Functions behind `seyolo data`: data sets drawn, checked, converted and divided, and their anchors.

Nothing here imports PyTorch.
"""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np

from seyolo.data import check, convert
from seyolo.data.anchors import Anchors, dataset_box_sizes, kmeans_anchors
from seyolo.data.convert import Converted, Target
from seyolo.data.datasets import Dataset, load_dataset
from seyolo.data.formats.yolo import YoloFiles
from seyolo.data.scenes import remarks
from seyolo.data.splitting import divide, shares_of
from seyolo.data.synthetic.dataset import write_dataset
from seyolo.progress import Progress, shown_progress
from seyolo.sizes import USUAL_SIZE, InputSize, size_hw

_LOGGER = logging.getLogger(__name__)


def draw_dataset(
    out: str | Path,
    *,
    train: int = 400,
    val: int = 80,
    test: int = 120,
    size: int | tuple[int, int] = 320,
    seed: int = 0,
    progress: Progress | bool | None = True,
) -> Path:
    """Draws a data set of synthetic hands in YOLO layout; returns the path of its data.yaml.

    Args:
        out: a folder that does not exist yet.
        train, val, test: images of each split.
        size: side of the square images in pixels; or the shortest and the longest side.
        seed: the same seed draws the same images.
        progress: True shows it as the command line does, or in a notebook; False does not; or a receiver.

    Raises:
        DataError: `out` is not empty or cannot be written.
        UsageError: a value out of range.

    Example:
        >>> seyolo.api.draw_dataset("drawn", train=4, val=2, test=2, size=96).as_posix()
        'drawn/data.yaml'
    """
    with shown_progress(progress).task("drawing", train + val + test) as advance:
        return write_dataset(
            Path(out),
            num_train=train,
            num_val=val,
            num_test=test,
            size_px=(size, size) if isinstance(size, int) else size,
            seed=seed,
            progress=lambda done, total: advance(1, ""),
        )


def check_dataset(data: str | Path | Dataset, progress: Progress | bool | None = True) -> check.Report:
    """Looks through a data set; returns counts by split, and everything that is wrong.

    Args:
        data: a data set as it is: a folder, an archive, or the file that describes it.
        progress: as in `draw_dataset`.

    Example:
        >>> report = seyolo.api.check_dataset("hands/data.yaml")
        >>> [split.split for split in report.splits], report.problems
        (['train', 'val', 'test'], ())
    """
    return check.check_dataset(_opened(data), shown_progress(progress))


def convert_dataset(data: str | Path | Dataset, out: str | Path, to: Target = "yolo") -> list[Converted]:
    """Writes a data set as YOLO, COCO or VOC; returns the counts of each split.

    Args:
        data: as in `check_dataset`.
        out: a folder that does not exist yet; images are hard links where the system makes them, else copies.
        to: `yolo`, `coco` or `voc`.

    Raises:
        DataError: an invalid label or image, or `out` is not empty; it stays as it was.

    Example:
        >>> seyolo.api.convert_dataset("hands/data.yaml", "hands-coco", "coco")[0].split
        'train'
    """
    return convert.convert(_opened(data), Path(out), to)


def split_dataset(
    data: str | Path | Dataset,
    out: str | Path,
    *,
    val: str = "20%",
    test: str = "0%",
    by: str | None = None,
    seed: int = 0,
) -> list[Converted]:
    """Divides the images of a data set anew, stratified by class; returns the counts of each split.

    Of YOLO labels lists of the images are written; other formats are written as YOLO.

    Args:
        data: as in `check_dataset`.
        out: a folder that does not exist yet.
        val, test: shares of the images; the rest is `train`.
        by: keeps images together: `folder`, `prefix` (the name up to its last number, for frames of a video),
            or a regular expression whose first group names the scene in the path.
        seed: the same seed gives the same split.

    Raises:
        DataError: fewer scenes than splits, an invalid label, or `out` is not empty.
        UsageError: nothing is left to train on, or `by` is no pattern with a group, or matches nothing.

    Example:
        >>> counts = seyolo.api.split_dataset("hands/data.yaml", "hands-anew", val="25%")
        >>> [(row.split, row.num_images) for row in counts]
        [('train', 9), ('val', 3)]
    """
    dataset = _opened(data)
    shares = shares_of(val, test)
    divided = divide(dataset, shares, seed, by)
    for line in remarks({split: divided.listed(split).images for split in shares}, shares, by):
        _LOGGER.info("%s", line)
    if not isinstance(dataset.contents, YoloFiles):
        return convert.convert(divided, Path(out), "yolo")
    convert.write_lists(divided, Path(out))
    return convert.count(divided)


def find_anchors(
    data: str | Path | Dataset,
    *,
    size: InputSize = USUAL_SIZE,
    num: int = 9,
    split: str = "train",
    seed: int = 0,
) -> Anchors:
    """Finds anchor boxes for a data set by k-means on IoU.

    Args:
        data: as in `check_dataset`.
        size: of the input in pixels, the side of a square or (height, width).
        num: 9 for yolov3, 6 for yolov3-tiny.
        split: whose boxes count.
        seed: of the starting points.

    Raises:
        DataError: fewer distinct boxes than anchors.

    Example:
        >>> seyolo.api.find_anchors("hands/data.yaml", size=320, num=2).sizes_wh.shape
        (2, 2)
    """
    boxes = dataset_box_sizes(_opened(data).split(split), size_hw(size))
    return kmeans_anchors(boxes, num, np.random.default_rng(seed))


def _opened(data: str | Path | Dataset) -> Dataset:
    return data if isinstance(data, Dataset) else load_dataset(data)
