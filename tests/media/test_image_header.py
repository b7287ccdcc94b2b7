"""Headers of every format against OpenCV's decoder, and images that would take too much memory."""

from __future__ import annotations

import io
import struct
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import cv2
import numpy as np
import pytest
from PIL import Image

from helpers.script_module import load_script
from seyolo.data.check import check_dataset
from seyolo.data.datasets import load_dataset
from seyolo.errors import DataError, UsageError
from seyolo.media import av1_frames
from seyolo.media.av1_frames import largest_frame
from seyolo.media.image_header import Header, read_header
from seyolo.media.images import (
    DEFAULT_LIMIT_MB,
    LIMIT,
    ImageTooLargeError,
    decode_image,
    read_image,
    way_to_decode,
)


def load_makers() -> ModuleType:
    """The benchmark, whose images of every format serve here."""
    path = Path(__file__).parents[2] / "benchmarks" / "decode_memory.py"
    return load_script(path)


makers = load_makers()


def header_of(data: bytes) -> Header:
    header = read_header(data)
    assert header is not None
    return header


@pytest.mark.parametrize("name", makers.CASES)
def test_headers_agree_with_opencv(name: str) -> None:
    data = makers.CASES[name](70, 94)
    image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    assert image is not None
    header = header_of(data)
    shown = (header.width, header.height) if header.is_turned else (header.height, header.width)
    assert image.shape[:2] == shown
    assert header.num_bytes >= 3 * image.size / 3
    np.testing.assert_array_equal(decode_image(data, "x"), image)


@pytest.mark.parametrize("name", makers.CASES)
def test_a_cut_header_is_an_error(name: str) -> None:
    data = makers.CASES[name](70, 94)
    for end in (0, 1, 3, 8, 13, 20):
        with pytest.raises(DataError):
            decode_image(data[:end], "cut")


def test_offsets_beyond_any_file() -> None:
    for mark, form in (
        (b"II*\0", "<I"),
        (b"MM\0*", ">I"),
        (b"II+\0\x08\0\0\0", "<Q"),
        (b"MM\0+\0\x08\0\0", ">Q"),
    ):
        data = mark + b"\xff" * struct.calcsize(form) + bytes(99)
        with pytest.raises(DataError, match="not an image, or a damaged one"):
            decode_image(data, "x")


def with_sides(data: bytes, sides: tuple[int, int], form: str, new: tuple[int, int]) -> bytes:
    """Replaces width and height wherever they stand next to each other."""
    assert struct.pack(form, *sides) in data
    return data.replace(struct.pack(form, *sides), struct.pack(form, *new))


def tiff_of(tags: dict[int, list[int]], big: bool = False) -> bytes:
    basic = {258: [8] * 3, 259: [1], 262: [2], 273: [8], 277: [3], 279: [9]}
    data: bytes = makers._tiff_file(bytes(16), basic | tags, big)
    return data


def huge_images() -> dict[str, bytes]:
    """Headers that declare billions of pixels, and hardly a byte of them."""
    small = {name: make(32, 48) for name, make in makers.CASES.items()}
    sides = (48, 32)
    large = (60_000, 50_000)
    tiff = tiff_of({256: [60_000], 257: [50_000], 278: [50_000]})
    return {
        "JPEG": with_sides(small["JPEG"], (32, 48), ">HH", (50_000, 60_000)),
        "PNG": with_sides(small["PNG 8 bit RGB"], sides, ">II", large),
        "AVIF": with_sides(small["AVIF 8 bit"], sides, ">II", large),
        "JPEG 2000": with_sides(small["JPEG 2000"], sides, ">II", large),
        "GIF": with_sides(small["GIF"], sides, "<HH", large),
        "BMP": with_sides(small["BMP 24 bit"], (48, -32), "<ii", (60_000, -50_000)),
        "BMP upright": with_sides(small["BMP 24 bit"], (48, -32), "<ii", (60_000, 50_000)),
        "BMP of OS/2": b"BM" + struct.pack("<IHHIIHHHH", 0, 0, 0, 26, 12, *large, 1, 24),
        "PPM": b"P6 # 1 1\n60000 # 1 1\n50000 255\n",
        "PBM": b"P1\n60000 50000\n",
        "PGM with another byte between": b"P5\n60000#50000\x80255\n",
        "WebP": b"RIFF\x16\0\0\0WEBPVP8X\x0a\0\0\0" + bytes(4) + b"\xff\xff\0\xff\xff\0" + bytes(9),
        "TIFF": tiff,
        "TIFF of other types": _as_shorts(tiff),
        "TIFF of the other byte order": b"MM\0*" + struct.pack(">IH", 8, 2) + b"".join(
            struct.pack(">HHII", tag, 4, 1, value) for tag, value in ((256, 60_000), (257, 50_000))
        ) + bytes(4),
        "BigTIFF": tiff_of({256: [60_000], 257: [50_000], 278: [50_000]}, big=True),
        "TIFF of one large tile": tiff_of({256: [48], 257: [32], 322: [32_768], 323: [32_768], 324: [8]}),
    }  # fmt: skip


