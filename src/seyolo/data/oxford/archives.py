"""Safe extraction of chosen files from an untrusted archive.

An archive with a member outside the target folder, a link or a device is refused as a whole. Only the wanted
members are written, as plain files, up to a limit of their unpacked size.
"""

from __future__ import annotations

import gzip
import lzma
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import IO

from seyolo.errors import DataError

MAX_BYTES = 4 << 30
MAX_FILES = 200_000

Wanted = Callable[[PurePosixPath], bool]

_COPY_BYTES = 1 << 20
_BROKEN = (
    tarfile.TarError, gzip.BadGzipFile, zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError,
    NotImplementedError,
)  # fmt: skip


def extract(archive: Path, folder: Path, wanted: Wanted, max_bytes: int = MAX_BYTES) -> None:
    """Unpacks the wanted members of a .zip or .tar; raises DataError if it is broken, unsafe or too large."""
    try:
        files = _zip_files if archive.suffix.lower() == ".zip" else _tar_files
        _write(files(archive, wanted), archive, folder, max_bytes)
    except FileNotFoundError:
        raise DataError(f"{archive}: no such file") from None
    except _BROKEN as error:
        raise DataError(f"{archive}: the archive is broken ({error}); download it again") from error


def _write(files: Iterable[tuple[str, IO[bytes]]], archive: Path, folder: Path, max_bytes: int) -> None:
    available = max_bytes
    for num_files, (name, content) in enumerate(files, start=1):
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        with target.open("wb") as file:
            while block := content.read(min(_COPY_BYTES, available + 1)):
                available -= len(block)
                if available < 0 or num_files > MAX_FILES:
                    limit = f"{max_bytes} bytes or {MAX_FILES} files"
                    advice = "if that is right, unpack it yourself and pass the folder"
                    raise DataError(f"{archive}: holds more than {limit}; {advice}")
                file.write(block)


def _tar_files(archive: Path, wanted: Wanted) -> Iterator[tuple[str, IO[bytes]]]:
    with tarfile.open(archive) as tar:
        for member in tar:
            _check_name(member.name, archive)
            if not member.isdir() and not member.isfile():
                raise DataError(f"{archive}: {member.name} is a link or device; do not trust this archive")
            if member.isfile() and wanted(PurePosixPath(member.name)):
                content = tar.extractfile(member)
                assert content is not None, "a regular file has content"
                yield member.name, content


def _zip_files(archive: Path, wanted: Wanted) -> Iterator[tuple[str, IO[bytes]]]:
    with zipfile.ZipFile(archive) as container:
        for member in container.infolist():
            _check_name(member.filename, archive)
            if stat.S_ISLNK(member.external_attr >> 16):
                raise DataError(f"{archive}: {member.filename} is a link; do not trust this archive")
            if member.flag_bits & 1:  # encrypted
                advice = "unpack it yourself and pass the folder"
                raise DataError(f"{archive}: {member.filename} is encrypted; {advice}")
            if not member.is_dir() and wanted(PurePosixPath(member.filename)):
                with container.open(member) as content:
                    yield member.filename, content


def _check_name(name: str, archive: Path) -> None:
    """Refuses a name that leads out of the folder on any system."""
    absolute = name.startswith(("/", "\\")) or PureWindowsPath(name).drive
    if absolute or ".." in PureWindowsPath(name).parts:
        raise DataError(f"{archive}: {name} leads out of the archive's folder; do not trust this archive")
