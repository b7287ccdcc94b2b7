"""Sources of `detect`: images, videos, cameras, streams and stdin.

Sources are texts, to save memory: a folder may hold a million images. `kind_of` returns the kind of a source
from its text.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO, Literal, NamedTuple

from seyolo.errors import DataError
from seyolo.media.images import IMAGES, FileKinds, files_named, merged

Kind = Literal["picture", "video", "camera", "stream", "stdin"]

STDIN = "-"
VIDEO_ENDINGS = (
    ".3gp", ".avi", ".flv", ".gif", ".m4v", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg", ".ts", ".webm", ".wmv",
)  # fmt: skip

_IMAGES_AND_VIDEOS = FileKinds(
    (*IMAGES.endings, *VIDEO_ENDINGS),
    "neither an image nor a video",
    "image, video or folder",
    "no image or video",
)


class Sources(NamedTuple):
    """The sources of a run."""

    names: Sequence[str]  # each source once, in the order given
    stdin: bytes = b""  # the image on stdin, where `-` is among the names


def kind_of(name: str) -> Kind:
    """Returns the kind of a source; a number is a camera unless a file has that name."""
    if name == STDIN:
        return "stdin"
    if "://" in name:
        return "stream"
    if os.path.splitext(name)[1].lower() in VIDEO_ENDINGS:
        return "video"
    return "camera" if name.isdecimal() and not Path(name).exists() else "picture"


def is_live(name: str) -> bool:
    """Tells whether a source is live, a camera or a stream, and so cannot be read again."""
    return kind_of(name) in ("camera", "stream")


def find_sources(arguments: Sequence[str | Path], stdin: BinaryIO | None) -> Sources:
    """Returns the sources that files, folders, patterns, camera numbers, addresses and `-` name.

    A folder names the images directly in it, sorted by name; a pattern names images and videos, and
    `folder/**/*.jpg` includes subfolders. Stdin holds one image, or a list of files, one per line. Raises
    DataError for an argument that names no source.
    """
    data = stdin.read() if STDIN in arguments and stdin is not None else b""
    listed = _listed_files(data)
    return Sources(merged([_named_by(str(argument), listed) for argument in arguments]), data)


def _listed_files(data: bytes) -> list[str] | None:
    """Returns the lines on stdin; None for an image, which is not UTF-8 or has zero bytes."""
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        return None
    return None if "\0" in text else [str(Path(line)) for line in text.splitlines() if line.strip()]


def _named_by(argument: str, listed: list[str] | None) -> list[str]:
    if argument == STDIN:
        if listed == []:
            raise DataError("-: nothing came on stdin; pipe in an image, or a list of files, one per line")
        return [STDIN] if listed is None else listed
    if is_live(argument) and not os.path.exists(argument):
        return [argument]
    return files_named(argument, _IMAGES_AND_VIDEOS)
