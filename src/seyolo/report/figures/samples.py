"""Sheets of images with detections: samples.jpg shows the dense and the slim network on the same images."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple, TypeVar

import cv2
import numpy as np
from jaxtyping import Float, UInt8

from seyolo.detections import Detections
from seyolo.errors import UsageError
from seyolo.evaluation.ap import Truth
from seyolo.media.annotate import FONT, Colour, class_colour, draw, draw_boxes
from seyolo.media.showing import write_image

Image = UInt8[np.ndarray, "_ _ 3"]
Sheet = UInt8[np.ndarray, "H W 3"]
Item = TypeVar("Item")

INK = (43, 43, 43)
# Okabe and Ito's sky blue and orange: other colours than those of the two networks in `style`.
TRUTH: Colour = (233, 180, 86)
FOUND: Colour = (0, 159, 230)
IGNORED_REGION: Colour = (150, 150, 150)
WHITE = 255
GAP_PX = 10
LABEL_PX = 30
MAX_LABELLED = 8
"""With more boxes on a small image, labels would hide the objects."""


def plot_samples(
    images: Sequence[Image],
    dense: Sequence[Detections],
    slim: Sequence[Detections],
    names: Sequence[str],
    path: str | Path,
    *,
    columns: int = 4,
    cell_px: int = 320,
    confidence: float = 0.25,
) -> None:
    """Writes a sheet of images in pairs of rows: detections of the dense network, below them of the slim one.

    Each of the BGR images, of any size, has a square cell, `columns` of them side by side. Detections below
    the confidence threshold are not drawn; more than 8 on an image have no labels.

    Raises:
        UsageError: no images, or the path's ending is not that of an image.
    """
    if not images:
        raise UsageError("a sheet of sample detections needs at least one image; the split has none")
    rows = []
    for start in range(0, len(images), columns):
        chosen = slice(start, start + columns)
        for title, found in (("dense", dense), ("slim", slim)):
            cells = [
                drawn(image, detections, names, cell_px, confidence)
                for image, detections in zip(images[chosen], found[chosen], strict=True)
            ]
            rows.append(_row(title, cells, min(columns, len(images)), cell_px))
    write_image(path, np.concatenate(rows))


def fitted(image: Image, side_px: int) -> tuple[Sheet, float]:
    """Resizes an image so that its longer side is `side_px`; returns it and the factor."""
    scale = side_px / max(image.shape[:2])
    height, width = (max(1, round(side * scale)) for side in image.shape[:2])
    interpolation = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    return cv2.resize(image, (width, height), interpolation=interpolation), scale


def spread_evenly(items: Sequence[Item], most: int) -> list[Item]:
    """Returns up to `most` of the items, at equal distances."""
    return [items[int(index)] for index in np.linspace(0, len(items) - 1, min(most, len(items)))]


def class_prefixes(names: Sequence[str]) -> list[str]:
    """Returns the beginning of the label of a box by class id; with one class its name adds nothing."""
    return [f"{name} " for name in names] if len(names) > 1 else [""]


def drawn(
    image: Image, detections: Detections, names: Sequence[str], side_px: int, confidence: float
) -> Sheet:
    """Resizes an image and draws the detections above a confidence threshold."""
    resized, scale = fitted(image, side_px)
    shown = detections[detections.scores >= confidence]
    scaled = Detections(shown.boxes * scale, shown.scores, shown.class_ids)
    return draw(resized, scaled, names) if len(scaled) <= MAX_LABELLED else _outlined(resized, scaled)


class Layer(NamedTuple):
    """Boxes of one kind with their texts and colour."""

    boxes_xyxy: Float[np.ndarray, "n 4"]
    texts: Sequence[str]
    colour: Colour


def draw_layers(sheet: Sheet, truth: Truth, layers: Sequence[Layer], scale: float) -> Sheet:
    """Draws the ignored regions of an image that was resized by `scale`, and on top of them the layers.

    All lines are drawn first, so that no text is under a line.
    """
    regions = truth.ignored.boxes_xyxy
    ordered = [Layer(regions, ["ignored"] * len(regions), IGNORED_REGION), *layers]
    boxes = np.concatenate([layer.boxes_xyxy.reshape(-1, 4) for layer in ordered]) * scale
    texts = [text for layer in ordered for text in layer.texts]
    return draw_boxes(sheet, boxes, texts, [layer.colour for layer in ordered for _ in layer.texts])


def _outlined(image: Image, detections: Detections) -> Sheet:
    """Draws boxes without labels."""
    canvas = image.copy()
    for box, class_id in zip(detections.boxes, detections.class_ids.tolist(), strict=True):
        left, top, right, bottom = (round(float(value)) for value in box)
        cv2.rectangle(canvas, (left, top), (right - 1, bottom - 1), class_colour(class_id), 1, cv2.LINE_AA)
    return canvas


def _row(title: str, images: Sequence[Sheet], columns: int, cell_px: int) -> Sheet:
    """Puts images side by side in square white cells, under a title."""
    height = max(image.shape[0] for image in images)
    width = GAP_PX + columns * (cell_px + GAP_PX)
    row = np.full((LABEL_PX + height + GAP_PX, width, 3), WHITE, dtype=np.uint8)
    cv2.putText(row, title, (GAP_PX, LABEL_PX - 9), FONT, 0.6, INK, 1, cv2.LINE_AA)
    for column, image in enumerate(images):
        left = GAP_PX + column * (cell_px + GAP_PX) + (cell_px - image.shape[1]) // 2
        row[LABEL_PX : LABEL_PX + image.shape[0], left : left + image.shape[1]] = image
    return row
