"""Completeness of an image file from its bytes, without decoding, and the segments of a JPEG.

Decoders differ on truncated files (many fill the rest with grey), so truncation is found from the file's
structure: end marker of JPEG, chunks of PNG, declared length of WebP and BMP.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator

PNG_START = b"\x89PNG\r\n\x1a\n"
EXIF_START = b"Exif\0\0"

_JPEG_START = b"\xff\xd8"
_JPEG_END_OF_IMAGE = 0xD9
# TEM and the restart markers have no length; they are skipped, as in decoders.
_JPEG_MARKER = re.compile(rb"\xff[^\x00\x01\xd0-\xd7\xff]")
_EXIF_ORIENTATION = 0x0112


def is_complete(data: bytes) -> bool:
    """Tells whether the image is complete; bytes after its end do not matter.

    Checks JPEG, PNG, WebP and BMP. Other kinds count as complete unless they are empty: their decoders refuse
    truncated files.
    """
    if data.startswith(_JPEG_START):
        return any(marker == _JPEG_END_OF_IMAGE for marker, _, _ in jpeg_segments(data))
    if data.startswith(PNG_START):
        position = len(PNG_START)
        while position + 12 <= len(data) and data[position + 4 : position + 8] != b"IEND":
            position += 12 + int.from_bytes(data[position : position + 4], "big")
        return position + 12 <= len(data)
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return len(data) >= 8 + int.from_bytes(data[4:8], "little")
    if data[:2] == b"BM" and len(data) >= 6:
        return len(data) >= int.from_bytes(data[2:6], "little")
    return len(data) > 0


def jpeg_segments(data: bytes) -> Iterator[tuple[int, int, int]]:
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


def exif_orientation(tiff: bytes) -> int:
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
