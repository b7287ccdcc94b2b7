"""Size and completeness of an image file from its bytes, without decoding.

Sizes are those of the image as OpenCV decodes it: an Exif orientation that rotates the image by a quarter
swaps height and width. Decoders differ on truncated files (many fill the rest with grey), so truncation is
found from the file's structure: end marker of JPEG, chunks of PNG, declared length of WebP and BMP.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator

_JPEG_START = b"\xff\xd8"
_PNG_START = b"\x89PNG\r\n\x1a\n"
_JPEG_END_OF_IMAGE, _JPEG_START_OF_SCAN, _JPEG_APP1 = 0xD9, 0xDA, 0xE1
_JPEG_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
# TEM and the restart markers have no length; they are skipped, as in decoders.
_JPEG_MARKER = re.compile(rb"\xff[^\x00\x01\xd0-\xd7\xff]")
_EXIF_ORIENTATION = 0x0112
_VP8_START_CODE = b"\x9d\x01\x2a"
_VP8L_SIGNATURE = 0x2F


def header_size(data: bytes) -> tuple[int, int] | None:
    """Returns (height, width) in pixels from the header of a JPEG or PNG; None when only decoding tells."""
    return _jpeg_size(data) or (None if b"eXIf" in data else _png_stored_size(data))  # eXIf may rotate a PNG


def num_pixels(data: bytes) -> int | None:
    """Returns width times height from the header of a JPEG, PNG or WebP; None for everything else.

    A small file can hold a huge image; the number of pixels serves to refuse it before it is decoded.
    """
    size = _jpeg_size(data) or _png_stored_size(data) or _webp_stored_size(data)
    return None if size is None else size[0] * size[1]


def is_complete(data: bytes) -> bool:
    """Tells whether the image is complete; bytes after its end do not matter.

    Checks JPEG, PNG, WebP and BMP. Other kinds count as complete unless they are empty: their decoders refuse
    truncated files.
    """
    if data.startswith(_JPEG_START):
        return any(marker == _JPEG_END_OF_IMAGE for marker, _, _ in _jpeg_segments(data))
    if data.startswith(_PNG_START):
        position = len(_PNG_START)
        while position + 12 <= len(data) and data[position + 4 : position + 8] != b"IEND":
            position += 12 + int.from_bytes(data[position : position + 4], "big")
        return position + 12 <= len(data)
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return len(data) >= 8 + int.from_bytes(data[4:8], "little")
    if data[:2] == b"BM" and len(data) >= 6:
        return len(data) >= int.from_bytes(data[2:6], "little")
    return len(data) > 0


def _jpeg_segments(data: bytes) -> Iterator[tuple[int, int, int]]:
    """Yields (marker, payload start, payload end) up to the end of image or file (ITU-T T.81, annex B).

    The walk uses the lengths of the segments, since one may hold a thumbnail, a whole JPEG with its own end.
    A segment that is longer than the rest of the file is left out.
    """
    position = 2
    while (found := _JPEG_MARKER.search(data, position)) is not None:
        marker, start = data[found.end() - 1], found.end()
        if marker == _JPEG_END_OF_IMAGE:
            yield marker, start, start
            return
        end = start + int.from_bytes(data[start : start + 2], "big")
        if end < start + 2 or end > len(data):
            return
        yield marker, start + 2, end
        position = end


def _jpeg_size(data: bytes) -> tuple[int, int] | None:
    if not data.startswith(_JPEG_START):
        return None
    orientation = 1
    for marker, start, end in _jpeg_segments(data):
        if marker == _JPEG_APP1 and data[start : start + 6] == b"Exif\0\0":
            orientation = _exif_orientation(data[start + 6 : end])
        if marker in _JPEG_FRAMES and end - start >= 5:
            height, width = struct.unpack_from(">HH", data, start + 1)
            size = (width, height) if orientation >= 5 else (height, width)
            return size if height and width else None
        if marker == _JPEG_START_OF_SCAN:
            return None
    return None


def _exif_orientation(tiff: bytes) -> int:
    """Returns the orientation tag (1-8) of the first TIFF directory, 1 where there is none."""
    order = {b"II": "<", b"MM": ">"}.get(tiff[:2])
    if order is None or len(tiff) < 8:
        return 1
    (directory,) = struct.unpack_from(f"{order}I", tiff, 4)
    if directory + 2 > len(tiff):
        return 1
    (num_entries,) = struct.unpack_from(f"{order}H", tiff, directory)
    for entry in range(directory + 2, min(directory + 2 + 12 * num_entries, len(tiff) - 11), 12):
        tag, _, _, value = struct.unpack_from(f"{order}HHIH", tiff, entry)
        if tag == _EXIF_ORIENTATION:
            return value if 1 <= value <= 8 else 1
    return 1


def _png_stored_size(data: bytes) -> tuple[int, int] | None:
    if not data.startswith(_PNG_START) or data[12:16] != b"IHDR" or len(data) < 24:
        return None
    width, height = struct.unpack_from(">II", data, 16)
    return (height, width) if height and width else None


def _webp_stored_size(data: bytes) -> tuple[int, int] | None:
    """Returns the size in the first chunk: the canvas of VP8X, the frame of VP8L or VP8 (RFC 9649)."""
    if data[:4] != b"RIFF" or data[8:12] != b"WEBP" or len(data) < 30:
        return None
    kind = data[12:16]
    if kind == b"VP8X":
        return 1 + int.from_bytes(data[27:30], "little"), 1 + int.from_bytes(data[24:27], "little")
    if kind == b"VP8L" and data[20] == _VP8L_SIGNATURE:
        sides = int.from_bytes(data[21:25], "little")
        return 1 + (sides >> 14 & 0x3FFF), 1 + (sides & 0x3FFF)
    if kind == b"VP8 " and data[23:26] == _VP8_START_CODE:
        width, height = (side & 0x3FFF for side in struct.unpack_from("<HH", data, 26))
        return (height, width) if height and width else None
    return None
