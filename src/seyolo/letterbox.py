"""Fitting an image to a network's input, and the exact way back for boxes.

`letterbox` keeps the aspect ratio and pads with grey, `stretch` (Darknet's own default) fills the input.
The scale a `Placement` carries is the one of the resized pixels (a whole number of them), not the ideal
ratio, so that a box drawn on the input lies on the same pixels of the source image.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np
from jaxtyping import Float, Float32, UInt8

from seyolo.boxes import clip_xyxy

PAD_GREY = 114
"""The brightness of the border, as the YOLO families use it."""

BYTE = np.float32(1 / 255)
"""What one step of a byte is worth to a network."""

Mode = Literal["letterbox", "stretch"]


@dataclass(frozen=True)
class Placement:
    """Where a source image lies in a network's input.

    Input x = source x * scale_x + left, and the same for y with `scale_y` and `top`.
    """

    scale_x: float
    scale_y: float
    left: float
    top: float
    source_height: int
    source_width: int

    def to_input(self, boxes_xyxy: Float[np.ndarray, "n 4"]) -> Float[np.ndarray, "n 4"]:
        """Boxes in pixels of the source image to pixels of the input."""
        boxes: Float[np.ndarray, "n 4"] = boxes_xyxy * self._scale() + self._shift()
        return boxes.astype(boxes_xyxy.dtype)

    def to_source(self, boxes_xyxy: Float[np.ndarray, "n 4"]) -> Float[np.ndarray, "n 4"]:
        """Boxes in pixels of the input to pixels of the source image, clipped to it."""
        boxes: Float[np.ndarray, "n 4"] = (boxes_xyxy - self._shift()) / self._scale()
        return clip_xyxy(boxes.astype(boxes_xyxy.dtype), self.source_height, self.source_width)

    def _scale(self) -> Float[np.ndarray, "4"]:
        return np.array([self.scale_x, self.scale_y, self.scale_x, self.scale_y])

    def _shift(self) -> Float[np.ndarray, "4"]:
        return np.array([self.left, self.top, self.left, self.top])


def place(source_size: tuple[int, int], size: tuple[int, int], mode: Mode = "letterbox") -> Placement:
    """Where an image of `source_size` (height, width) lands in an input of `size` (height, width).

    No side ever shrinks to zero pixels, however long and thin the image is.
    """
    placement, _ = _fit(source_size, size, mode)
    return placement


def _fit(
    source_size: tuple[int, int], size: tuple[int, int], mode: Mode
) -> tuple[Placement, tuple[int, int]]:
    """The placement, and the size (height, width) the image has inside the input."""
    source_height, source_width = source_size
    height, width = size
    inner_height, inner_width = size
    if mode == "letterbox":
        scale = min(height / source_height, width / source_width)
        inner_height = min(height, max(1, round(source_height * scale)))
        inner_width = min(width, max(1, round(source_width * scale)))
    placement = Placement(
        scale_x=inner_width / source_width,
        scale_y=inner_height / source_height,
        left=(width - inner_width) // 2,
        top=(height - inner_height) // 2,
        source_height=source_height,
        source_width=source_width,
    )
    return placement, (inner_height, inner_width)


def resize(image: UInt8[np.ndarray, "H W 3"], size: tuple[int, int]) -> UInt8[np.ndarray, "h w 3"]:
    """The image at `size` (height, width): bilinear, and averaged over blocks of pixels below half.

    Bilinear reads 2x2 pixels whatever the scale: below half it would skip some and small things would
    flicker. OpenCV averages whole blocks many times faster than fractions of pixels, so only whole blocks
    are averaged and bilinear does the rest, less than a factor of two. Nothing moves by that.
    """
    height, width = size
    if image.shape[:2] == size:
        return image
    image = _halved(image, size)
    rows, columns = height * _block(image.shape[0], height), width * _block(image.shape[1], width)
    if image.shape[:2] != (rows, columns):
        image = cv2.resize(image, (columns, rows), interpolation=cv2.INTER_LINEAR)
    if (rows, columns) != size:
        image = cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA)
    return image


def _halved(image: UInt8[np.ndarray, "H W 3"], size: tuple[int, int]) -> UInt8[np.ndarray, "h w 3"]:
    """The image halved while that is exact and leaves at least twice `size` (height, width)."""
    height, width = image.shape[:2]
    while height % 2 == 0 and width % 2 == 0 and height >= 4 * size[0] and width >= 4 * size[1]:
        height, width = height // 2, width // 2
        image = cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA)
    return image


def _block(source_px: int, target_px: int) -> int:
    """The largest power of two that fits into source / target, at least 1."""
    return 1 << max(0, (source_px // target_px).bit_length() - 1)


def letterbox(
    image: UInt8[np.ndarray, "H W 3"], size: tuple[int, int], mode: Mode = "letterbox"
) -> tuple[UInt8[np.ndarray, "h w 3"], Placement]:
    """Fits an image to `size` (height, width).

    Args:
        image: at least 1x1 pixels.
        size: of the network's input.
        mode: `letterbox` keeps the aspect ratio and centres the image on grey 114, `stretch` fills.

    Returns:
        The input image (never `image` itself changed) and where the source lies in it.
    """
    placement, inner_size = _fit((image.shape[0], image.shape[1]), size, mode)
    resized = resize(image, inner_size)
    if inner_size == size:
        return resized, placement
    top, left = int(placement.top), int(placement.left)
    canvas = np.full((*size, 3), PAD_GREY, dtype=np.uint8)
    canvas[top : top + inner_size[0], left : left + inner_size[1]] = resized
    return canvas, placement


def to_batch(
    images: Sequence[UInt8[np.ndarray, "H W 3"]], size: tuple[int, int], mode: Mode = "letterbox"
) -> tuple[Float32[np.ndarray, "n 3 h w"], list[Placement]]:
    """Images of any sizes as a network takes them, and where each lies there.

    Exactly what `letterbox` and `to_tensor` give one after the other, without the image in between.
    """
    batch = np.empty((len(images), 3, *size), dtype=np.float32)
    placements = []
    for planes, image in zip(batch, images, strict=True):
        placement, inner_size = _fit((image.shape[0], image.shape[1]), size, mode)
        if inner_size != size:
            planes.fill(PAD_GREY * BYTE)
        top, left = int(placement.top), int(placement.left)
        inner = planes[:, top : top + inner_size[0], left : left + inner_size[1]]
        _write_planes(resize(image, inner_size), inner)
        placements.append(placement)
    return batch, placements


def to_tensor(image: UInt8[np.ndarray, "h w 3"]) -> Float32[np.ndarray, "3 h w"]:
    """BGR bytes as OpenCV reads them to what networks take: planes of RGB, float32 in [0, 1]."""
    planes: Float32[np.ndarray, "3 h w"] = np.empty((3, *image.shape[:2]), dtype=np.float32)
    _write_planes(image, planes)
    return planes


def _write_planes(image: UInt8[np.ndarray, "h w 3"], planes: Float32[np.ndarray, "3 h w"]) -> None:
    # Plane by plane is over ten times faster than `cv2.dnn.blobFromImage`.
    for plane, channel in zip(planes, reversed(cv2.split(image)), strict=True):
        np.multiply(channel, BYTE, out=plane, dtype=np.float32)
