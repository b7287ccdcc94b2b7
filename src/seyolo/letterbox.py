"""Letterboxing: an image fitted to a network's input, and the exact inverse for boxes.

`letterbox` keeps the aspect ratio and pads with grey, `stretch` (Darknet's way) fills the input. The scale
of a `Placement` is that of the resized image, which has a whole number of pixels, and not the ideal ratio. So
a box on the input lies on the same pixels of the source image.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol, Self

import cv2
import numpy as np
from jaxtyping import Float, Float32, UInt8

from seyolo.boxes import clip_xyxy

PAD_GREY = 114
"""Grey level of the padding of our own networks, the usual one of YOLO detectors; Darknet pads with 127.5."""
BYTE = np.float32(1 / 255)
"""Scales uint8 to [0, 1]."""

Mode = Literal["letterbox", "stretch"]


@dataclass(frozen=True)
class Placement:
    """Position of a source image in a network's input.

    x on the input = x on the source * scale_x + left; the same for y with `scale_y` and `top`.
    """

    scale_x: float
    scale_y: float
    left: float
    top: float
    source_height: int
    source_width: int

    @property
    def inner_size(self) -> tuple[int, int]:
        """Height and width of the resized image inside the input."""
        return round(self.scale_y * self.source_height), round(self.scale_x * self.source_width)

    def inside(self) -> tuple[slice, slice]:
        """Returns rows and columns of the image inside the input."""
        height, width = self.inner_size
        top, left = int(self.top), int(self.left)
        return slice(top, top + height), slice(left, left + width)

    def to_source(self, boxes_xyxy: Float[np.ndarray, "n 4"]) -> Float[np.ndarray, "n 4"]:
        """Converts boxes in pixels of the input to pixels of the source image, and clips them to it."""
        scale = np.array([self.scale_x, self.scale_y] * 2)
        shift = np.array([self.left, self.top] * 2)
        boxes: Float[np.ndarray, "n 4"] = (boxes_xyxy - shift) / scale  # x = (x' - left) / scale_x
        return clip_xyxy(boxes.astype(boxes_xyxy.dtype), self.source_height, self.source_width)


def place(source_size: tuple[int, int], size: tuple[int, int], mode: Mode = "letterbox") -> Placement:
    """Returns the position of an image of `source_size` (height, width) in an input of `size`.

    Each side keeps at least one pixel, however long and thin the image is.
    """
    source_height, source_width = source_size
    height, width = size
    inner_height, inner_width = size
    if mode == "letterbox":
        scale = min(height / source_height, width / source_width)
        inner_height = min(height, max(1, round(source_height * scale)))
        inner_width = min(width, max(1, round(source_width * scale)))
    return Placement(
        scale_x=inner_width / source_width,
        scale_y=inner_height / source_height,
        left=(width - inner_width) // 2,
        top=(height - inner_height) // 2,
        source_height=source_height,
        source_width=source_width,
    )


def resize(image: UInt8[np.ndarray, "H W *c"], size: tuple[int, int]) -> UInt8[np.ndarray, "h w *c"]:
    """Resizes an image to `size` (height, width): bilinear, with block averages below half the size.

    Bilinear interpolation reads 2x2 pixels at any scale; below half it skips some, and small objects flicker.
    OpenCV averages whole blocks many times faster than fractions of pixels. So bilinear interpolation changes
    the scale by less than a factor of two, and block averages do the rest. Neither shifts the image.
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


def _halved(image: UInt8[np.ndarray, "H W *c"], size: tuple[int, int]) -> UInt8[np.ndarray, "h w *c"]:
    """Halves the image while that is exact and leaves at least twice `size` (height, width)."""
    height, width = image.shape[:2]
    while height % 2 == 0 and width % 2 == 0 and height >= 4 * size[0] and width >= 4 * size[1]:
        height, width = height // 2, width // 2
        image = cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA)
    return image


