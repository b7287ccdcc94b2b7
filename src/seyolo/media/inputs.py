"""Images in every form that `Detector` takes: files, addresses, encoded bytes, arrays and Pillow images.

The same image gives the same pixels in every form: alpha is left out, 16-bit values keep their upper byte,
and an Exif orientation turns the image, all as OpenCV does when it reads a file.
"""

from __future__ import annotations

import os
import time
from importlib import import_module
from pathlib import Path
from typing import Any, Literal, NamedTuple, Protocol, runtime_checkable
from urllib.parse import quote

import cv2
import numpy as np
from jaxtyping import Shaped, UInt8

from seyolo.errors import DataError, UsageError, quoted
from seyolo.media.images import decode_image, limit_bytes, read_image, too_large
from seyolo.media.sources import check_address, kind_of

TIMEOUT_S = 30.0
"""Longest wait for a whole image from an address, as `seyolo serve` has for an upload."""
CHUNK_BYTES = 1 << 16

Order = Literal["bgr", "rgb"]
"""Order of the channels of an array: `bgr` as OpenCV reads images, `rgb` as nearly all others do."""


@runtime_checkable
class PillowImage(Protocol):
    """An image of the package Pillow, which need not be installed."""

    @property
    def mode(self) -> str: ...

    def convert(self, mode: str) -> Any: ...

    def getexif(self) -> Any: ...


Image = str | Path | bytes | Shaped[np.ndarray, "..."] | PillowImage
"""A file, an http or https address, the bytes of a file, an array or a Pillow image: see `as_image`."""


class Loaded(NamedTuple):
    """An image (H, W, 3) uint8 in BGR order, and a form of it to keep: the file, its bytes, or the array."""

    pixels: UInt8[np.ndarray, "H W 3"]
    kept: Image | None


def as_image(image: Image, order: Order = "bgr") -> UInt8[np.ndarray, "H W 3"]:
    """Returns an image as 8-bit BGR.

    Args:
        image: a file, an http or https address, the bytes of an image file, a Pillow image, or an array of
            (H, W), (H, W, 1), (H, W, 3) or (H, W, 4) with alpha last: uint8, uint16 of 0 to 65535, or floats
            of 0 to 1.
        order: of the channels of an array.

    Raises:
        DataError: a file or address that is missing or no whole image.
        UsageError: an array or a Pillow image that cannot be converted.
    """
    return load_image(image, order).pixels


def load_image(image: Image, order: Order = "bgr") -> Loaded:
    """Returns an image as `as_image`, and a form of it to keep."""
    if isinstance(image, str) and not os.path.exists(image):
        check_address(image)
        if "://" in image:
            data = read_address(image)
            return Loaded(decode_image(data, image), data)
    if isinstance(image, str | Path):
        if kind_of(str(image)) == "video" and not str(image).lower().endswith(".gif"):
            raise DataError(f"{image}: is a video, not an image; `seyolo detect {image}` reads videos")
        return Loaded(read_image(image), image)
    if isinstance(image, bytes):
        return Loaded(decode_image(image, "the bytes given"), image)
    pixels = _from_array(image, order) if isinstance(image, np.ndarray) else _from_pillow(image)
    return Loaded(pixels, pixels)


def read_address(address: str) -> bytes:
    """Reads the bytes behind an http or https address, within the memory limit of images and 30 s.

    Raises:
        DataError: another kind of address, no answer, a refusal, a page in place of an image, or too large.
    """
    if not address.lower().startswith(("http://", "https://")):
        raise DataError(f"{address}: is a stream, not an image; seyolo detect reads streams")
    # Takes long to import, and few need it.
    from http.client import HTTPException  # noqa: PLC0415
    from urllib.error import HTTPError  # noqa: PLC0415
    from urllib.request import Request, urlopen  # noqa: PLC0415

    request = Request(quote(address, safe="%/:=&?~#+!$,;'@()*[]"), headers={"User-Agent": "seyolo"})
    try:
        with urlopen(request, timeout=TIMEOUT_S) as answer:
            if answer.headers.get_content_type() == "text/html":
                raise DataError(f"{address}: is a web page; give the address of the image itself")
            return _read_all(answer, address)
    except HTTPError as error:
        raise DataError(f"{address}: the server refuses it: {error.code} {error.reason}") from None
    except TimeoutError:
        raise DataError(f"{address}: no whole answer within {TIMEOUT_S:g} s") from None
    except (OSError, HTTPException, ValueError) as error:
        reason = getattr(error, "reason", error)
        raise DataError(f"{address}: cannot be read ({reason or type(error).__name__})") from None


