"""Journal of a `detect` run: a line of JSON per image or frame, appended after its files.

A run is resumed from its journal and the tables are made from it, so that nothing is kept in memory. `repair`
removes an incomplete last line, which a killed process or a full disk leaves.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, NotRequired, TypedDict

import msgspec

from seyolo.json_files import Count, Finite

Row = Mapping[str, Any]
"""`picture`, and `error` or `width`, `height`, `annotated`, `detections`; of a video `frame` and `time_s`.

With tracking a detection has a `track_id`, with `--count` a frame has `counts`.
"""


class _Detection(TypedDict):
    class_id: Annotated[int, msgspec.Meta(ge=0, lt=1 << 31)]
    name: str
    score: Finite
    box: tuple[Finite, Finite, Finite, Finite]
    track_id: NotRequired[Count | None]


_ByClass = dict[str, Count]
_Counts = TypedDict(
    "_Counts",
    {
        "area": str,
        "in": _ByClass,
        "out": _ByClass,
        "inside": NotRequired[_ByClass],
        "seen": NotRequired[_ByClass],
    },
)


class _Row(TypedDict):
    picture: str
    frame: NotRequired[Count]
    time_s: NotRequired[Finite]
    error: NotRequired[str]
    width: NotRequired[Count]
    height: NotRequired[Count]
    annotated: NotRequired[str | None]
    detections: NotRequired[list[_Detection]]
    counts: NotRequired[list[_Counts]]


_READ = msgspec.json.Decoder(_Row).decode


class Journal:
    """An append-only file of rows, created where it is missing; an OSError names its path."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = path.open("ab", buffering=0)

    def append(self, row: Row) -> None:
        """Appends a row."""
        line = memoryview(line_of(row).encode("utf-8"))
        try:
            while line:
                line = line[self._file.write(line) :]
        except OSError as error:
            raise OSError(error.errno, error.strerror, str(self.path)) from error

    def rows(self) -> Iterator[Row]:
        """Yields all rows from the beginning."""
        return (row for row, _ in _whole_rows(self.path))

    def close(self) -> None:
        """Closes the file."""
        self._file.close()


def line_of(row: Row) -> str:
    """Returns a row as a line of text."""
    return json.dumps(row) + "\n"


def repair(path: Path) -> None:
    """Removes the end of an interrupted run: an incomplete line, and the frames of an unfinished video."""
    end = video_start = 0
    video = None
    for row, row_end in _whole_rows(path):
        if row["picture"] != video:
            video, video_start = row["picture"] if "frame" in row else None, end
        if "frame" not in row:
            video = None
        end = row_end
    os.truncate(path, end if video is None else video_start)


def _whole_rows(path: Path) -> Iterator[tuple[Row, int]]:
    """Yields each complete row with the position of its end, up to the first incomplete one."""
    end = 0
    with path.open("rb") as file:
        for line in file:
            try:
                row = _READ(line if line.endswith(b"\n") else b"")
            except (ValueError, RecursionError):
                return
            end += len(line)
            yield row, end
