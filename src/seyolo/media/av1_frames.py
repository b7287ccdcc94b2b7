"""Largest frame that the AV1 streams of an AVIF declare: what decoding takes, whatever its boxes say.

The sequence header of a stream bounds the size of its frames (AV1 specification, 5.5.1). Streams are the
items of the file, in extents (`iloc`), and the chunks of its tracks (`stco`, `co64`).
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

from seyolo.media.avif import boxes

_SEQUENCE_HEADER = 1
_CONTAINERS = frozenset({b"moov", b"trak", b"mdia", b"minf", b"stbl"})
_MOST_STREAMS = 10_000
_MOST_UNITS = 1000  # of a stream that are looked at


class _Bits:
    """Reads the bits of bytes, most significant first; raises LookupError behind the end."""

    def __init__(self, data: bytes) -> None:
        self._value, self._left = int.from_bytes(data, "big"), 8 * len(data)

    def read(self, num: int) -> int:
        self._left -= num
        if self._left < 0:
            raise LookupError("behind the end")
        return (self._value >> self._left) & ((1 << num) - 1)


def largest_frame(data: bytes) -> int:
    """Returns the pixels of the largest frame that a stream of an AVIF declares, 0 where none does.

    Raises struct.error or LookupError for damaged boxes.
    """
    view = memoryview(data)
    return max((_largest_of(stream) for stream in _streams(view)), default=0)


def _streams(data: memoryview) -> Iterator[memoryview]:
    for kind, payload in boxes(data):
        if kind == b"meta":
            inside = dict(boxes(payload[4:]))
            if b"iloc" in inside:
                yield from _items(data, inside[b"iloc"], inside.get(b"idat", memoryview(b"")))
        elif kind in _CONTAINERS:
            yield from (data[at:] for at in _chunks(payload))


def _chunks(container: memoryview) -> Iterator[int]:
    """Yields the places of the chunks of all tracks."""
    for kind, payload in boxes(container):
        if kind in _CONTAINERS:
            yield from _chunks(payload)
        elif kind in (b"stco", b"co64"):
            (count,) = struct.unpack_from(">I", payload, 4)
            form = f">{min(count, _MOST_STREAMS)}{'I' if kind == b'stco' else 'Q'}"
            yield from struct.unpack_from(form, payload, 8)


def _items(data: memoryview, iloc: memoryview, idat: memoryview) -> Iterator[memoryview]:
    """Yields the content of each item (ISO/IEC 14496-12, 8.11.3)."""
    version, sizes = iloc[0], int.from_bytes(iloc[4:6], "big")
    offset_size, length_size, base_size = sizes >> 12, sizes >> 8 & 15, sizes >> 4 & 15
    index_size = sizes & 15 if version else 0
    position = 6

    def number(num_bytes: int) -> int:
        nonlocal position
        position += num_bytes
        if position > len(iloc):
            raise LookupError("behind the end")
        return int.from_bytes(iloc[position - num_bytes : position], "big")

    wide, left = 4 if version == 2 else 2, 2 * len(data)
    for _ in range(min(number(wide), _MOST_STREAMS)):
        number(wide)  # id
        source = idat if version and number(2) & 15 else data
        number(2)  # data reference
        base, content = number(base_size), b""
        for _ in range(number(2)):
            number(index_size)
            start = base + number(offset_size)
            length = number(length_size) or len(source)
            content += source[start : start + length]
            left -= min(length, len(source))
            if left < 0:  # extents that overlap would take any memory and time
                raise LookupError("items are larger than the file")
        yield memoryview(content)


def _largest_of(stream: memoryview) -> int:
    """Returns the pixels of the largest frame of a stream; what is no AV1 has none."""
    largest = position = 0
    for _ in range(_MOST_UNITS):
        if position >= len(stream):
            break
        header = stream[position]
        position += 2 if header & 4 else 1
        if header & 0x80 or not header & 2:
            break  # no AV1, or the last unit, which has no size
        size, shift = 0, 0
        while position < len(stream) and shift < 56:
            byte = stream[position]
            size |= (byte & 0x7F) << shift
            position, shift = position + 1, shift + 7
            if not byte & 0x80:
                break
        if header >> 3 & 15 == _SEQUENCE_HEADER:
            try:
                largest = max(largest, _frame_of(_Bits(bytes(stream[position : position + min(size, 1024)]))))
            except LookupError:
                break
        position += size
    return largest


def _frame_of(bits: _Bits) -> int:
    """Returns width times height of the largest frame in a sequence header."""
    bits.read(4)  # profile, still picture
    if bits.read(1):
        bits.read(5)  # reduced header: level
    else:
        _skip_operating_points(bits)
    width_bits, height_bits = bits.read(4) + 1, bits.read(4) + 1
    return (bits.read(width_bits) + 1) * (bits.read(height_bits) + 1)


def _skip_operating_points(bits: _Bits) -> None:
    delay_bits = 0
    if bits.read(1):  # timing info
        bits.read(64)
        if bits.read(1):  # equal picture interval: a number of as many bits as zeros stand before it
            zeros = 0
            while not bits.read(1):
                zeros += 1
            bits.read(min(zeros, 32))
        if bits.read(1):  # decoder model
            delay_bits = bits.read(5) + 1
            bits.read(42)
    has_display_delay = bits.read(1)
    for _ in range(bits.read(5) + 1):
        bits.read(12)
        if bits.read(5) > 7:
            bits.read(1)
        if delay_bits and bits.read(1):
            bits.read(2 * delay_bits + 1)
        if has_display_delay and bits.read(1):
            bits.read(4)
