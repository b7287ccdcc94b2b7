"""Kinds of images that OpenCV cannot read, by their names and first bytes, and the way on for them."""

from __future__ import annotations

import os
import shlex
import struct
from pathlib import Path

from seyolo.media.image_header import DNG_VERSION, tiff_tags

FOREIGN_ENDINGS = (
    ".arw", ".cr2", ".cr3", ".dng", ".heic", ".heif", ".hif", ".jxl", ".nef", ".orf", ".psd", ".raf", ".rw2",
)  # fmt: skip
_TIFF = (b"II*\0", b"MM\0*")
_HEIF_BRANDS = frozenset({b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"})
_STARTS = {b"\xff\x0a": "a JPEG XL image", b"\0\0\0\x0cJXL ": "a JPEG XL image", b"8BPS": "a Photoshop image"}


def foreign_kind(data: bytes) -> str | None:
    """Returns the kind of an image that cannot be read here, None for others."""
    if data[4:8] == b"ftyp" and data[8:12] in _HEIF_BRANDS and b"av01" not in data[:4096]:
        return "a HEIC image"
    if data[:4] in _TIFF and (data[8:10] == b"CR" or _is_dng(data)):
        return "a raw camera image"
    return next((kind for start, kind in _STARTS.items() if data.startswith(start)), None)


def _is_dng(data: bytes) -> bool:
    """Tells whether a TIFF is a raw image, whose first picture is a small preview that OpenCV would read."""
    try:
        return DNG_VERSION in tiff_tags(data)
    except struct.error:
        return False


def way_on(path: str | Path) -> str:
    """Returns the advice to convert an image and its neighbours of the same kind."""
    folder, name = os.path.split(path)
    ending = os.path.splitext(name)[1]
    if not ending or "://" in folder:
        return "convert it to JPEG or PNG"
    pattern = os.path.join(shlex.quote(folder) if folder else "", f"*{ending}")
    return f"convert such images, with ImageMagick: magick mogrify -format jpg {pattern}"
