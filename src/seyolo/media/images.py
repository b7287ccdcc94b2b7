"""Finding and decoding of images; no other module decodes an image.

Many versions of OpenCV silently fill the missing part of a truncated or damaged JPEG. Training on such images
is worse than an error, so completeness is checked first (`image_format`, `jpeg_damage`). Images come as they
are shown: OpenCV turns them by their Exif orientation, and `avif` turns an AVIF. An image that takes too much
memory is refused by its header (`image_header`). Of an animation the first frame is read.
"""

from __future__ import annotations

import glob
import math
import os
import struct
import warnings
from collections import Counter
from collections.abc import Callable, Sequence
from functools import cache, partial
from itertools import chain
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
from jaxtyping import UInt8

from seyolo.errors import DataError, UsageError, counted
from seyolo.media import avif
from seyolo.media.folders import matches
from seyolo.media.foreign import FOREIGN_ENDINGS, foreign_kind, way_on
from seyolo.media.image_format import is_complete
from seyolo.media.image_header import Header, header_size, read_header
from seyolo.media.jpeg_damage import jpeg_damage

Decoder = Callable[[bytes], "np.ndarray | None"]

LIMIT = "SEYOLO_MAX_IMAGE_MB"
"""Environment variable: megabytes of memory that decoding of one image may take, with its file."""
DEFAULT_LIMIT_MB = 512


class ImageTooLargeError(DataError):
    """An image that takes more memory than the limit."""


class FileKinds(NamedTuple):
    """Files that arguments may name, and the words of the messages about others."""

    endings: tuple[str, ...]
    not_one: str
    place: str
    none: str

    def has(self, name: str | Path) -> bool:
        """Tells whether a name has one of the endings, in any case of letters."""
        return os.path.splitext(name)[1].lower() in self.endings

    @property
    def known(self) -> str:
        return "known kinds: " + " ".join(ending.removeprefix(".") for ending in self.endings)


IMAGES = FileKinds(
    (
        ".avif", ".bmp", ".gif", ".jfif", ".jp2", ".jpe", ".jpeg", ".jpg", ".pbm", ".pgm", ".png", ".ppm",
        ".tif", ".tiff", ".webp",
    ),
    "not an image",
    "image or folder",
    "no image",
)  # fmt: skip
_OPTIONAL = frozenset({".avif", ".gif", ".jp2"})  # a build of OpenCV may lack them
_PROBE_PX = 64
_LEAST_PX = 40
_REDUCED = {
    8: cv2.IMREAD_REDUCED_GRAYSCALE_8,
    4: cv2.IMREAD_REDUCED_GRAYSCALE_4,
    2: cv2.IMREAD_REDUCED_GRAYSCALE_2,
}


def is_image(path: str | Path) -> bool:
    """Tells whether a name has the ending of an image file that can be read here."""
    ending = _ending(path)
    return ending in _ENDINGS and (ending not in _OPTIONAL or _can_decode(ending))


def is_picture(path: str | Path) -> bool:
    """Tells whether a name has the ending of an image file, whether it can be read here or not."""
    return _ending(path) in _PICTURES


_ENDINGS = frozenset(IMAGES.endings)
_PICTURES = frozenset((*IMAGES.endings, *FOREIGN_ENDINGS))


def _ending(path: str | Path) -> str:
    """Returns a name's ending with its dot, in lower case: as `splitext`, in a third of its time."""
    name = os.fspath(path)
    dot = name.rfind(".")
    return name[dot:].lower() if dot > name.rfind(os.sep) + 1 else ""


@cache
def _can_decode(ending: str) -> bool:
    """Tells whether this OpenCV decodes what it encodes with this ending."""
    try:
        is_written, data = cv2.imencode(ending, np.zeros((_PROBE_PX, _PROBE_PX, 3), np.uint8))
        return is_written and cv2.imdecode(data, cv2.IMREAD_COLOR) is not None
    except cv2.error:
        return False


def unreadable(paths: Sequence[str]) -> str:
    """Describes images that cannot be read here: their number, kinds and the way on; of at least one path."""
    kinds = Counter(os.path.splitext(path)[1].lower() for path in paths)
    counted = ", ".join(f"{kind} ({num:,})" for kind, num in sorted(kinds.items()))
    return f"cannot be read here: {counted}; {way_on(paths[0])}"


def read_image(path: str | Path) -> UInt8[np.ndarray, "H W 3"]:
    """Reads an image as 8-bit BGR; raises DataError for one that is missing, truncated or no image."""
    return decode_image(read_encoded(path), path)


def decode_image(data: bytes, source: str | Path) -> UInt8[np.ndarray, "H W 3"]:
    """Decodes the bytes of an image file as `read_image`; `source` is its name in messages."""
    check_complete(data, source)
    return _decode(data, source)


