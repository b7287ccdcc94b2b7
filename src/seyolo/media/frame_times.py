"""Presentation times of an .mp4 that OpenCV wrote: it writes a constant rate only.

The times stand in the boxes of `moov` (ISO/IEC 14496-12), which OpenCV writes behind the frames. So they can
be exchanged without moving a frame.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping, Sequence
from itertools import groupby, pairwise
from os import SEEK_END
from pathlib import Path
from typing import BinaryIO

TICKS = 90_000  # per second; exact for 24, 25 and 30 frames per second and for milliseconds
MOST_S = 12 * 3600  # longer videos need 64-bit boxes
TOLERANCE_S = 1e-3  # containers round times to milliseconds
CONTAINERS = (b"moov", b"trak", b"mdia", b"minf", b"stbl", b"edts")

Change = Callable[[bytes], bytes]


def is_variable(times_s: Sequence[float], fps: float) -> bool:
    """Tells whether growing times differ from a constant rate by more than a millisecond."""
    grows = all(before < after for before, after in pairwise(times_s))
    offsets = (abs(time_s - times_s[0] - number / fps) for number, time_s in enumerate(times_s))
    return grows and max(offsets, default=0.0) > TOLERANCE_S


def set_times(path: Path, times_s: Sequence[float], fps: float) -> None:
    """Sets the times of all frames, relative to the first; the last is shown for a frame of `fps`."""
    ticks = [round((time_s - times_s[0]) * TICKS) for time_s in times_s]
    lengths = [after - before for before, after in pairwise(ticks)] + [round(TICKS / fps)]
    total = sum(lengths)
    if total > MOST_S * TICKS:
        return
    runs = [(len(list(run)), length) for length, run in groupby(lengths)]
    table = b"".join(struct.pack(">II", *run) for run in runs)
    with path.open("r+b") as file:
        start, moov = _last_box(file)
        assert moov[4:8] == b"moov", "OpenCV writes it last"
        scale = struct.unpack_from(">I", moov, moov.index(b"mvhd") + 16)[0]
        movie = struct.pack(">I", round(total / TICKS * scale))
        changes: Mapping[bytes, Change] = {
            b"mvhd": lambda box: box[:16] + movie + box[20:],
            b"tkhd": lambda box: box[:20] + movie + box[24:],
            b"elst": lambda box: box[:8] + movie + box[12:],
            b"mdhd": lambda box: box[:12] + struct.pack(">II", TICKS, total) + box[20:],
            b"stts": lambda box: box[:4] + struct.pack(">I", len(runs)) + table,
        }
        file.seek(start)
        file.write(_changed(moov, changes))
        file.truncate()


def _last_box(file: BinaryIO) -> tuple[int, bytes]:
    """Returns the start of the last box of a file, and the box."""
    end = file.seek(0, SEEK_END)
    start = size = 0
    while start + size < end:
        start += size
        file.seek(start)
        header = file.read(16)
        size = struct.unpack_from(">I", header)[0]
        size = struct.unpack_from(">Q", header, 8)[0] if size == 1 else size  # frames of over 4 GB
    file.seek(start)
    return start, file.read()


def _changed(data: bytes, changes: Mapping[bytes, Change]) -> bytes:
    """Returns a row of boxes with some of their contents changed."""
    parts = []
    start = 0
    while start < len(data):
        size, kind = struct.unpack_from(">I4s", data, start)
        content = data[start + 8 : start + size]
        if kind in CONTAINERS:
            content = _changed(content, changes)
        elif kind in changes:
            content = changes[kind](content)
        parts.append(struct.pack(">I", len(content) + 8) + kind + content)
        start += size
    return b"".join(parts)
