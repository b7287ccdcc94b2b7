"""The journal of a `detect` run: a line of JSON per image or frame, appended after its files.

It is what a run is resumed from and what the tables are made of, so nothing has to be kept in memory. A line
that is not whole, as a killed process or a full disk leaves it, is cut off before more is appended.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

Row = Mapping[str, Any]
"""`image`, and `error` or `width`, `height`, `annotated`, `detections`; of a video `frame` and `time_s`."""


class Journal:
    """A file of rows that only grows.

    Args:
        path: of the file; made when it is not there.

    Raises:
        OSError: it cannot be written, with `path` as its file name.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = path.open("ab", buffering=0)

    def append(self, row: Row) -> None:
        """Adds a row."""
        line = memoryview(line_of(row).encode("utf-8"))
        try:
            while line:
                line = line[self._file.write(line) :]
        except OSError as error:
            raise OSError(error.errno, error.strerror, str(self.path)) from error

    def rows(self) -> Iterator[Row]:
        """All rows from the beginning."""
        return (row for row, _ in _whole_rows(self.path))

    def close(self) -> None:
        """Nothing can be appended any more."""
        self._file.close()


def line_of(row: Row) -> str:
    """A row as a line of text."""
    return json.dumps(row) + "\n"


def repair(path: Path) -> None:
    """Cuts off what an interrupted run left undone: half a line, and the frames of a video it was in."""
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
    """Each row and where it ends, up to the first that is not whole."""
    end = 0
    with path.open("rb") as file:
        for line in file:
            try:
                row = json.loads(line) if line.endswith(b"\n") else None
            except ValueError:
                row = None
            if not isinstance(row, dict):
                return
            end += len(line)
            yield row, end
