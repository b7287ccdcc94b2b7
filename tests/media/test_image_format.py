"""Sizes from headers against OpenCV's decoder, and truncated files of every format."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from seyolo.media.image_format import is_complete
from seyolo.media.image_header import header_size, read_header
from seyolo.media.images import encoded_size, find_images

ENDINGS = [".jpg", ".png", ".bmp", ".webp", ".tiff"]


def encoded(ending: str, height: int = 48, width: int = 64, options: tuple[int, ...] = ()) -> bytes:
    pixels = np.random.default_rng(0).integers(0, 255, (height, width, 3), dtype=np.uint8)
    return bytes(cv2.imencode(ending, pixels, options)[1])


def shown_size(data: bytes) -> tuple[int, ...]:
    image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    assert image is not None
    return image.shape[:2]


def num_pixels(data: bytes) -> int | None:
    header = read_header(data)
    return None if header is None else header.num_pixels


def orientation_tiff(orientation: int, order: str) -> bytes:
    """A TIFF directory with one entry, the orientation."""
    mark = b"II*\0" if order == "<" else b"MM\0*"
    entry = struct.pack(f"{order}HHIHH", 0x0112, 3, 1, orientation, 0)
    return mark + struct.pack(f"{order}IH", 8, 1) + entry + bytes(4)


def jpeg_with_segment(jpeg: bytes, marker: int, payload: bytes) -> bytes:
    return jpeg[:2] + bytes([0xFF, marker]) + struct.pack(">H", len(payload) + 2) + payload + jpeg[2:]


def png_with_orientation(png: bytes, orientation: int) -> bytes:
    body = b"eXIf" + orientation_tiff(orientation, "<")
    return png[:33] + struct.pack(">I", len(body) - 4) + body + struct.pack(">I", zlib.crc32(body)) + png[33:]


@pytest.mark.parametrize("ending", ENDINGS)
def test_sizes_agree_with_opencv(ending: str) -> None:
    data = encoded(ending)
    assert encoded_size(data, "x") == shown_size(data) == (48, 64)
    assert header_size(data) == ((48, 64) if ending in {".jpg", ".png"} else None)


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("orientation", [1, 2, 3, 4, 5, 6, 7, 8])
def test_sizes_of_turned_images_agree_with_opencv(orientation: int, order: str) -> None:
    exif = b"Exif\0\0" + orientation_tiff(orientation, order)
    jpeg = jpeg_with_segment(encoded(".jpg"), 0xE1, exif)
    assert header_size(jpeg) == shown_size(jpeg)
    png = png_with_orientation(encoded(".png"), orientation)
    assert encoded_size(png, "x.png") == shown_size(png)


def test_the_header_suffices_for_the_size() -> None:
    for ending in (".jpg", ".png"):
        assert header_size(encoded(ending)[:700]) == (48, 64)


@pytest.mark.parametrize("ending", [".jpg", ".png", ".bmp", ".webp"])
@pytest.mark.parametrize("missing", [1, 12, 200, 0.3, 0.9])
def test_truncated_files_are_not_complete(ending: str, missing: float) -> None:
    data = encoded(ending)
    assert is_complete(data)
    cut = int(missing if missing >= 1 else len(data) * missing)
    assert not is_complete(data[: len(data) - cut])


@pytest.mark.parametrize("progressive", [0, 1])
def test_jpegs_with_a_tail_or_restarts_or_several_scans_are_complete(progressive: int) -> None:
    options = (cv2.IMWRITE_JPEG_PROGRESSIVE, progressive, cv2.IMWRITE_JPEG_RST_INTERVAL, 4)
    data = encoded(".jpg", options=options)
    assert is_complete(data + b"\0\0 some tail")
    assert not is_complete(data[:-2])  # all but the end marker


def test_a_thumbnail_does_not_count_as_the_end() -> None:
    data = jpeg_with_segment(encoded(".jpg"), 0xE2, encoded(".jpg", 8, 8))
    assert header_size(data) == (48, 64)
    assert is_complete(data)
    assert not is_complete(data[:-400])


def test_fill_bytes_between_jpeg_segments_are_allowed() -> None:
    data = encoded(".jpg")
    assert is_complete(data[:2] + b"\xff\xff" + data[2:])


WEBP_LOSSY, WEBP_LOSSLESS = (cv2.IMWRITE_WEBP_QUALITY, 80), (cv2.IMWRITE_WEBP_QUALITY, 101)


@pytest.mark.parametrize("options", [WEBP_LOSSY, WEBP_LOSSLESS])
def test_pixels_of_webp(options: tuple[int, int]) -> None:
    data = encoded(".webp", 50, 70, options)
    assert num_pixels(data) == 3500
    # The extended form: a chunk of flags and the canvas in front, both sides less one in 24 bits.
    chunk = b"VP8X" + struct.pack("<II", 10, 0) + (69).to_bytes(3, "little") + (49).to_bytes(3, "little")
    extended = b"RIFF" + struct.pack("<I", len(data) + 10) + b"WEBP" + chunk + data[12:]
    assert shown_size(extended) == (50, 70)
    assert num_pixels(extended) == 3500


@pytest.mark.parametrize("ending", ENDINGS)
def test_pixels_are_those_of_the_header(ending: str) -> None:
    assert num_pixels(encoded(ending)) == 48 * 64
    assert num_pixels(encoded(ending)[:16]) is None
    assert num_pixels(png_with_orientation(encoded(".png"), 6)) == 48 * 64


def test_a_marker_without_a_length_hides_nothing() -> None:
    """Read as a segment, TEM (01) would swallow the real frame, and a decoder would find another size."""
    data = encoded(".jpg")
    hiding = data[:2] + b"\xff\x01" + data[2:]
    assert shown_size(hiding) == (48, 64)
    assert header_size(hiding) == (48, 64)
    assert num_pixels(hiding) == 48 * 64


PROGRESSIVE = (cv2.IMWRITE_JPEG_PROGRESSIVE, 1)
SMALL = [encoded(".jpg", 9, 7), encoded(".jpg", 9, 7, PROGRESSIVE), encoded(".png", 9, 7)]
SMALL += [encoded(".webp", 9, 7, options) for options in (WEBP_LOSSY, WEBP_LOSSLESS)]


@given(st.sampled_from(SMALL), st.data())
def test_no_decoder_makes_more_of_a_file_than_its_header_says(file: bytes, draw: st.DataObject) -> None:
    data = bytearray(file)
    for _ in range(draw.draw(st.integers(1, 4))):
        start = draw.draw(st.integers(0, min(len(data), 700) - 1))
        piece = draw.draw(st.one_of(st.binary(max_size=4), st.just(b"\xff\x01"), st.just(b"\xff\xe0")))
        data[start : start + draw.draw(st.integers(0, 4))] = piece
    pixels = num_pixels(bytes(data))
    if pixels is not None and pixels < 1e6:
        image = cv2.imdecode(np.frombuffer(bytes(data), np.uint8), cv2.IMREAD_COLOR)
        assert image is None or image.shape[0] * image.shape[1] == pixels


WEBP = b"RIFF\0\0\0\0WEBPVP8"
STARTS = [b"\xff\xd8\xff\xe1", b"\x89PNG\r\n\x1a\n", b"RIFF", WEBP, b"BM", b""]


@given(st.sampled_from(STARTS), st.binary(max_size=60))
def test_no_bytes_break_the_reading(start: bytes, rest: bytes) -> None:
    assert is_complete(start + rest) in (True, False)
    size = header_size(start + rest)
    assert size is None or min(size) > 0
    pixels = num_pixels(start + rest)
    assert pixels is None or pixels > 0


def test_shared_photos_agree_with_opencv(shared_data: Path) -> None:
    for path in find_images([shared_data / "darknet" / "images"]):
        data = path.read_bytes()
        assert is_complete(data)
        assert encoded_size(data, path) == shown_size(data)


def test_pixels_promised_by_a_header() -> None:
    turned = jpeg_with_segment(encoded(".jpg"), 0xE1, b"Exif\0\0" + orientation_tiff(6, "<"))
    assert num_pixels(turned) == 48 * 64
