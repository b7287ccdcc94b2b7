"""The two-fold protocol of the Oxford Hand data set.

*all* counts every hand, which is what the YOLO repositories report. *official* follows Mittal, Zisserman and
Torr 2011: only hands whose rotated quadrilateral has more than 1,500 px² in the original image count, and
smaller ones neither help nor hurt. Detections are upright boxes in both, so truths are the upright boxes
around the four corners, clipped to the image. Corners and areas come from `oxford_boxes.csv`, which the
converter writes, since YOLO labels hold neither.
"""

from __future__ import annotations

import csv
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from seyolo.boxes import clip_xyxy
from seyolo.data.oxford.annotations import CORNERS
from seyolo.data.samples import Sample
from seyolo.detections import Detections
from seyolo.errors import DataError, counted
from seyolo.evaluation.ap import Metrics, Regions, Truth, average_precision
from seyolo.json_files import MOST

OFFICIAL_AREA_PX2 = 1500.0
"""Hands must be larger than this to count in the official protocol."""
BOXES_FILE = "oxford_boxes.csv"
"""Its name beside the `data.yaml` of a converted data set."""
ImageKey = tuple[str, str]
"""Split folder and file name: names repeat between splits."""


@dataclass
class _Image:
    """The hands of one image as the file lists them."""

    height: int = 0
    width: int = 0
    corners_xy: list[list[float]] = field(default_factory=list)
    areas_px2: list[float] = field(default_factory=list)

    def truth(self, *, official: bool) -> Truth:
        """Returns the upright boxes around the hands; the official protocol ignores small hands."""
        corners = np.array(self.corners_xy, dtype=np.float32).reshape(-1, 4, 2)
        boxes = np.concatenate([corners.min(axis=1), corners.max(axis=1)], axis=1)
        boxes_xyxy = clip_xyxy(boxes, self.height, self.width)
        is_small = np.array(self.areas_px2, dtype=np.float64) <= OFFICIAL_AREA_PX2 if official else False
        small = np.broadcast_to(is_small, len(boxes))
        class_ids = np.zeros(len(boxes), np.int64)
        ignored = Regions(boxes_xyxy[small], class_ids[small], np.zeros(int(small.sum()), bool))
        return Truth(boxes_xyxy[~small], class_ids[~small], self.height, self.width, ignored)


def oxford_metrics(
    samples: Sequence[Sample], predictions: Sequence[Detections], boxes_csv: str | Path
) -> dict[str, Metrics]:
    """Returns AP under the protocols `all` and `official`.

    `samples` are images of a converted Oxford Hand split, and `boxes_csv` is the file of the same conversion.
    Predictions are one per sample, in pixels of the image, all of class 0.

    Raises:
        DataError: the file is missing or damaged, or knows no hands of an image whose label has some.
    """
    images = _read_images(Path(boxes_csv))
    found = [_image_of(sample, images, Path(boxes_csv)) for sample in samples]
    return {
        name: average_precision([image.truth(official=name == "official") for image in found], predictions, 1)
        for name in ("all", "official")
    }


def _image_of(sample: Sample, images: dict[ImageKey, _Image], boxes_csv: Path) -> _Image:
    image = images.get((sample.image.parent.name, sample.image.name))
    if image is not None:
        return image
    if len(sample.class_ids):
        raise DataError(
            f"{boxes_csv}: no row for {sample.image.parent.name}/{sample.image.name}, whose label has "
            f"{counted(len(sample.class_ids), 'hand')}; convert the Oxford Hand archive again with "
            "`seyolo data oxford`"
        )
    return _Image()


def _read_images(boxes_csv: Path) -> dict[ImageKey, _Image]:
    images: dict[ImageKey, _Image] = defaultdict(_Image)
    try:
        with boxes_csv.open(encoding="utf-8", newline="") as file:
            for line, row in enumerate(csv.DictReader(file), start=2):
                _add_row(images[row["split"], row["image"]], row, f"{boxes_csv}:{line}")
    except OSError as error:
        raise DataError(
            f"{boxes_csv}: cannot be read ({error.strerror}); the official protocol needs this file, which "
            "`seyolo data oxford` writes"
        ) from None
    except KeyError as error:
        raise DataError(f"{boxes_csv}: has no column {error}; convert the archive again") from None
    except (UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{boxes_csv}: not a table ({error}); convert the archive again") from None
    return dict(images)


def _add_row(image: _Image, row: dict[str, str], where: str) -> None:
    if None in row.values():
        raise DataError(f"{where}: a column is missing; convert the archive again")
    try:
        image.height, image.width = int(row["height"]), int(row["width"])
        corners_xy = [float(row[f"{corner}_{axis}"]) for corner in CORNERS for axis in "xy"]
        area_px2 = float(row["area_px2"])
    except (TypeError, ValueError) as error:
        raise DataError(f"{where}: {error}; convert the archive again") from None
    if not all(abs(number) <= MOST for number in (image.height, image.width, *corners_xy, area_px2)):
        raise DataError(f"{where}: a number is not finite, or too large; convert the archive again")
    image.corners_xy.append(corners_xy)
    image.areas_px2.append(area_px2)