def _as_shorts(tiff: bytes) -> bytes:
    """The same with its sides as SHORT."""
    for tag, value in ((256, 60_000), (257, 50_000)):
        tiff = tiff.replace(
            struct.pack("<HHII", tag, 4, 1, value), struct.pack("<HHIHH", tag, 3, 1, value, 0)
        )
    return tiff


@pytest.mark.parametrize("name", huge_images())
def test_a_declared_size_is_refused_in_every_format(name: str) -> None:
    data = huge_images()[name]
    limit = rf"the limit is 512 MB; {LIMIT}=\d+ in the environment allows it"
    with pytest.raises(ImageTooLargeError, match=rf"x: the image has .* million pixels.*{limit}"):
        decode_image(data, "x")


@pytest.mark.parametrize("start", [b"#?RADIANCE\n", b"PF\n9 9\n", b"\x59\xa6\x6a\x95", b"v/1\x01"])
def test_a_format_without_a_reader_is_not_decoded(start: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cv2, "imdecode", lambda *_: pytest.fail("decoded"))
    with pytest.raises(DataError, match="not an image, or a damaged one"):
        decode_image(start + bytes(99), "x")


def test_the_limit_can_be_raised_and_lowered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(makers.png(8, 2, False, 500, 800))
    assert read_image(path).shape == (500, 800, 3)
    monkeypatch.setenv(LIMIT, "1")
    with pytest.raises(
        DataError, match=r"a\.png: the image has 0 million pixels.* 2 MB.*limit is 1 MB.*=2 in"
    ):
        read_image(path)
    monkeypatch.setenv(LIMIT, "2")  # what the message says; in place, since a copy does not fit
    assert read_image(path).shape == (500, 800, 3)
    for wrong in ("", "-1", "x", "1.5", "²"):
        monkeypatch.setenv(LIMIT, wrong)
        with pytest.raises(UsageError, match=f"{LIMIT}={wrong}: expected a whole number of megabytes"):
            read_image(path)


def test_a_large_file_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with (tmp_path / "a.jpg").open("wb") as file:
        file.truncate(600_000_000)  # takes no space
    monkeypatch.setattr(Path, "read_bytes", lambda _: pytest.fail("read"))
    with pytest.raises(
        ImageTooLargeError, match=r"a\.jpg: its file takes 600 MB of memory, the limit is 512 MB"
    ):
        read_image(tmp_path / "a.jpg")


def test_a_data_set_names_an_image_that_is_too_large(tmp_path: Path) -> None:
    (tmp_path / "data.yaml").write_text("path: .\ntrain: .\nnames: [hand]\n")
    (tmp_path / "a.tif").write_bytes(huge_images()["TIFF"])
    (tmp_path / "a.txt").touch()  # an image without objects
    (problem,) = check_dataset(load_dataset(tmp_path / "data.yaml")).problems
    assert problem.file == str(tmp_path / "a.tif")
    assert "the image has 3,000 million pixels" in problem.text


