"""Boxes of an AVIF that say how it is shown: turned, mirrored or cropped (ISO/IEC 23008-12, 14496-12).

OpenCV decodes the pixels as stored and turns them by Exif, which the format's standard says not to do. So the
orientation of Exif is ignored here, as browsers ignore it, and `irot` and `imir` are applied.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from jaxtyping import UInt8

CROP = b"clap"


class Property(NamedTuple):
    """A property of the primary item."""

    kind: bytes
    payload: memoryview


def primary_properties(data: bytes) -> list[Property]:
    """Returns the properties of the primary image in the order in which they apply.

    Raises struct.error or LookupError for damaged boxes.
    """
    meta = dict(boxes(memoryview(data)))[b"meta"][4:]
    inside = dict(boxes(meta))
    (primary,) = struct.unpack_from(">I" if inside[b"pitm"][0] else ">H", inside[b"pitm"], 4)
    shared = dict(boxes(inside[b"iprp"]))
    known = list(boxes(shared[b"ipco"]))
    return [Property(*known[index - 1]) for index in _associations(shared[b"ipma"], primary) if index]


def is_cropped(data: bytes) -> bool:
    """Tells whether the image is shown cropped, which is not supported; False for damaged boxes."""
    try:
        return any(found.kind == CROP for found in primary_properties(data))
    except (struct.error, LookupError):
        return False


def turned(image: UInt8[np.ndarray, "H W 3"], data: bytes) -> UInt8[np.ndarray, "h w 3"]:
    """Returns the decoded image of an AVIF as it is shown; raises as `primary_properties`."""
    for kind, payload in primary_properties(data):
        if kind == b"irot":
            image = np.rot90(image, payload[0] & 3)  # quarters, anticlockwise
        elif kind == b"imir":
            image = image[:, ::-1] if payload[0] & 1 else image[::-1]
    return np.ascontiguousarray(image)


def boxes(data: memoryview) -> Iterator[tuple[bytes, memoryview]]:
    """Yields kind and payload of the boxes side by side in `data`; one that is too long ends the walk."""
    position = 0
    while position + 8 <= len(data):
        size, kind = struct.unpack_from(">I4s", data, position)
        start = position + 8
        if size == 1:
            (size,) = struct.unpack_from(">Q", data, start)
            start += 8
        end = len(data) if size == 0 else position + size
        if not start <= end <= len(data):
            return
        yield kind, data[start:end]
        position = end


def _associations(ipma: memoryview, item: int) -> list[int]:
    """Returns the numbers, from 1, of the properties of an item."""
    version, flags, count = ipma[0], ipma[3], int.from_bytes(ipma[4:8], "big")
    wide, position = 4 if version else 2, 8
    step = 2 if flags & 1 else 1  # the highest bit of each number says that the property is essential
    for _ in range(count):
        owner, num = int.from_bytes(ipma[position : position + wide], "big"), ipma[position + wide]
        start = position + wide + 1
        position = start + num * step
        if owner == item:
            numbers = (int.from_bytes(ipma[at : at + step], "big") for at in range(start, position, step))
            return [number & (0x7FFF if step == 2 else 0x7F) for number in numbers]
    return []
