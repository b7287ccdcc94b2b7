"""What the SOURCE arguments of `detect` name: images, videos, cameras, streams, and what comes on stdin.

A list of sources is a list of texts and nothing more, since a folder may hold a million images; what kind a
source is can be told from its text (`kind_of`).
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
"""What is opened as a video, in any case of letters."""


@dataclass(frozen=True)
class Sources:
    """What there is to look at.

    Attributes:
        names: each source once, in the order they were named.
        stdin: the bytes of the image that came on stdin, where `-` is among the names.
    """

    names: Sequence[str]
    stdin: bytes = b""


def kind_of(name: str) -> Kind:
    """What kind of source a text is; a number is a camera unless there is a file of that name."""
    if name == STDIN:
        return "stdin"
    if "://" in name:
        return "stream"
    if is_video(name):
        return "video"
    return "camera" if name.isdecimal() and not Path(name).exists() else "picture"


def is_video(path: str | Path) -> bool:
    """Whether the name ends as a video's does."""
    return os.path.splitext(path)[1].lower() in VIDEO_ENDINGS


def is_live(name: str) -> bool:
    """Whether the source has no beginning to go back to: a camera or a stream."""
    return kind_of(name) in ("camera", "stream")


def find_sources(arguments: Sequence[str | Path], stdin: BinaryIO | None) -> Sources:
    """What files, folders, patterns, camera numbers, addresses and `-` name.

    A folder gives the images directly in it, sorted by name; a pattern gives images and videos, and
    `folder/**/*.jpg` goes deeper. On stdin comes either one image or a list of files, one per line.

    Raises:
        DataError: an argument that names nothing there is.
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
    """The lines that came on stdin, None when it was an image: text has no zero bytes and is UTF-8."""
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