def decode_small(data: bytes, source: str | Path) -> UInt8[np.ndarray, "h w"]:
    """Decodes an image in grey, a JPEG at a fraction of its size, which takes a third of the time.

    The shorter side has at least 40 pixels, unless the image has fewer. Errors as in `decode_image`, but the
    end of the file is not looked at.
    """
    header = _checked_header(data, source)
    side = min(header.height, header.width) if header.kind == "JPEG" else 0
    flag = next((flag for times, flag in _REDUCED.items() if side >= times * _LEAST_PX), None)
    decode = _decoder(header, data) if flag is None else partial(_from_memory, flag=flag)
    image = _decoded(decode, data, source)
    return image if image.ndim == 2 else np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2GRAY), np.uint8)


def check_complete(data: bytes, source: str | Path) -> None:
    """Raises DataError, naming `source`, when the bytes of an image file end before the image does."""
    if not data:
        raise DataError(f"{source}: the image is empty (0 bytes)")
    if data.startswith(b"\xff\xd8") and (damage := jpeg_damage(data)) is not None:
        raise DataError(f"{source}: the image is damaged: {damage}; copy it again or remove it")
    if not is_complete(data):
        problem = f"the image is truncated: its end is missing after {len(data)} bytes"
        raise DataError(f"{source}: {problem}; copy it again or remove it")


def image_size(path: str | Path) -> tuple[int, int]:
    """Returns (height, width) in pixels of the image that `read_image` returns, from its header."""
    return encoded_size(read_encoded(path), path)


def encoded_size(data: bytes, source: str | Path) -> tuple[int, int]:
    """Returns (height, width) from the bytes of an image file, as `image_size`; messages name `source`."""
    if (size := header_size(data)) is not None:
        return size
    height, width = _decode(data, source).shape[:2]
    return height, width


def is_turned(data: bytes) -> bool:
    """Tells whether an image is shown turned by a quarter, so that its stored height is its width."""
    header = read_header(data)
    return header is not None and (header.height, header.width) != encoded_size(data, "")


def read_encoded(path: str | Path) -> bytes:
    """Reads the bytes of an image file; raises DataError for a missing one, or one above the memory limit."""
    path = Path(path)
    try:
        if (num_bytes := path.stat().st_size) > limit_bytes():
            raise too_large(path, "its file", num_bytes)
        return path.read_bytes()
    except FileNotFoundError:
        raise DataError(f"{path}: there is no such image") from None
    except IsADirectoryError:
        raise DataError(f"{path}: is a folder, not an image") from None
    except OSError as error:
        raise DataError(f"{path}: the image cannot be read ({error.strerror})") from None


def limit_bytes() -> int:
    """Returns the memory that one image may take; raises UsageError for a setting that is no number."""
    text = os.environ.get(LIMIT, str(DEFAULT_LIMIT_MB))
    if not (text.isascii() and text.isdecimal()):
        raise UsageError(f"{LIMIT}={text}: expected a whole number of megabytes")
    return int(text) * 1_000_000


def too_large(source: str | Path, what: str, num_bytes: int) -> ImageTooLargeError:
    """Returns the refusal of an image, or its file, that takes so many bytes of memory."""
    needed_mb, limit_mb = math.ceil(num_bytes / 1e6), limit_bytes() // 1_000_000
    problem = f"{what} takes {needed_mb:,} MB of memory, the limit is {limit_mb:,} MB"
    return ImageTooLargeError(f"{source}: {problem}; {LIMIT}={needed_mb} in the environment allows it")


def way_to_decode(header: Header, file_bytes: int) -> tuple[Decoder, int]:
    """Returns the decoder that the limit allows, else that which takes less, and its memory with the file."""
    from_memory = file_bytes + max(header.num_bytes, 6 * header.num_pixels)  # it copies its result
    in_place = 2 * file_bytes + header.num_bytes
    # OpenCV cannot turn a TIFF in place.
    is_turned_tiff = header.kind == "TIFF" and header.is_turned
    is_only_way = is_turned_tiff or header.kind == "AVIF" or not hasattr(os, "memfd_create")
    if is_only_way or from_memory <= max(limit_bytes(), in_place):
        return _from_memory, from_memory
    return _in_place, in_place


def _decode(data: bytes, source: str | Path) -> UInt8[np.ndarray, "H W 3"]:
    return _decoded(_decoder(_checked_header(data, source), data), data, source)


