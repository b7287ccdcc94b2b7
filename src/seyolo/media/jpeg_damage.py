"""Damage inside the pixels of a JPEG, from its structure, without decoding.

libjpeg decodes a file whose middle was overwritten and fills the rest with grey or noise; it only prints a
warning. A disk or copy fault mostly leaves zeros, or bytes of another file. Huffman codes of an image give no
long run of zeros, unless all its blocks are flat; bytes of another file soon hold a marker that may not be
there, or restart markers out of order.
"""

from __future__ import annotations

import re

from seyolo.media.image_format import jpeg_segments

_LEAST_RUN = 64  # bytes; shorter runs do not count

_HUFFMAN_TABLES, _RESTART_INTERVAL, _START_OF_SCAN, _END = 0xC4, 0xDD, 0xDA, 0xD9
_ARITHMETIC = frozenset(range(0xC9, 0xD0)) - {0xCC}
_BETWEEN_SCANS = frozenset({_HUFFMAN_TABLES, 0xCC, _START_OF_SCAN, _END, 0xDB, 0xDC, _RESTART_INTERVAL, 0xFE})
_APPLICATION = frozenset(range(0xE0, 0xF0))
_RESTART = re.compile(rb"\xff([\xd0-\xd7])")


def jpeg_damage(data: bytes) -> str | None:
    """Returns what is damaged in the pixels of a JPEG, and where; None where nothing shows."""
    first_symbols: dict[int, int] = {}  # of the Huffman tables: what the code of zeros stands for
    pixels, zeros_are_damage, has_restarts = 0, False, False
    for marker, start, end in jpeg_segments(data):
        if pixels:
            if marker not in _BETWEEN_SCANS | _APPLICATION:
                return f"a marker {marker:#04x} among the pixels at byte {start - 2:,}"
            if (found := _damage_in(data, pixels, start - 2, zeros_are_damage, has_restarts)) is not None:
                return found
            pixels = 0
        if marker in _ARITHMETIC:
            return None
        if marker == _HUFFMAN_TABLES:
            first_symbols |= _first_symbols(data[start:end])
        elif marker == _RESTART_INTERVAL:
            has_restarts = any(data[start : start + 2])
        elif marker == _START_OF_SCAN:
            pixels, zeros_are_damage = end, _zeros_are_damage(data[start:end], first_symbols)
    return None


def _damage_in(data: bytes, start: int, end: int, zeros_are_damage: bool, has_restarts: bool) -> str | None:
    for byte, name in (b"\xff", "0xff"), (b"\0", "zero"):
        at = data.find(byte * _LEAST_RUN, start, end) if zeros_are_damage or byte != b"\0" else -1
        if at >= 0:
            num = end - at - len(data[at:end].lstrip(byte))
            return f"{num:,} {name} bytes among the pixels from byte {at:,} on"
    if has_restarts:
        numbers = [match[1][0] & 7 for match in _RESTART.finditer(data, start, end)]
        if numbers != [number % 8 for number in range(len(numbers))]:
            return "restart markers out of order among the pixels"
    return None


def _first_symbols(payload: bytes) -> dict[int, int]:
    """Returns the symbol with the code of zeros by table: class (0 DC, 1 AC) times 16 plus number."""
    found, position = {}, 0
    while position + 18 <= len(payload):
        found[payload[position]] = payload[position + 17]
        position += 17 + sum(payload[position + 1 : position + 17])
    return found


def _zeros_are_damage(scan: bytes, first_symbols: dict[int, int]) -> bool:
    """Tells whether zeros cannot be flat blocks in this scan; raw bits of a refining scan may be zeros."""
    if len(scan) < 6 or scan[-1] >> 4:
        return False
    num, is_ac_only, is_dc_only = scan[0], scan[-3] > 0, scan[-2] == 0
    used = set()
    for tables in scan[2 : 2 + 2 * num : 2]:
        used |= set() if is_ac_only else {tables >> 4}
        used |= set() if is_dc_only else {16 + (tables & 15)}
    # Symbol 0 is no change of DC, or the end of a block of AC. Encoders join ends of several blocks.
    return any(first_symbols.get(table, 0) for table in used)
