"""Images that are shown turned: every format that can say so, in each of the eight orientations."""

from __future__ import annotations

import io
import struct
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from seyolo.errors import DataError
from seyolo.media.avif import primary_properties
from seyolo.media.image_header import read_header
from seyolo.media.images import LIMIT, decode_image, encoded_size, is_turned, read_image, way_to_decode

HEIGHT, WIDTH = 48, 64
STORED = {
    1: lambda image: image,
    2: lambda image: image[:, ::-1],
    3: lambda image: image[::-1, ::-1],
    4: lambda image: image[::-1],
    5: lambda image: image.transpose(1, 0, 2),
    6: lambda image: np.rot90(image, 1),
    7: lambda image: np.rot90(image, 2).transpose(1, 0, 2),
    8: lambda image: np.rot90(image, -1),
}
"""An image as stored, from the image as shown, by Exif orientation (CIPA DC-008, 4.6.6)."""


def shown() -> np.ndarray:
    """BGR quarters in four colours: no turn and no mirror image of it is the same."""
    image = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    image[: HEIGHT // 2, : WIDTH // 2] = (0, 0, 255)
    image[: HEIGHT // 2, WIDTH // 2 :] = (0, 255, 0)
    image[HEIGHT // 2 :, : WIDTH // 2] = (255, 0, 0)
    image[HEIGHT // 2 :, WIDTH // 2 :] = 255
    return image


def with_orientation(name: str, orientation: int, image: np.ndarray | None = None) -> bytes:
    """A file of the image, stored so that the orientation shows it upright."""
    stored = np.ascontiguousarray(STORED[orientation](shown() if image is None else image)[..., ::-1])
    file = io.BytesIO()
    exif = Image.Exif()
    exif[0x0112] = orientation
    options = {"tiffinfo": {0x0112: orientation}} if name == "TIFF" else {"exif": exif, "quality": 95}
    Image.fromarray(stored).save(file, name, **options)
    return file.getvalue()


def differs(image: np.ndarray, other: np.ndarray) -> float:
    assert image.shape == other.shape
    return float(np.abs(image.astype(int) - other.astype(int)).mean())


@pytest.mark.parametrize("orientation", STORED)
@pytest.mark.parametrize("name", ["JPEG", "PNG", "WEBP", "TIFF", "AVIF"])
def test_the_same_image_comes_out(name: str, orientation: int) -> None:
    data = with_orientation(name, orientation)
    assert differs(decode_image(data, "x"), shown()) < 12
    assert encoded_size(data, "x") == (HEIGHT, WIDTH)
    assert is_turned(data) == (orientation >= 5)


def exif_tiff(orientation: int) -> bytes:
    return b"II*\0" + struct.pack("<IHHHIHHI", 8, 1, 0x0112, 3, 1, orientation, 0, 0)


def avif_of(image: np.ndarray, orientation: int) -> bytes:
    """An AVIF with the orientation both in Exif and in its boxes, as libavif writes it."""
    exif = np.frombuffer(exif_tiff(orientation), np.uint8)
    ok, data = cv2.imencodeWithMetadata(".avif", image, [cv2.IMAGE_METADATA_EXIF], [exif])
    assert ok
    return data.tobytes()


@pytest.mark.parametrize("orientation", STORED)
def test_an_avif_with_both_orientations_is_turned_once(orientation: int) -> None:
    stored = np.ascontiguousarray(STORED[orientation](shown()))
    data = avif_of(stored, orientation)
    assert b"Exif" in data
    assert differs(decode_image(data, "x"), shown()) < 12


def test_the_boxes_of_an_avif() -> None:
    for orientation, expected in {
        1: [],
        6: [b"irot"],
        8: [b"irot"],
        2: [b"imir"],
        5: [b"irot", b"imir"],
    }.items():
        kinds = [found.kind for found in primary_properties(with_orientation("AVIF", orientation))]
        assert [kind for kind in kinds if kind in (b"irot", b"imir")] == expected


def test_exif_of_an_avif_without_boxes_does_not_count() -> None:
    # 6 in Exif alone: ISO/IEC 23008-12 lets only the boxes turn an image, and browsers do the same.
    data = bytearray(avif_of(shown(), 6))
    irot = data.index(b"irot")
    data[irot + 4] = 0
    assert differs(decode_image(bytes(data), "x"), shown()) < 12


def test_a_cropped_avif_is_refused_by_name() -> None:
    data = with_orientation("AVIF", 6)
    assert data.count(b"irot") == 1
    with pytest.raises(DataError, match=r"a\.avif: an AVIF shown cropped \(clap\).*convert such images"):
        decode_image(data.replace(b"irot", b"clap"), "a.avif")


@pytest.mark.parametrize("cut", [40, 60, 100, 150, 200, 250])
def test_damaged_boxes_of_an_avif_are_an_error(cut: int) -> None:
    data = with_orientation("AVIF", 6)
    with pytest.raises(DataError):
        decode_image(data[:cut], "x")
    with pytest.raises(DataError):
        decode_image(data[:cut] + bytes(len(data) - cut), "x")


@pytest.mark.skipif(sys.platform != "linux", reason="files in memory")
@pytest.mark.parametrize("orientation", STORED)
@pytest.mark.parametrize("name", ["JPEG", "PNG", "TIFF"])
def test_large_images_are_turned_too(name: str, orientation: int, monkeypatch: pytest.MonkeyPatch) -> None:
    large = cv2.resize(shown(), (1600, 1200), interpolation=cv2.INTER_NEAREST)
    data = with_orientation(name, orientation, large)
    header = read_header(data)
    assert header is not None
    # Twice: the first limit leaves no room for a copy, so that the second is that of decoding in place.
    for less in (1, 0):
        monkeypatch.setenv(LIMIT, str(-(-way_to_decode(header, len(data))[1] // 1_000_000) - less))
    assert differs(decode_image(data, "x"), large) < 12


def test_the_turned_case(shared_cases: Path) -> None:
    image = read_image(shared_cases / "data/avif_turned/images/val/a.avif")
    assert image.shape == (120, 160, 3)
    upright = read_image(shared_cases / "data/roboflow_yaml/valid/images/a.jpg")
    assert image[30:80, 20:60].mean() == pytest.approx(upright[30:80, 20:60].mean(), abs=40)
