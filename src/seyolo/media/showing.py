"""Annotated images shown in a notebook or by the system's viewer, or written to files."""

from __future__ import annotations

import os
import sys
import tempfile
import webbrowser
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np
from jaxtyping import UInt8

from seyolo.errors import DataError, UsageError, counted
from seyolo.files import write_bytes
from seyolo.notebook import MOST_PX, Html, head_html, inline_html, line_html, notebook_display, table_html

if TYPE_CHECKING:
    from seyolo.detections import Detections

MOST_ROWS = 10
JPEG_FLAGS = (cv2.IMWRITE_JPEG_QUALITY, 85)


def image_html(image: UInt8[np.ndarray, "H W 3"], alt: str) -> str:
    """Returns a BGR image as an inline JPEG, at most 640 pixels wide or high."""
    scale = MOST_PX / max(image.shape[:2])
    if scale < 1:
        size = [max(1, round(side * scale)) for side in image.shape[1::-1]]
        image = np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)
    return inline_html(cv2.imencode(".jpg", image, JPEG_FLAGS)[1].tobytes(), "jpeg", alt)


def show_image(image: UInt8[np.ndarray, "H W 3"], title: str) -> None:
    """Shows a BGR image in a notebook or the system's viewer, or prints the path of its file."""
    display = notebook_display()
    if display is not None:
        display(Html(image_html(image, title), title))
        return
    path = write_image(Path(tempfile.mkdtemp(prefix="seyolo-")) / "detections.png", image)
    if not (_has_display() and webbrowser.open(path.as_uri())):
        print(f"there is no display here; the annotated image is {path}", file=sys.stderr)


def _has_display() -> bool:
    shows = {"DISPLAY", "WAYLAND_DISPLAY"} & os.environ.keys()
    return sys.platform in ("darwin", "win32") or bool(shows)


def write_image(path: str | Path, image: UInt8[np.ndarray, "H W 3"], flags: Sequence[int] = ()) -> Path:
    """Writes a BGR image in the format of the path's ending; raises UsageError for another ending.

    `flags` are those of `cv2.imencode`.
    """
    path = Path(path)
    try:
        is_written, data = cv2.imencode(path.suffix.lower(), image, flags)
    except cv2.error:
        is_written = False
    if not is_written:
        raise UsageError(f"{path}: an image is written as .jpg, .png or .webp, by the ending of its name")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_bytes(path, data.tobytes())
    except OSError as error:
        raise UsageError(f"{path}: cannot be written ({error.strerror})") from None
    return path


def detections_html(found: Detections) -> str:
    """Returns the annotated image, where it is known and can be read, and a table of the best detections."""
    parts = [head_html(repr(found)[1:-1])]
    if found.image is not None:
        try:
            counts = Counter(row.name for row in found)
            alt = ", ".join(f"{number} {name}" for name, number in counts.items()) or "no detections"
            parts.append(image_html(found.draw(), alt))
        except DataError as error:
            parts.append(line_html(str(error)))
    if len(found):
        rows = [
            [row.name, f"{row.score:.2f}", *(f"{side:.0f}" for side in row.box)] for row in found[:MOST_ROWS]
        ]
        header = ["class", "score", "left", "top", "right", "bottom"]
        parts.append(table_html(header, rows, left=frozenset({0})))
    if (more := len(found) - MOST_ROWS) > 0:
        parts.append(line_html(f"and {counted(more, 'detection')} more"))
    return "".join(parts)
