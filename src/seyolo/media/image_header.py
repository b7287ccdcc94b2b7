"""Size of an image, and the memory that decoding takes, from the header of its file.

A small file can declare billions of pixels. A file whose header is read by none of these readers is not
decoded. The bytes per pixel are what OpenCV takes at most, rounded up (`benchmarks/decode_memory.py`).
"""

from __future__ import annotations

import re
import struct
from collections.abc import Callable
from typing import NamedTuple

from seyolo.media.av1_frames import largest_frame
from seyolo.media.image_format import EXIF_START, PNG_START, exif_orientation, jpeg_segments

_APP1, _START_OF_SCAN = 0xE1, 0xDA
_JPEG_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_JPEG_SEQUENTIAL = frozenset({0xC0, 0xC1})  # decoded line by line when one scan holds all components
_VP8_START_CODE = b"\x9d\x01\x2a"
_VP8L_SIGNATURE = 0x2F
_CODESTREAM = b"\xff\x4f\xff\x51"  # of JPEG 2000
_BETWEEN = rb"(?:\s|#[^\r\n]*[\r\n])*"  # numbers of a PNM
_PNM = re.compile(rb"P[1-6]" + _BETWEEN + rb"(\d{1,10}+)\D" + _BETWEEN + rb"(\d{1,10}+)\D")
_WIDTH, _LENGTH, _BITS, _ORIENTATION, _SAMPLES, _ROWS, _TILE_WIDTH, _TILE_LENGTH = (
    256, 257, 258, 274, 277, 278, 322, 323,
)  # fmt: skip
DNG_VERSION = 50706
_TIFF_TYPES = {1: "B", 3: "H", 4: "I", 6: "b", 8: "h", 9: "i", 16: "Q", 17: "q"}
_MOST_TIFF_ENTRIES = 4096  # libtiff reads no directory of more


class Header(NamedTuple):
    """Size of an image as stored, and what decoding takes beside the file."""

    kind: str
    height: int
    width: int
    num_bytes: int  # memory of the decoder with its result
    is_turned: bool = False  # Exif orientation by a quarter, which swaps height and width

    @property
    def num_pixels(self) -> int:
        return self.height * self.width


def read_header(data: bytes) -> Header | None:
    """Reads the header of an image file; returns None where it is of no known format."""
    for start, read in _READERS:
        if data.startswith(start):
            try:
                header = read(data)
            except (struct.error, LookupError, ValueError, OverflowError):
                return None
            return header if header and min(header.height, header.width) > 0 else None
    return None


def header_size(data: bytes) -> tuple[int, int] | None:
    """Returns (height, width) in pixels from the header of a JPEG or PNG; None when only decoding tells."""
    header = read_header(data)
    if header is None or header.kind not in {"JPEG", "PNG"} or (header.kind == "PNG" and b"eXIf" in data):
        return None
    return (header.width, header.height) if header.is_turned else (header.height, header.width)


def _header(kind: str, height: int, width: int, bytes_per_pixel: float) -> Header:
    return Header(kind, height, width, round(height * width * bytes_per_pixel))


def _jpeg(data: bytes) -> Header | None:
    orientation, frame, sequential, components = 1, b"", False, b""
    for marker, start, end in jpeg_segments(data):
        if marker == _APP1 and data.startswith(EXIF_START, start):
            orientation = exif_orientation(data[start + len(EXIF_START) : end])
        elif marker in _JPEG_FRAMES and not frame:
            frame, components = data[start:end], data[start + 7 : end : 3]
            sequential = marker in _JPEG_SEQUENTIAL
        elif marker == _START_OF_SCAN:
            sequential = sequential and data[start] >= len(components)
            break
    if len(frame) < 5:
        return None
    height, width = struct.unpack_from(">HH", frame, 1)
    areas = [(factors >> 4) * (factors & 15) for factors in components] or [1]
    coefficients = 0 if sequential else 2 * sum(areas) / max(1, *areas)
    header = _header("JPEG", height, width, 3 + max(coefficients, 3 * (orientation >= 5)))
    return header._replace(is_turned=orientation >= 5)


def _png(data: bytes) -> Header | None:
    if data[12:16] != b"IHDR":
        return None
    width, height = struct.unpack_from(">II", data, 16)
    return _header("PNG", height, width, 12 if b"acTL" in data else 6 if b"eXIf" in data else 3)


def _webp(data: bytes) -> Header | None:
    """Reads the first chunk: the canvas of VP8X, the frame of VP8L or VP8 (RFC 9649)."""
    if data[8:12] != b"WEBP" or len(data) < 30:
        return None
    if data[12:16] == b"VP8X":
        height, width = (1 + int.from_bytes(data[at : at + 3], "little") for at in (27, 24))
        return _header("WebP", height, width, 12 if data[20] & 2 else 9)
    if data[12:16] == b"VP8L" and data[20] == _VP8L_SIGNATURE:
        sides = int.from_bytes(data[21:25], "little")
        return _header("WebP", 1 + (sides >> 14 & 0x3FFF), 1 + (sides & 0x3FFF), 9)
    if data[12:16] == b"VP8 " and data[23:26] == _VP8_START_CODE:
        width, height = (side & 0x3FFF for side in struct.unpack_from("<HH", data, 26))
        return _header("WebP", height, width, 9)
    return None


