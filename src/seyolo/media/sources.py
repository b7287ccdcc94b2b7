"""Sources of `detect`: images, videos, cameras, streams and stdin.

Sources are texts, to save memory: a folder may hold a million images. `kind_of` returns the kind of a source
from its text.
"""

from __future__ import annotations

import glob
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Literal

from seyolo.errors import DataError
from seyolo.media.images import IMAGE_ENDINGS, images_in, is_image, matching

Kind = Literal["picture", "video", "camera", "stream", "stdin"]

STDIN = "-"
VIDEO_ENDINGS = (
    ".3gp", ".avi", ".flv", ".gif", ".m4v", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg", ".ts", ".webm", ".wmv",
)  # fmt: skip
"""Endings of video files, in any case of letters."""


@dataclass(frozen=True)
class Sources:
    """The sources of a run.

    Attributes:
        names: each source once, in the order given.
        stdin: bytes of the image on stdin, where `-` is among the names.
    """

    names: Sequence[str]
    stdin: bytes = b""


def kind_of(name: str) -> Kind:
    """Returns the kind of a source; a number is a camera unless a file has that name."""
    if name == STDIN:
        return "stdin"
    if "://" in name:
        return "stream"
    if is_video(name):
        return "video"
    return "camera" if name.isdecimal() and not Path(name).exists() else "picture"


def is_video(path: str | Path) -> bool:
    """Tells whether a name has the ending of a video file."""
    return os.path.splitext(path)[1].lower() in VIDEO_ENDINGS


def is_live(name: str) -> bool:
    """Tells whether a source is live, a camera or a stream, and so cannot be read again."""
    return kind_of(name) in ("camera", "stream")


def find_sources(arguments: Sequence[str | Path], stdin: BinaryIO | None) -> Sources:
    """Returns the sources that files, folders, patterns, camera numbers, addresses and `-` name.

    A folder names the images directly in it, sorted by name; a pattern names images and videos, and
    `folder/**/*.jpg` includes subfolders. Stdin holds one image, or a list of files, one per line.

    Raises:
        DataError: an argument names no source.
    """
    data = stdin.read() if STDIN in arguments and stdin is not None else b""
    listed = _listed_files(data)
    named = [_named_by(str(argument), listed) for argument in arguments]
    if len(named) == 1:
        return Sources(named[0], data)
    names = list(dict.fromkeys(name for names in named for name in names))
    if not names:
        raise DataError("no images given; name an image, a folder or a pattern such as 'photos/*.jpg'")
    return Sources(names, data)


def _listed_files(data: bytes) -> list[str] | None:
    """Returns the lines on stdin; None for an image, which is not UTF-8 or has zero bytes."""
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        return None
    if "\0" in text:
        return None
    return [str(Path(line)) for line in text.splitlines() if line.strip()]


def _named_by(argument: str, listed: list[str] | None) -> list[str]:
    if argument == STDIN:
        if listed == []:
            raise DataError("-: nothing came on stdin; pipe in an image, or a list of files, one per line")
        return [STDIN] if listed is None else listed
    path = Path(argument)
    if path.is_dir():
        return images_in(path)
    if path.exists():
        if not (is_image(path) or is_video(path)):
            raise DataError(f"{path}: neither an image nor a video by its name; known kinds: {_kinds()}")
        return [str(path)]
    if is_live(argument):
        return [argument]
    if not glob.has_magic(argument):
        raise DataError(f"{path}: there is no such image, video or folder")
    matches = matching(argument, lambda name: is_image(name) or is_video(name))
    if not matches:
        raise DataError(f"{argument}: no image or video matches this pattern; known kinds: {_kinds()}")
    return matches


def _kinds() -> str:
    return " ".join(ending.removeprefix(".") for ending in (*IMAGE_ENDINGS, *VIDEO_ENDINGS))
