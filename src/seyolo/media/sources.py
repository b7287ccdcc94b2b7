"""Sources of `detect`: images, videos, cameras, streams and stdin.

Sources are texts, to save memory: a folder may hold a million images. `kind_of` returns the kind of a source
from its text.
"""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO, Literal, NamedTuple
from urllib.parse import urlsplit

from seyolo.errors import DataError
from seyolo.media.images import IMAGES, FileKinds, files_named, merged

Kind = Literal["picture", "video", "camera", "stream", "stdin"]

STDIN = "-"
VIDEO_ENDINGS = (
    ".3gp", ".avi", ".flv", ".gif", ".m4v", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg", ".ts", ".webm", ".wmv",
)  # fmt: skip

SCHEMES = ("rtsp", "rtsps", "http", "https", "rtmp", "rtmps", "rtp", "udp", "tcp", "srt", "ftp", "mms", "hls")
"""The beginnings of addresses of streams."""
LISTENING = ("udp", "rtp", "tcp", "srt")  # may lack the machine: udp://:5000

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


def check_address(text: str) -> None:
    """Raises DataError for a text that looks like an address and is none; the message names what is wrong."""
    scheme, separator, rest = text.partition("://")
    if not separator:
        if match := re.match(r"(https?|rtsps?|rtmp)(:/?|//)(?=\w)", text, re.IGNORECASE):
            raise DataError(f"{text}: did you mean {match[1]}://{text[match.end() :]}?")
        if text.lower().startswith("www."):
            raise DataError(f"{text}: did you mean https://{text}?")
        return
    if scheme.lower() == "file":
        raise DataError(f"{text}: give the path alone: /{rest.lstrip('/')}")
    if scheme.lower() not in SCHEMES:
        swapped = [known for known in SCHEMES if sorted(known) == sorted(scheme.lower())]
        near = swapped or difflib.get_close_matches(scheme.lower(), SCHEMES, 1)
        advice = f"did you mean {near[0]}://{rest}?" if near else f"there are {', '.join(SCHEMES)}"
        raise DataError(f"{text}: no address begins with {scheme}://; {advice}")
    if not _names_machine(text, scheme.lower()):
        raise DataError(f"{text}: the address names no machine behind {scheme}://")


def _names_machine(address: str, scheme: str) -> bool:
    try:
        parts = urlsplit(address)
        host, port = parts.hostname, parts.port
    except ValueError:  # a port that is no number, or half an IPv6 address
        return False
    return bool(host and not re.search(r"\s", host)) or (port is not None and scheme in LISTENING)


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
    if not os.path.exists(argument):
        check_address(argument)
        if is_live(argument):
            return [argument]
    return files_named(argument, _IMAGES_AND_VIDEOS)
