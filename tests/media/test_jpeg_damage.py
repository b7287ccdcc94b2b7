"""JPEGs damaged inside, which OpenCV reads without a word, and sound ones that look strange."""

from __future__ import annotations

import io
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from seyolo.errors import DataError
from seyolo.media.images import decode_image, find_images
from seyolo.media.jpeg_damage import jpeg_damage

RST = cv2.IMWRITE_JPEG_RST_INTERVAL
WAYS = {"plain": (), "optimised": (cv2.IMWRITE_JPEG_OPTIMIZE, 1), "restarts": (RST, 4)}


def scene(height: int = 120, width: int = 160) -> np.ndarray:
    generator = np.random.default_rng(0)
    noise = generator.integers(0, 256, (height // 8, width // 8, 3), np.uint8)
    return cv2.resize(noise, (width, height), interpolation=cv2.INTER_CUBIC)


def jpeg(*options: int) -> bytes:
    return bytes(cv2.imencode(".jpg", scene(), options)[1])


def overwritten(data: bytes, piece: bytes, at: float = 0.5) -> bytes:
    start = int(len(data) * at)
    return data[:start] + piece + data[start + len(piece) :]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("num", [256, 512, 1024])
@pytest.mark.parametrize("at", [0.4, 0.5, 0.6])
def test_a_run_of_zeros_is_damage(way: str, num: int, at: float) -> None:
    data = overwritten(jpeg(*WAYS[way]), bytes(num), at)
    pattern = r"a\.jpg: the image is damaged: [\d,]+ zero bytes among the pixels from byte [\d,]+ on; copy it"
    with pytest.raises(DataError, match=pattern):
        decode_image(data, "a.jpg")


@pytest.mark.parametrize("way", [*WAYS.values(), (cv2.IMWRITE_JPEG_PROGRESSIVE, 1)])
def test_a_run_of_erased_flash_is_damage(way: tuple[int, ...]) -> None:
    with pytest.raises(DataError, match=r"a\.jpg: the image is (damaged: .*0xff|truncated)"):
        decode_image(overwritten(jpeg(*way), b"\xff" * 512), "a.jpg")


def test_a_piece_of_another_file_is_damage() -> None:
    piece = b"PK\x03\x04 some archive \xff\x10\0\x09 and so on"
    with pytest.raises(
        DataError, match=r"a\.jpg: the image is damaged: a marker 0x10 among the pixels at byte [\d,]+"
    ):
        decode_image(overwritten(jpeg(), piece), "a.jpg")


def test_restart_markers_out_of_order_are_damage() -> None:
    data = jpeg(RST, 4)
    first = data.index(b"\xff\xd3")
    with pytest.raises(DataError, match="restart markers out of order"):
        decode_image(data[:first] + b"\xff\xd6" + data[first + 2 :], "a.jpg")


def test_what_the_message_counts() -> None:
    data = jpeg()
    half = len(data) // 2
    damaged = data[:half] + bytes(len(data) - 2 - half) + data[-2:]
    zeros = len(damaged) - 2 - len(damaged[:-2].rstrip(b"\0"))
    assert (
        jpeg_damage(damaged)
        == f"{zeros:,} zero bytes among the pixels from byte {len(damaged) - 2 - zeros:,} on"
    )


@pytest.mark.parametrize("mode", ["L", "RGB", "CMYK"])
@pytest.mark.parametrize("options", [{}, {"optimize": True}, {"progressive": True}])
@pytest.mark.parametrize("level", [0, 37, 128, 255])
def test_flat_images_are_sound(mode: str, options: dict[str, bool], level: int) -> None:
    # Optimised Huffman tables write a flat image as zeros.
    image = Image.new(mode, (900, 700), level if mode == "L" else (level,) * len(mode))
    file = io.BytesIO()
    image.save(file, "JPEG", **options)
    assert jpeg_damage(file.getvalue()) is None


@pytest.mark.parametrize("options", [(), (RST, 1), (RST, 7), (cv2.IMWRITE_JPEG_PROGRESSIVE, 1)])
@pytest.mark.parametrize("quality", [1, 50, 100])
def test_sound_images_are_sound(options: tuple[int, ...], quality: int) -> None:
    data = jpeg(*options, cv2.IMWRITE_JPEG_QUALITY, quality)
    assert jpeg_damage(data) is None
    # A thumbnail of zeros inside Exif is no pixel of the image.
    segment = b"Exif\0\0" + bytes(600)
    assert (
        jpeg_damage(data[:2] + b"\xff\xe1" + (len(segment) + 2).to_bytes(2, "big") + segment + data[2:])
        is None
    )


def test_what_is_no_jpeg_has_no_damage() -> None:
    for data in (b"", b"\xff\xd8", b"\xff\xd8\xff\xda\0\x02", jpeg()[:300]):
        assert jpeg_damage(data) is None


def test_all_photos_at_hand_are_sound(shared_data: Path) -> None:
    found = find_images([str(shared_data / "hands/images/val/*.jpg")])
    assert found
    assert [path for path in found if jpeg_damage(path.read_bytes())] == []