def _checked_header(data: bytes, source: str | Path) -> Header:
    """Returns the header of an image; raises DataError for one that cannot be read here or is too large."""
    if (kind := foreign_kind(data)) is not None:
        raise DataError(f"{source}: {kind}, which cannot be read here; {way_on(source)}")
    header = read_header(data)
    if header is None:
        raise DataError(f"{source}: not an image, or a damaged one; {IMAGES.known}")
    if header.kind == "AVIF" and avif.is_cropped(data):
        raise DataError(f"{source}: an AVIF shown cropped (clap), which is not supported; {way_on(source)}")
    _, num_bytes = way_to_decode(header, len(data))
    if num_bytes > limit_bytes():
        what = f"the image has {header.num_pixels / 1e6:,.0f} million pixels, and decoding this {header.kind}"
        raise too_large(source, what, num_bytes)
    return header


def _decoder(header: Header, data: bytes) -> Decoder:
    return _from_avif if header.kind == "AVIF" else way_to_decode(header, len(data))[0]


def _decoded(decode: Decoder, data: bytes, source: str | Path) -> np.ndarray:
    try:
        image = decode(data)
    except cv2.error as error:
        raise DataError(f"{source}: the image cannot be decoded: {error.err or error}") from None
    if image is None:
        raise DataError(f"{source}: not an image, or a damaged one; {IMAGES.known}")
    return np.asarray(image, dtype=np.uint8)


def _from_memory(data: bytes, flag: int = cv2.IMREAD_COLOR) -> np.ndarray | None:
    return cv2.imdecode(np.frombuffer(data, np.uint8), flag)


def _from_avif(data: bytes) -> np.ndarray | None:
    flags = cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION
    image = cv2.imdecode(np.frombuffer(data, np.uint8), flags)
    try:
        return None if image is None else avif.turned(np.asarray(image, np.uint8), data)
    except (struct.error, LookupError):
        return None


def _in_place(data: bytes) -> np.ndarray | None:
    """Decodes a file in memory, into the array that is returned; slower for small images."""
    with open(os.memfd_create("image"), "wb") as file:
        file.write(data)
        file.flush()
        return cv2.imread(f"/proc/self/fd/{file.fileno()}", None, cv2.IMREAD_COLOR)


def find_images(sources: Sequence[str | Path]) -> list[Path]:
    """Returns the images that files, folders and glob patterns name, each once, in the order given.

    A folder names the images directly in it, sorted by name; `folder/**/*.jpg` includes subfolders. Raises
    DataError for a source that names no image.
    """
    return [Path(name) for name in merged([files_named(str(source), IMAGES) for source in sources])]


def merged(named: Sequence[list[str]]) -> list[str]:
    """Returns the names of several arguments, each once; raises DataError without an argument."""
    if not named:
        raise DataError("no images given; name an image, a folder or a pattern such as 'photos/*.jpg'")
    return named[0] if len(named) == 1 else list(dict.fromkeys(chain(*named)))


def files_named(argument: str, kinds: FileKinds) -> list[str]:
    """Returns the files that a name, folder or glob pattern stands for; raises DataError for none."""
    path = Path(argument)
    if path.is_dir():
        return _images_in(path)
    if path.exists():
        if is_picture(path) and not is_image(path):
            raise DataError(f"{path}: {unreadable([argument])}")
        if not kinds.has(path):
            raise DataError(f"{path}: {kinds.not_one} by its name; {kinds.known}")
        return [str(path)]
    if not glob.has_magic(argument):
        raise DataError(f"{path}: there is no such {kinds.place}")
    found = [str(Path(match)) for match in matches(argument) if os.path.isfile(match)]
    names = {name for name in found if kinds.has(name)}
    _warn_of_foreign(argument, found, len(names))
    if not names:
        raise DataError(f"{argument}: {kinds.none} matches this pattern; {kinds.known}")
    return sorted(names, key=lambda name: name.replace(os.sep, "\0"))  # as if by the parts of their paths


def _images_in(folder: Path) -> list[str]:
    """Returns the paths of the images directly in a folder, sorted by name, as text to save memory."""
    start = "" if folder == Path() else os.path.join(folder, "")
    with os.scandir(folder) as entries:
        found = [start + e.name for e in entries if e.name[0] != "." and is_picture(e.name)]
    names = [name for name in found if is_image(name)]
    _warn_of_foreign(folder, found, len(names))
    if not names:
        advice = f"For those in its subfolders give the pattern '{folder}/**/*'"
        raise DataError(f"{folder}: no images in this folder; {IMAGES.known}. {advice}")
    return sorted(names)


def _warn_of_foreign(place: str | Path, found: Sequence[str], num_read: int) -> None:
    """Warns of images that cannot be read here among the files found."""
    passed = sorted(name for name in found if is_picture(name) and not is_image(name))
    if passed:
        count = f"{len(passed):,} of {counted(num_read + len(passed), 'image')} {unreadable(passed)}"
        warnings.warn(f"{place}: {count}", stacklevel=4)
