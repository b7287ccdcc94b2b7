"""Reading images whole, and finding them."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest

from seyolo.errors import DataError
from seyolo.media.images import decode_image, find_images, image_size, is_image, read_image


def noise(height: int = 40, width: int = 60) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)


def encoded(ending: str, image: np.ndarray | None = None, *options: int) -> bytes:
    ok, data = cv2.imencode(ending, noise() if image is None else image, list(options))
    assert ok
    return data.tobytes()


def exif_with_thumbnail(orientation: int) -> bytes:
    """An APP1 segment: little-endian TIFF with one entry, the orientation; then a whole small JPEG."""
    entry = b"\x12\x01\x03\x00\x01\x00\x00\x00" + bytes([orientation, 0, 0, 0])
    tiff = b"II*\x00\x08\x00\x00\x00" + b"\x01\x00" + entry + b"\x00\x00\x00\x00"
    payload = b"Exif\x00\x00" + tiff + encoded(".jpg", noise(8, 8))
    return b"\xff\xe1" + (len(payload) + 2).to_bytes(2, "big") + payload


@pytest.mark.parametrize("ending", [".png", ".bmp", ".webp", ".tif", ".ppm"])
def test_lossless_kinds_come_back_exactly(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"image{ending}"
    path.write_bytes(encoded(ending, None, *([cv2.IMWRITE_WEBP_QUALITY, 101] if ending == ".webp" else [])))
    np.testing.assert_array_equal(read_image(path), noise())


def test_grey_and_transparent_images_become_bgr() -> None:
    grey = encoded(".png", noise()[..., 0])
    np.testing.assert_array_equal(decode_image(grey, "grey"), np.repeat(noise()[..., :1], 3, axis=2))
    transparent = np.dstack([noise(), np.full((40, 60), 9, np.uint8)])
    np.testing.assert_array_equal(decode_image(encoded(".png", transparent), "alpha"), noise())


@pytest.mark.parametrize(
    "options", [(), (cv2.IMWRITE_JPEG_PROGRESSIVE, 1), (cv2.IMWRITE_JPEG_RST_INTERVAL, 2)]
)
@pytest.mark.parametrize("thumbnail", [False, True])
@pytest.mark.parametrize("missing", [2, 3, 50, 0.3, 0.9])
def test_truncated_jpeg(options: tuple[int, ...], thumbnail: bool, missing: float) -> None:
    data = encoded(".jpg", None, *options)
    if thumbnail:
        data = data[:2] + exif_with_thumbnail(1) + data[2:]
    assert decode_image(data, "whole.jpg").shape == (40, 60, 3)
    cut = missing if missing >= 1 else int(len(data) * missing)
    with pytest.raises(DataError, match=r"cut\.jpg: the image is truncated"):
        decode_image(data[: len(data) - int(cut)], "cut.jpg")


@pytest.mark.parametrize("ending", [".png", ".bmp", ".webp"])
@pytest.mark.parametrize("missing", [1, 12, 200])
def test_other_truncated_images(ending: str, missing: int) -> None:
    with pytest.raises(DataError, match=r"cut: the image is truncated"):
        decode_image(encoded(ending)[:-missing], "cut")


@pytest.mark.parametrize("ending", [".tif", ".ppm"])
def test_kinds_without_an_end_mark_are_refused_by_their_decoders(ending: str) -> None:
    data = encoded(ending)
    with pytest.raises(DataError, match=r"cut: not an image, or a damaged one"):
        decode_image(data[: len(data) // 2], "cut")


@pytest.mark.parametrize("ending", [".jpg", ".png"])
def test_bytes_after_the_end_do_not_matter(ending: str) -> None:
    data = encoded(ending)
    assert decode_image(data + b"\0" * 100 + b"a phone's video", "long").shape == (40, 60, 3)


def test_exif_orientation_turns_the_image() -> None:
    data = encoded(".jpg")
    turned = decode_image(data[:2] + exif_with_thumbnail(6) + data[2:], "turned.jpg")
    # 6: the camera was turned, the image has to be turned clockwise by a quarter.
    np.testing.assert_array_equal(turned, np.rot90(decode_image(data, "plain.jpg"), k=-1))


def test_a_missing_image_an_empty_one_a_folder_and_text(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no\.jpg: there is no such image"):
        read_image(tmp_path / "no.jpg")
    with pytest.raises(DataError, match="is a folder"):
        read_image(tmp_path)
    (tmp_path / "empty.jpg").touch()
    with pytest.raises(DataError, match=r"empty\.jpg: the image is empty"):
        read_image(tmp_path / "empty.jpg")
    (tmp_path / "text.jpg").write_text("<html>404</html>")
    with pytest.raises(DataError, match=r"text\.jpg: not an image"):
        read_image(tmp_path / "text.jpg")
    with pytest.raises(DataError, match=r"text\.jpg: not an image"):
        image_size(tmp_path / "text.jpg")


def test_the_size_of_a_truncated_image_is_still_known(tmp_path: Path) -> None:
    (tmp_path / "cut.jpg").write_bytes(encoded(".jpg")[:-50])
    assert image_size(tmp_path / "cut.jpg") == (40, 60)


def test_names_of_images() -> None:
    assert is_image("a/b.JPG")
    assert is_image(Path("x.tiff"))
    assert not is_image("notes.txt")
    assert not is_image(".jpg")


def test_shared_photos_are_whole(shared_data: Path) -> None:
    for path in find_images([shared_data / "darknet" / "images"]):
        np.testing.assert_array_equal(read_image(path), cv2.imread(str(path)))


@pytest.fixture
def album(tmp_path: Path) -> Path:
    for name in ("b.jpg", "a.PNG", "notes.txt", ".hidden.jpg", "deep/c.jpeg"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    return tmp_path


def names_of(paths: list[Path], album: Path) -> list[str]:
    return [path.relative_to(album).as_posix() for path in paths]


def test_folders_files_and_patterns(album: Path) -> None:
    assert names_of(find_images([album]), album) == ["a.PNG", "b.jpg"]
    assert names_of(find_images([str(album / "**" / "*")]), album) == ["a.PNG", "b.jpg", "deep/c.jpeg"]
    assert names_of(find_images([album / "deep", album / "b.jpg", album]), album) == [
        "deep/c.jpeg",
        "b.jpg",
        "a.PNG",
    ]


def test_a_file_whose_name_looks_like_a_pattern(tmp_path: Path) -> None:
    (tmp_path / "hand[1].jpg").touch()
    assert find_images([tmp_path / "hand[1].jpg"]) == [tmp_path / "hand[1].jpg"]


def test_what_names_no_image_is_an_error(album: Path) -> None:
    with pytest.raises(DataError, match=r"gone: there is no such image or folder"):
        find_images([album / "gone"])
    with pytest.raises(DataError, match=r"notes\.txt: not an image by its name"):
        find_images([album / "notes.txt"])
    with pytest.raises(DataError, match=r"\*\.gif: no image matches this pattern"):
        find_images([str(album / "*.gif")])
    with pytest.raises(DataError, match="no images given"):
        find_images([])
    (album / "bare").mkdir()
    with pytest.raises(DataError, match=r"bare: no images in this folder.*bare/\*\*/\*"):
        find_images([album / "bare"])


def png_header(width: int, height: int, extra: bytes = b"") -> bytes:
    """A PNG whose header promises a size and whose pixels are a few zeros."""

    def chunk(kind: bytes, payload: bytes) -> bytes:
        return (
            struct.pack(">I", len(payload)) + kind + payload + struct.pack(">I", zlib.crc32(kind + payload))
        )

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    pixels = chunk(b"IDAT", zlib.compress(bytes(99)))
    return b"\x89PNG\r\n\x1a\n" + header + extra + pixels + chunk(b"IEND", b"")


@pytest.mark.parametrize("extra", [b"", struct.pack(">I", 0) + b"eXIf" + bytes(4)])
@pytest.mark.parametrize(("side", "millions"), [(60_000, "3,600"), (20_000, "400")])
def test_a_decompression_bomb_is_not_decoded(side: int, millions: str, extra: bytes) -> None:
    with pytest.raises(DataError, match=rf"bomb\.png: the image has {millions} million pixels") as caught:
        decode_image(png_header(side, side, extra), "bomb.png")
    assert "\n" not in str(caught.value)


def test_a_bomb_of_a_jpeg() -> None:
    data = bytearray(encoded(".jpg"))
    frame = data.index(b"\xff\xc0")
    data[frame + 5 : frame + 9] = struct.pack(">HH", 60_000, 60_000)
    with pytest.raises(DataError, match="3,600 million pixels"):
        decode_image(bytes(data), "bomb.jpg")