def _bmp(data: bytes) -> Header:
    size = int.from_bytes(data[14:18], "little")
    width, height = struct.unpack_from("<HH" if size == 12 else "<ii", data, 18)
    return _header("BMP", abs(height), abs(width), 3)


def _pnm(data: bytes) -> Header | None:
    """Reads a PBM, PGM or PPM, and no PAM (P7), whose red and blue OpenCV exchanges."""
    match = _PNM.match(data)
    if match is None:
        return None
    width, height = map(int, match.groups())
    return _header("PNM", height, width, 3)


def _gif(data: bytes) -> Header:
    width, height = struct.unpack_from("<HH", data, 6)
    return _header("GIF", height, width, 9)


def _tiff(data: bytes) -> Header:
    """Reads the first directory of a TIFF or BigTIFF; strips and tiles are decoded as a whole."""
    tags = tiff_tags(data)
    height, width = tags[_LENGTH], tags[_WIDTH]
    rows = tags.get(_ROWS, height)
    piece = width * min(rows, height)
    if _TILE_WIDTH in tags or _TILE_LENGTH in tags:
        piece = tags[_TILE_WIDTH] * tags[_TILE_LENGTH]
    samples = tags.get(_SAMPLES, 1) * -(-tags.get(_BITS, 1) // 8)
    is_turned = tags.get(_ORIENTATION, 1) >= 5
    header = _header("TIFF", height, width, 6 if is_turned else 3)
    num_bytes = header.num_bytes + max(0, piece) * (4 + 2 * samples)
    return header._replace(num_bytes=num_bytes, is_turned=is_turned)


def tiff_tags(data: bytes) -> dict[int, int]:
    """Returns the first value of each tag that holds whole numbers; of a repeated tag the first counts."""
    order = "<" if data.startswith(b"II") else ">"
    counts, offsets, position = ("Q", "Q", 8) if 43 in data[2:4] else ("H", "I", 4)
    (directory,) = struct.unpack_from(order + offsets, data, position)
    (num_entries,) = struct.unpack_from(order + counts, data, directory)
    entry = struct.Struct(f"{order}HH{offsets}")
    first, inline = directory + struct.calcsize(counts), struct.calcsize(offsets)
    tags: dict[int, int] = {}
    for at in range(
        first, first + min(num_entries, _MOST_TIFF_ENTRIES) * (entry.size + inline), entry.size + inline
    ):
        tag, kind, count = entry.unpack_from(data, at)
        if kind in _TIFF_TYPES and tag not in tags:
            where = at + entry.size
            if count * struct.calcsize(_TIFF_TYPES[kind]) > inline:
                (where,) = struct.unpack_from(order + offsets, data, where)
            (tags[tag],) = struct.unpack_from(order + _TIFF_TYPES[kind], data, where)
    return tags


def _avif(data: bytes) -> Header | None:
    """Reads the sizes of all items of an AVIF, and of the frames in them: the largest counts."""
    sizes = [struct.unpack_from(">II", data, match.end() + 4) for match in re.finditer(b"ispe", data)]
    if not sizes or not {b"avif", b"avis"} & {data[at : at + 4] for at in range(8, 500, 4)}:
        return None
    width, height = max(sizes, key=lambda size: size[0] * size[1])
    bytes_per_pixel = 44 if b":alpha" in data else 24
    num_pixels = max(height * width, largest_frame(data))
    return Header("AVIF", height, width, num_pixels * bytes_per_pixel)


def _jpeg_2000(data: bytes) -> Header:
    """Reads the largest codestream of a JPEG 2000; a palette makes up to 255 components of one."""
    found = (struct.unpack_from(">4I16xH", data, match.end() + 4) for match in re.finditer(_CODESTREAM, data))
    width, height, left, top, components = max(found, key=lambda size: size[0] * size[1] * size[4])
    components = 255 if b"pclr" in data else components
    return _header("JPEG 2000", height - top, width - left, 4 + 5 * components)


_READERS: tuple[tuple[bytes | tuple[bytes, ...], Callable[[bytes], Header | None]], ...] = (
    (b"\xff\xd8", _jpeg),
    (PNG_START, _png),
    (b"RIFF", _webp),
    (b"BM", _bmp),
    (tuple(b"P%d" % number for number in range(1, 7)), _pnm),
    ((b"GIF87a", b"GIF89a"), _gif),
    ((b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"), _tiff),
    ((b"\0\0\0\x0cjP  \r\n\x87\n", _CODESTREAM), _jpeg_2000),
    (tuple(bytes(3) + bytes([size]) + b"ftyp" for size in range(16, 256, 4)), _avif),
)
