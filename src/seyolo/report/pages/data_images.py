"""Images of a data set for its page: labelled ones, the smallest boxes enlarged, and pairs side by side."""

from __future__ import annotations

import base64
import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from typing import NamedTuple

import cv2
import numpy as np
from jaxtyping import Float, UInt8

from seyolo.boxes import cxcywh_to_xyxy
from seyolo.data.labels import Labels
from seyolo.errors import DataError, counted
from seyolo.media.annotate import Colour, class_colour, draw_boxes
from seyolo.media.images import read_image
from seyolo.report.figures.samples import IGNORED_REGION, MAX_LABELLED, fitted

SAMPLE_PX, PAIR_PX, CROP_PX = 400, 260, 200
LEAST_CROP_PX = 24
CONTEXT = 3.0  # side of a crop by that of its box
QUALITY = 80
INNER_LINE = np.array([1, 1, -1, -1])  # a second line, so that thin ones are seen where a page shrinks them

Image = UInt8[np.ndarray, "_ _ 3"]


class Shown(NamedTuple):
    """An image in a page: a data URL, its alt text, and what stands below it."""

    source: str
    alt: str
    caption: str


class SmallBox(NamedTuple):
    """A box in pixels of its image, and its shorter side in the input."""

    image: str
    box_xyxy: Float[np.ndarray, "4"]
    class_id: int
    side_px: float


def name_of(path: str) -> str:
    """Returns the name of a file as text that can be written."""
    return os.path.basename(path).encode(errors="replace").decode()


def labelled(path: str, labels: Labels, names: Sequence[str]) -> Shown | None:
    """Returns an image with its boxes in the colours of the classes; None for one that cannot be read."""
    image = _read(path)
    if image is None:
        return None
    small, _ = fitted(image, SAMPLE_PX)
    height, width = small.shape[:2]
    ignored, num_boxes = labels.ignored, len(labels.class_ids)
    boxes = np.concatenate([ignored.boxes_cxcywh, labels.boxes_cxcywh])
    boxes_px = cxcywh_to_xyxy(boxes.astype(np.float64)) * np.array([width, height] * 2)
    has_texts = len(names) > 1 and num_boxes <= MAX_LABELLED
    texts = [names[index] if has_texts else "" for index in labels.class_ids.tolist()]
    colours = [class_colour(index) for index in labels.class_ids.tolist()]
    grey: list[Colour] = [IGNORED_REGION] * len(ignored)
    drawn = draw_boxes(small, boxes_px + INNER_LINE, [""] * len(boxes_px), [*grey, *colours])
    drawn = draw_boxes(drawn, boxes_px, [*([""] * len(ignored)), *texts], [*grey, *colours])
    name = name_of(path)
    caption = f"{name}, {image.shape[1]}x{image.shape[0]}, {counted(num_boxes, 'box')}"
    return Shown(data_url(drawn), f"{name} with its labels", caption)


def enlarged(boxes: Iterable[SmallBox], names: Sequence[str]) -> Iterator[Shown]:
    """Yields what is around each box, enlarged, with the box in the colour of its class."""
    for box in boxes:
        if (image := _read(box.image)) is None:
            continue
        left, top, right, bottom = box.box_xyxy.tolist()
        side = min(max(LEAST_CROP_PX, CONTEXT * max(right - left, bottom - top)), *image.shape[:2])
        x, y = (
            int(min(max(0, (low + high - side) / 2), size - side))
            for low, high, size in ((left, right, image.shape[1]), (top, bottom, image.shape[0]))
        )
        side_px = max(1, int(side))
        crop = image[y : y + side_px, x : x + side_px]
        scale = CROP_PX / side_px
        large = cv2.resize(crop, (CROP_PX, CROP_PX), interpolation=cv2.INTER_CUBIC)
        place = (box.box_xyxy - np.array([x, y, x, y])) * scale
        drawn = draw_boxes(np.asarray(large, np.uint8), place[None], [""], [class_colour(box.class_id)])
        size = f"{right - left:.0f}x{bottom - top:.0f} px"
        name = name_of(box.image)
        caption = f"{names[box.class_id]}, {size}, shorter side {box.side_px:.1f} px in the input, {name}"
        yield Shown(data_url(drawn), f"A box of {size} in {name}", caption)


def thumbnail(path: str) -> str | None:
    """Returns an image as a data URL, None for one that cannot be read."""
    image = _read(path)
    return None if image is None else data_url(fitted(image, PAIR_PX)[0])


def _read(path: str) -> Image | None:
    with suppress(DataError):
        return read_image(path)
    return None


def data_url(image: Image) -> str:
    """Returns an image as a JPEG in a data URL."""
    _, data = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, QUALITY])
    return f"data:image/jpeg;base64,{base64.b64encode(data.tobytes()).decode('ascii')}"