@pytest.mark.skipif(sys.platform != "linux", reason="files in memory")
@pytest.mark.parametrize("name", ["JPEG", "PNG 16 bit RGBA", "TIFF strips"])
def test_decoding_in_place_gives_the_same(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    data = makers.CASES[name](600, 900)
    expected = decode_image(data, "x")
    monkeypatch.setenv(LIMIT, str(-(-way_to_decode(header_of(data), len(data))[1] // 1_000_000) - 1))
    monkeypatch.setattr(cv2, "imdecode", lambda *_: pytest.fail("decoded from memory"))
    np.testing.assert_array_equal(decode_image(data, "x"), expected)


@pytest.mark.skipif(sys.platform != "linux", reason="files in memory")
def test_photos_of_real_cameras_are_let_in_by_default() -> None:
    for height, width, file_mb in [(8736, 11648, 60), (6336, 9504, 40), (9248, 6944, 30)]:
        header = Header("JPEG", height, width, 3 * height * width)
        assert way_to_decode(header, file_mb * 1_000_000)[1] <= DEFAULT_LIMIT_MB * 1_000_000


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize(
    "name", ["JPEG", "JPEG progressive CMYK", "PNG animated", "TIFF 16 bit not packed", "WebP lossless alpha"]
)
def test_the_largest_image_takes_no_more_than_the_limit(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(LIMIT, "128")
    data = makers.largest(makers.CASES[name])
    megabytes, height, width = makers.measured_mb(data)
    assert megabytes <= 128 + 4
    assert height * width > 5e6


def test_the_benchmark_prints_a_table() -> None:
    command = [sys.executable, makers.__file__, "--megabytes", "20", "BMP"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert [row.split("|")[1].strip() for row in done.stdout.splitlines()[2:]] == [
        "BMP 8 bit",
        "BMP 24 bit",
        "BMP 32 bit",
    ]


def test_a_pam_is_refused_since_opencv_exchanges_its_red_and_blue() -> None:
    pixels = np.arange(48, dtype=np.uint8).reshape(4, 4, 3)
    head = b"P7\nWIDTH 4\nHEIGHT 4\nDEPTH 3\nMAXVAL 255\nTUPLTYPE RGB\nENDHDR\n"
    with pytest.raises(DataError, match=r"x\.ppm: not an image"):
        decode_image(head + pixels.tobytes(), "x.ppm")


@pytest.mark.parametrize("name", [name for name in makers.CASES if name.startswith("AVIF")])
@pytest.mark.parametrize("size", [(70, 94), (400, 600), (1080, 1920)])
def test_the_frames_of_an_avif_are_counted(name: str, size: tuple[int, int]) -> None:
    data = makers.CASES[name](*size)
    assert largest_frame(data) == size[0] * size[1]
    # Boxes that state less do not lower what decoding takes.
    smaller = with_sides(data, size[::-1], ">II", (16, 16))
    assert header_of(smaller).num_bytes == header_of(data).num_bytes


def test_an_avif_whose_frames_are_larger_than_its_boxes_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    data = with_sides(makers.CASES["AVIF 8 bit"](1080, 1920), (1920, 1080), ">II", (16, 16))
    monkeypatch.setenv(LIMIT, "40")
    monkeypatch.setattr(cv2, "imdecode", lambda *_: pytest.fail("decoded"))
    with pytest.raises(
        ImageTooLargeError, match=r"decoding this AVIF takes 5\d MB of memory, the limit is 40 MB"
    ):
        decode_image(data, "x")


def test_the_frames_of_an_animated_avif() -> None:
    file = io.BytesIO()
    frames = [Image.new("RGB", (96, 64), (60 * number, 0, 0)) for number in range(3)]
    frames[0].save(file, "AVIF", save_all=True, append_images=frames[1:])
    data = file.getvalue()
    assert largest_frame(data) == 96 * 64
    assert largest_frame(data.replace(b"iloc", b"free")) == 96 * 64  # by the chunks of the track


def sequence_header(*fields: tuple[int, int]) -> bytes:
    """An item of AV1: a sequence header of these (bits, value) fields."""
    text = "".join(f"{value:0{bits}b}" for bits, value in fields)
    payload = int(text.ljust(-(-len(text) // 8) * 8, "0"), 2).to_bytes(-(-len(text) // 8), "big")
    return b"\x12\0" + bytes([0x0A, len(payload)]) + payload


SIDES = ((4, 12), (4, 11), (13, 4999), (12, 2999))


@pytest.mark.parametrize(
    "fields",
    [
        [(5, 0b00011), (5, 8)],  # reduced
        [(5, 0), (1, 0), (1, 0), (5, 0), (12, 0), (5, 8), (1, 0)],
        [(5, 0), (1, 0), (1, 1), (5, 1), (12, 0), (5, 3), (1, 1), (4, 9), (12, 0), (5, 9), (1, 1), (1, 0)],
        [(5, 0), (1, 1), (64, 7), (1, 1), (2, 0), (1, 1), (2, 3), (1, 1), (5, 9), (42, 5), (1, 0),
         (5, 0), (12, 0), (5, 4), (1, 1), (21, 5)],
    ],
)  # fmt: skip
def test_sequence_headers_worked_by_hand(fields: list[tuple[int, int]]) -> None:
    stream = sequence_header(*fields, *SIDES)
    assert av1_frames._largest_of(memoryview(stream)) == 5000 * 3000
    for end in range(len(stream) - 1):
        assert av1_frames._largest_of(memoryview(stream[:end])) in (0, 5000 * 3000)


def box(kind: bytes, payload: bytes) -> bytes:
    return struct.pack(">I4s", 8 + len(payload), kind) + payload


def test_items_that_repeat_the_file_are_refused() -> None:
    extents = (
        struct.pack(">H", 5000) + struct.pack(">II", 0, 0) * 5000
    )  # each from the first byte to the last
    iloc = box(b"iloc", bytes(4) + struct.pack(">HHHH", 0x4400, 1, 1, 0) + extents)
    data = box(b"ftyp", b"avif" + bytes(4)) + box(
        b"meta", bytes(4) + iloc + box(b"ispe", bytes(4) + bytes(8))
    )
    with pytest.raises(LookupError, match="larger than the file"):
        largest_frame(data)
    with pytest.raises(DataError, match="not an image, or a damaged one"):
        decode_image(data, "x")


def test_what_is_no_av1_has_no_frames() -> None:
    for stream in (b"", b"\xff" * 40, b"Exif\0\0", bytes(40), b"\x0a\xff\xff\xff", b"\x12" * 40):
        assert av1_frames._largest_of(memoryview(stream)) == 0