def _read_all(answer: Any, address: str) -> bytes:
    end, limit = time.monotonic() + TIMEOUT_S, limit_bytes()
    data, declared = bytearray(), answer.headers.get("Content-Length", "")
    expected = int(declared) if declared.isdecimal() else 0
    while max(len(data), expected) <= limit and (chunk := answer.read1(CHUNK_BYTES)):
        data += chunk
        if time.monotonic() > end:
            raise TimeoutError
    if max(len(data), expected) > limit:
        raise too_large(address, "its file", max(len(data), expected))
    return bytes(data)


def _from_array(image: Shaped[np.ndarray, "..."], order: Order) -> UInt8[np.ndarray, "H W 3"]:
    channels = image.shape[2] if image.ndim == 3 else 1
    if image.ndim not in (2, 3) or channels not in (1, 3, 4) or image.size == 0:
        raise UsageError(f"{_EXPECTED}, got {image.shape} of {image.dtype}{_advice(image.shape)}")
    if order not in ("bgr", "rgb"):
        raise UsageError(f"order {quoted(order)}: the channels of an array are in the order 'bgr' or 'rgb'")
    pixels = _as_bytes(image)
    if channels == 1:
        return np.asarray(cv2.cvtColor(pixels, cv2.COLOR_GRAY2BGR), np.uint8)
    if channels == 3 and order == "bgr":
        return pixels
    chosen = [0, 1, 2] if order == "bgr" else [2, 1, 0]
    return np.ascontiguousarray(pixels[..., chosen])


_EXPECTED = "an image must be an array (height, width), or (height, width, channels) with 1, 3 or 4 channels"


def _advice(shape: tuple[int, ...]) -> str:
    if len(shape) == 3 and shape[0] in (1, 3, 4):
        return "; if the channels come first: image.transpose(1, 2, 0)"
    return "; give a batch as a list of images" if len(shape) == 4 else ""


def _as_bytes(image: Shaped[np.ndarray, "..."]) -> UInt8[np.ndarray, "..."]:
    """Returns the values of an array as uint8; raises UsageError for values of an unknown range."""
    kind, size = image.dtype.kind, image.dtype.itemsize
    if (kind, size) == ("u", 1):
        return image
    if (kind, size) == ("u", 2):
        return np.asarray(image >> 8, np.uint8)
    if kind != "f":
        expected = "uint8, uint16 of 0 to 65535, or floats of 0 to 1"
        raise UsageError(f"an image must have values of {expected}, got {image.dtype}; convert them first")
    low, high = float(image.min()), float(image.max())
    if not (low >= 0 and high <= 1):  # also of nan
        found = f"these are from {low:g} to {high:g}"
        raise UsageError(f"an image of floats has values from 0 to 1, {found}; scale them first")
    return np.asarray(np.rint(image * 255), np.uint8)


_STEPS = {"La": ("LA",), "RGBa": ("RGBA",), "P": ("RGBA",), "PA": ("RGBA",)}
"""Modes on the way from one to RGB, which Pillow has no direct way for, or warns of."""


def _from_pillow(image: PillowImage) -> UInt8[np.ndarray, "H W 3"]:
    mode = image.mode
    if mode in ("I", "F"):
        raise UsageError(
            f"a Pillow image of mode {mode} has no known range of values; convert it to L or RGB"
        )
    try:
        # Pillow leaves images of cameras lying on their side.
        turned = import_module("PIL.ImageOps").exif_transpose(image)
        for step in () if mode.startswith("I;16") else (*_STEPS.get(mode, ()), "RGB"):
            turned = turned.convert(step)
        return _from_array(np.asarray(turned), "rgb")
    except ValueError:
        raise UsageError(f"a Pillow image of mode {mode} has no way to RGB; convert it first") from None
    except OSError as error:
        raise DataError(f"the Pillow image cannot be read: {error}") from None