def _block(source_px: int, target_px: int) -> int:
    """Returns the largest power of two not above source / target, at least 1."""
    return 1 << max(0, (source_px // target_px).bit_length() - 1)  # 2^⌊log2(source / target)⌋


def letterbox(
    image: UInt8[np.ndarray, "H W *c"],
    size: tuple[int, int],
    mode: Mode = "letterbox",
    pad_value: float = PAD_GREY,
) -> tuple[UInt8[np.ndarray, "h w *c"] | Float32[np.ndarray, "h w *c"], Placement]:
    """Fits an image to a network's input of `size` (height, width); returns it and the position of the image.

    Mode `letterbox` keeps the aspect ratio and centres the image on grey of `pad_value`, `stretch` fills the
    input. The image is float32 where the padding lies between two bytes.
    """
    placement = place((image.shape[0], image.shape[1]), size, mode)
    resized = resize(image, placement.inner_size)
    if placement.inner_size == size:
        return resized, placement
    dtype = np.uint8 if float(pad_value).is_integer() else np.float32
    canvas = np.full((*size, *image.shape[2:]), pad_value, dtype=dtype)
    canvas[placement.inside()] = resized
    return canvas, placement


def to_batch(
    images: Sequence[UInt8[np.ndarray, "H W 3"]],
    size: tuple[int, int],
    mode: Mode = "letterbox",
    pad_value: float = PAD_GREY,
    channels: int = 3,
) -> tuple[Float32[np.ndarray, "n c h w"], list[Placement]]:
    """Converts images of any sizes to a network's input; returns it with the position of each image in it.

    The result equals `letterbox` followed by `to_tensor`, without the image in between.
    """
    batch = np.empty((len(images), channels, *size), dtype=np.float32)
    placements = []
    for planes, image in zip(batch, images, strict=True):
        placement = place((image.shape[0], image.shape[1]), size, mode)
        if placement.inner_size != size:
            planes.fill(pad_value * BYTE)
        seen = with_channels(image, channels)
        _write_planes(resize(seen, placement.inner_size), planes[:, *placement.inside()])
        placements.append(placement)
    return batch, placements


def with_channels(image: UInt8[np.ndarray, "H W 3"], channels: int) -> UInt8[np.ndarray, "H W *c"]:
    """Returns a BGR image as it is for three channels, and (H, W) grey for one.

    Grey is 0.299 R + 0.587 G + 0.114 B (ITU-R BT.601), as OpenCV and JPEG decoders have it, with which
    Darknet reads images for a network of `channels=1`.
    """
    return image if channels == 3 else cv2.cvtColor(image, cv2.COLOR_BGR2GRAY)


def to_tensor(
    image: UInt8[np.ndarray, "h w *c"] | Float32[np.ndarray, "h w *c"],
) -> Float32[np.ndarray, "c h w"]:
    """Converts a BGR image (h, w, 3), or a grey one (h, w), to planes of RGB or grey, float32 in [0, 1]."""
    channels = 1 if image.ndim == 2 else 3
    planes: Float32[np.ndarray, "c h w"] = np.empty((channels, *image.shape[:2]), dtype=np.float32)
    _write_planes(image, planes)
    return planes


def _write_planes(
    image: UInt8[np.ndarray, "h w *c"] | Float32[np.ndarray, "h w *c"], planes: Float32[np.ndarray, "c h w"]
) -> None:
    # Plane by plane is over ten times faster than `cv2.dnn.blobFromImage`.
    for plane, channel in zip(planes, reversed(cv2.split(image)), strict=True):
        np.multiply(channel, BYTE, out=plane, dtype=np.float32)


class FitSource(Protocol):
    """A network, or a runtime's backend; `pad_value` and `input_channels` may be missing: 114 and 3."""

    @property
    def input_size(self) -> tuple[int, int]: ...

    @property
    def letterbox_mode(self) -> Mode: ...


@dataclass(frozen=True)
class Fit:
    """The way from an image to a network's input, which is a property of the network."""

    size: tuple[int, int]  # height and width in pixels
    mode: Mode = "letterbox"
    pad_value: float = PAD_GREY  # grey level of the padding, 0 to 255
    channels: int = 3  # 3 for colour, 1 for grey

    @classmethod
    def of(cls, source: FitSource, size: tuple[int, int] | None = None) -> Self:
        """Returns that of a `[net]` section or a backend, by default at its own size."""
        pad_value, channels = getattr(source, "pad_value", PAD_GREY), getattr(source, "input_channels", 3)
        return cls(size or source.input_size, source.letterbox_mode, pad_value, channels)

    @property
    def dtype(self) -> type[np.generic]:
        """The type of fitted images: float32 where the padding lies between two bytes."""
        whole = self.mode == "stretch" or float(self.pad_value).is_integer()
        return np.uint8 if whole else np.float32

    def image(
        self, image: UInt8[np.ndarray, "H W 3"]
    ) -> tuple[UInt8[np.ndarray, "h w *c"] | Float32[np.ndarray, "h w *c"], Placement]:
        """Returns a BGR image fitted, BGR or grey in levels of 0 to 255, and its position in the input."""
        return letterbox(with_channels(image, self.channels), self.size, self.mode, self.pad_value)

    def batch(
        self, images: Sequence[UInt8[np.ndarray, "H W 3"]]
    ) -> tuple[Float32[np.ndarray, "n c h w"], list[Placement]]:
        """Returns the input for BGR images, RGB or grey in [0, 1], and their positions in it."""
        return to_batch(images, self.size, self.mode, self.pad_value, self.channels)
