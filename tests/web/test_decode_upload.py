"""Images that the service decodes, and those that it refuses by their header."""

from __future__ import annotations

import struct
import zlib

import cv2
import numpy as np
import pytest
from starlette.exceptions import HTTPException

from seyolo.options.detect import ServeOptions
from seyolo.web.uploads import decode_upload


def encoded(ending: str) -> bytes:
    return bytes(cv2.imencode(ending, np.zeros((20, 30, 3), np.uint8))[1])


def animated_png(width: int, height: int) -> bytes:
    """The chunks of an animation that declares a size, without its pixels: only the header is read."""

    def chunk(kind: bytes, payload: bytes) -> bytes:
        check = struct.pack(">I", zlib.crc32(kind + payload))
        return struct.pack(">I", len(payload)) + kind + payload + check

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"acTL", bytes(8)) + chunk(b"IEND", b"")


@pytest.mark.parametrize("ending", [".jpg", ".png", ".webp"])
def test_accepted_formats(ending: str) -> None:
    assert decode_upload(encoded(ending), ServeOptions()).shape == (20, 30, 3)


@pytest.mark.parametrize("ending", [".bmp", ".tiff", ".ppm", ".gif", ".avif", ".jp2"])
def test_other_formats_whose_headers_are_read_get_415(ending: str) -> None:
    with pytest.raises(HTTPException) as caught:
        decode_upload(encoded(ending), ServeOptions())
    assert caught.value.status_code == 415


def test_too_much_memory_gets_413_though_the_pixels_would_be_allowed() -> None:
    with pytest.raises(HTTPException, match=r"541 MB of memory, the limit is 512 MB") as caught:
        decode_upload(animated_png(9_000, 5_000), ServeOptions())
    assert caught.value.status_code == 413
