"""Drawing of detections on an image, and of images on one sheet.

Line width and text scale with the image, so that a thumbnail and an image of 24 megapixels are both legible.
Labels lie on all lines and never on one another.
A class has the same colour in every image and run: neighbouring ids are a golden angle apart on the colour
wheel.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple, Protocol

import cv2
import numpy as np
from jaxtyping import Float, Float32, Int64, UInt8

from seyolo.errors import UsageError
from seyolo.letterbox import letterbox
from seyolo.media.placing import Area, nearest_free

Colour = tuple[int, int, int]  # blue, green, red, 0 to 255

FONT = cv2.FONT_HERSHEY_SIMPLEX
BLACK: Colour = (0, 0, 0)
WHITE: Colour = (255, 255, 255)
GOLDEN_ANGLE_DEGREES, FIRST_HUE_DEGREES = 137.50776, 140.0


class ScoredBoxes(Protocol):
    """Columns of boxes to draw, such as `seyolo.Detections`."""

    @property
    def boxes(self) -> Float32[np.ndarray, "n 4"]: ...

    @property
    def scores(self) -> Float32[np.ndarray, " n"]: ...

    @property
    def class_ids(self) -> Int64[np.ndarray, " n"]: ...

    @property
    def track_ids(self) -> Int64[np.ndarray, " n"] | None: ...


class _Pen:
    """Line width, text size and margins on an image of a size."""

    def __init__(self, height: int, width: int) -> None:
        size_px = (height + width) / 2
        self.line_px = max(1, round(size_px / 320))
        self.font_scale = max(0.35, size_px / 1300)
        self.text_px = max(1, round(size_px / 750))
        (_, letter_px), _ = cv2.getTextSize("A", FONT, self.font_scale, 1)
        self.margin_px = max(2, round(letter_px * 0.4))

    def label_size(self, text: str) -> tuple[int, int]:
        """Returns width and height of a label in pixels."""
        (text_width, text_height), baseline = cv2.getTextSize(text, FONT, self.font_scale, self.text_px)
        return text_width + 2 * self.margin_px, text_height + baseline + self.margin_px


def class_colour(class_id: int) -> Colour:
    """Returns the colour of a class, which is the same in every image."""
    hue_degrees = (FIRST_HUE_DEGREES + class_id * GOLDEN_ANGLE_DEGREES) % 360
    brightness = 255 if class_id % 2 == 0 else 215
    # OpenCV stores hues in half degrees, which fit a byte.
    pixel = np.array([[[hue_degrees / 2, 225, brightness]]], dtype=np.uint8)
    blue, green, red = cv2.cvtColor(pixel, cv2.COLOR_HSV2BGR)[0, 0].tolist()
    return blue, green, red


def draw(
    image: UInt8[np.ndarray, "H W 3"], detections: ScoredBoxes, names: Sequence[str]
) -> UInt8[np.ndarray, "H W 3"]:
    """Returns a copy of the BGR image with box, class, score and id of each detection, the best on top."""
    worst_first = np.argsort(detections.scores, kind="stable")
    class_ids = detections.class_ids[worst_first].tolist()
    scores = detections.scores[worst_first].tolist()
    texts = [f"{names[class_id]} {score:.2f}" for class_id, score in zip(class_ids, scores, strict=True)]
    if detections.track_ids is not None:
        tracks = detections.track_ids[worst_first].tolist()
        texts = [
            f"#{track} {text}" if track >= 0 else text for track, text in zip(tracks, texts, strict=True)
        ]
    return draw_boxes(image, detections.boxes[worst_first], texts, [class_colour(i) for i in class_ids])


def draw_boxes(
    image: UInt8[np.ndarray, "H W 3"],
    boxes_xyxy: Float[np.ndarray, "n 4"],
    texts: Sequence[str],
    colours: Sequence[Colour],
) -> UInt8[np.ndarray, "H W 3"]:
    """Returns a copy of the BGR image with boxes in its pixels, the last on top, and their texts.

    A text that would cover another moves along its box; it is left out where its box has no free place.
    """
    canvas = np.ascontiguousarray(image).copy()
    height, width = canvas.shape[:2]
    pen = _Pen(height, width)
    for box, colour in zip(boxes_xyxy, colours, strict=True):
        left, top, right, bottom = (round(float(value)) for value in box)
        # A box spans 0 to width, pixels end at width - 1; without the minimum the line at the border is lost.
        corner = min(right, width - 1), min(bottom, height - 1)
        cv2.rectangle(canvas, (left, top), corner, colour, pen.line_px)
    for label in placed_labels(boxes_xyxy, texts, canvas.shape[:2]):
        _draw_label(canvas, label, colours[label.box], pen)
    return canvas


def contact_sheet(
    images: Sequence[UInt8[np.ndarray, "_ _ 3"]], columns: int = 4, cell_px: int = 320, gap_px: int = 6
) -> UInt8[np.ndarray, "H W 3"]:
    """Places at least one image of any size in rows on white, each letterboxed into `cell_px` pixels."""
    if not images or columns < 1 or cell_px < 1:
        found = f"{len(images)}, {columns}, {cell_px}"
        raise UsageError(f"a contact sheet needs images, columns, a cell size; got {found}")
    columns = min(columns, len(images))
    rows, step = math.ceil(len(images) / columns), cell_px + gap_px
    sheet = np.full((rows * step + gap_px, columns * step + gap_px, 3), 255, np.uint8)
    for index, image in enumerate(images):
        top, left = gap_px + index // columns * step, gap_px + index % columns * step
        sheet[top : top + cell_px, left : left + cell_px] = letterbox(image, (cell_px, cell_px))[0]
    return sheet


class Marked(NamedTuple):
    """A line of two points or a zone of more, in pixels, and lines of text for it."""

    points: Sequence[tuple[float, float]]
    texts: Sequence[str]


def draw_areas(image: UInt8[np.ndarray, "H W 3"], areas: Sequence[Marked]) -> None:
    """Draws lines, each with an arrow to its side `in`, and zones, with texts beside them, onto the image.

    The texts of a zone begin at its upper left, those of a line at its middle; none covers another.
    """
    height, width = image.shape[:2]
    pen = _Pen(height, width)
    taken: list[tuple[int, int, int, int]] = []
    for area in areas:
        _draw_outline(image, np.rint(np.array(area.points)).astype(np.int32), pen)
    for area in areas:
        corners = np.array(area.points)
        start = corners.min(axis=0) if len(corners) > 2 else corners.mean(axis=0)
        sizes = [pen.label_size(text) for text in area.texts]
        across, down = max(size[0] for size in sizes), sum(size[1] for size in sizes)
        most = max(0, width - across), max(0, height - down)
        left, top = (round(min(start[axis] + 2 * pen.line_px, most[axis])) for axis in (0, 1))
        free = nearest_free((across, down), (left, top), (0, 0, *most), taken)
        left, top = (left, top) if free is None else map(round, free)
        taken.append((left, top, left + across, top + down))
        for text, (_, tall) in zip(area.texts, sizes, strict=True):
            _draw_label(image, Label(0, text, (left, top, left + across, top + tall)), WHITE, pen)
            top += tall


def _draw_outline(image: UInt8[np.ndarray, "H W 3"], corners: np.ndarray, pen: _Pen) -> None:
    """Draws a line with its arrow, or a zone, in white with a black rim."""
    for colour, line_px in ((BLACK, 3 * pen.line_px), (WHITE, pen.line_px)):
        cv2.polylines(image, [corners], len(corners) > 2, colour, line_px, cv2.LINE_AA)
        if len(corners) == 2:
            middle = corners.mean(axis=0)
            along = corners[1] - corners[0]
            tip = middle + np.array([along[1], -along[0]]) / np.hypot(*along) * 16 * pen.line_px
            start, end = np.rint([middle, tip]).astype(int).tolist()
            cv2.arrowedLine(image, start, end, colour, line_px, cv2.LINE_AA, tipLength=0.4)


class Label(NamedTuple):
    """The text of the box of this index, and its area in pixels."""

    box: int
    text: str
    area: tuple[int, int, int, int]  # left, top, right, bottom


def placed_labels(
    boxes_xyxy: Float[np.ndarray, "n 4"], texts: Sequence[str], image_size: tuple[int, ...]
) -> list[Label]:
    """Returns the labels of boxes, each beside or inside its box and none on another.

    The last box, which is on top, chooses first. The usual place is above the left corner.

    Args:
        boxes_xyxy: boxes in pixels of the image.
        texts: one per box; an empty one has no label.
        image_size: height and width of the image.

    Returns:
        The labels; one whose box has no free place is missing.
    """
    pen = _Pen(*image_size[:2])
    labels: list[Label] = []
    for index in reversed(range(len(texts))):
        width, height = pen.label_size(texts[index])
        box = boxes_xyxy[index]
        wanted = label_corner(box, (height, width), image_size, pen.line_px)
        area = _touching(box, (width, height), image_size, pen.line_px)
        taken = [label.area for label in labels]
        place = nearest_free((width, height), wanted, area, taken) if texts[index] else None
        if place is not None:
            left, top = map(round, place)
            labels.append(Label(index, texts[index], (left, top, left + width, top + height)))
    return labels


def _touching(
    box_xyxy: np.ndarray, label_size: tuple[int, int], image_size: tuple[int, ...], line_px: int
) -> Area:
    """Returns the limits of left and top of a label that touches its box and lies in the image."""
    width, height = label_size
    left, top, right, bottom = (round(float(value)) for value in box_xyxy)
    outer = line_px // 2
    most = max(0, image_size[1] - width), max(0, image_size[0] - height)
    least_x, least_y = (
        min(max(0, side - outer - length), end)
        for side, length, end in zip((left, top), label_size, most, strict=True)
    )
    most_x, most_y = (max(0, min(side + outer, end)) for side, end in zip((right, bottom), most, strict=True))
    return least_x, least_y, max(least_x, most_x), max(least_y, most_y)


def _draw_label(canvas: UInt8[np.ndarray, "H W 3"], label: Label, colour: Colour, pen: _Pen) -> None:
    left, top, right, bottom = label.area
    (_, text_height), _ = cv2.getTextSize(label.text, FONT, pen.font_scale, pen.text_px)
    cv2.rectangle(canvas, (left, top), (right - 1, bottom - 1), colour, cv2.FILLED)
    origin = left + pen.margin_px, top + pen.margin_px // 2 + text_height + 1
    cv2.putText(
        canvas, label.text, origin, FONT, pen.font_scale, text_colour(colour), pen.text_px, cv2.LINE_AA
    )


def label_corner(
    box_xyxy: np.ndarray, label_size: tuple[int, int], image_size: tuple[int, ...], line_px: int
) -> tuple[int, int]:
    """Returns left and top of a label: above its box, or inside where there is no room; within the image."""
    label_height, label_width = label_size
    box_left, box_top = round(float(box_xyxy[0])), round(float(box_xyxy[1]))
    outer = line_px // 2
    above = box_top - outer - label_height
    top = above if above >= 0 else box_top + outer
    left = max(0, min(box_left - outer, image_size[1] - label_width))
    return left, max(0, min(top, image_size[0] - label_height))


def text_colour(background: Colour) -> Colour:
    """Returns black or white, whichever contrasts more with `background` (WCAG 2: at least 4.5 to 1)."""
    channels = np.array(background) / 255
    linear = np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)  # sRGB
    luminance = float(linear @ [0.0722, 0.7152, 0.2126])  # relative luminance of B, G, R
    # Contrast is (light + 0.05) / (dark + 0.05); black and white tie at sqrt(1.05 * 0.05) - 0.05.
    return BLACK if luminance > 0.179 else WHITE
