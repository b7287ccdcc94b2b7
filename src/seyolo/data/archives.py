"""Safe extraction of chosen files from an untrusted archive.

An archive with a member outside the target folder, a link or a device is refused as a whole. Only the wanted
members are written, as plain files. Headers, unwanted and empty members count towards the limits, too.
"""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import stat
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import IO, Any

from seyolo.errors import DataError, shortened

MAX_BYTES = 4 << 30
MAX_FILES = 250_000  # 100,000 images with their labels, and some
MAX_HEADER_BYTES = 1 << 16  # of one member of a .tar
MAX_INDEX_BYTES = 32 << 20  # of a .zip: zipfile takes about fifteen times as much

Wanted = Callable[[PurePosixPath], bool]

_COPY_BYTES = 1 << 16
_BROKEN = (
    tarfile.TarError, gzip.BadGzipFile, zipfile.BadZipFile, zlib.error, lzma.LZMAError, struct.error,
    EOFError, IndexError, NotImplementedError, ValueError, OverflowError, RecursionError,
)  # fmt: skip
_UNPACKERS: dict[bytes, Callable[..., Any]] = {b"\x1f\x8b": gzip.open, b"BZ": bz2.open, b"\xfd7": lzma.open}
_ZIP_METHODS = (
    zipfile.ZIP_STORED,
    zipfile.ZIP_DEFLATED,
)  # the decoders of others take memory without a limit


class _Limited(io.BufferedReader):
    """A file of which only so many bytes can be read before `left_bytes` is set again."""

    left_bytes = MAX_HEADER_BYTES

    def read(self, size: int | None = -1, /) -> bytes:
        most = self.left_bytes + 1 if size is None or size < 0 else size
        data = super().read(min(most, self.left_bytes + 1))
        self.left_bytes -= len(data)
        if self.left_bytes < 0:
            raise ValueError("its headers are too large")
        return data

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        if whence == io.SEEK_SET and offset < 0:
            raise ValueError("an offset is before its start")
        return super().seek(offset, whence)


def extract(archive: Path, folder: Path, wanted: Wanted, max_bytes: int = MAX_BYTES) -> None:
    """Unpacks the wanted members of a .zip or .tar; raises DataError if it is broken, unsafe or too large."""
    try:
        files = _zip_files if archive.suffix.lower() == ".zip" else _tar_files
        _write(files(archive, wanted, max_bytes), archive, folder, max_bytes)
    except FileNotFoundError:
        raise DataError(f"{archive}: no such file") from None
    except _BROKEN as error:
        raise DataError(
            f"{archive}: the archive is broken ({shortened(str(error))}); download it again"
        ) from error


def _write(files: Iterable[tuple[str, IO[bytes]]], archive: Path, folder: Path, max_bytes: int) -> None:
    num_bytes = 0
    for name, content in files:
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        with target.open("wb") as file:
            while block := content.read(_COPY_BYTES):
                num_bytes += len(block)
                _check_limits(archive, 0, num_bytes, max_bytes)
                file.write(block)


def _check_limits(archive: Path, num_files: int, num_bytes: int, max_bytes: int) -> None:
    if num_bytes > max_bytes or num_files > MAX_FILES:
        advice = "if that is right, unpack it yourself and pass the folder"
        raise DataError(f"{archive}: holds more than {max_bytes} bytes or {MAX_FILES} files; {advice}")


def _tar_files(archive: Path, wanted: Wanted, max_bytes: int) -> Iterator[tuple[str, IO[bytes]]]:
    with (
        _unpacked(archive) as unpacked,
        _Limited(unpacked) as file,
        tarfile.open(fileobj=file, mode="r:") as tar,
    ):
        num_members = 0
        while (member := tar.next()) is not None:
            num_members += 1
            tar.members = []  # type: ignore[attr-defined]  # the list of all that were read
            _check_limits(archive, num_members, member.offset_data + member.size, max_bytes)
            _check_name(member.name, archive)
            if member.issparse() or not (member.isdir() or member.isfile()):
                kind = "a sparse file" if member.issparse() else "a link or device"
                raise DataError(f"{archive}: {shortened(member.name)} is {kind}; do not trust this archive")
            if member.isfile() and wanted(PurePosixPath(member.name)):
                content = tar.extractfile(member)
                assert content is not None, "a regular file has content"
                file.left_bytes = max_bytes
                yield member.name, content
            file.left_bytes = MAX_HEADER_BYTES


def _unpacked(archive: Path) -> Any:
    """Opens an archive for reading, unpacked where its first bytes say that it is packed."""
    with archive.open("rb") as file:
        start = file.read(2)
    return _UNPACKERS.get(start, open)(archive, "rb")


def _zip_files(archive: Path, wanted: Wanted, max_bytes: int) -> Iterator[tuple[str, IO[bytes]]]:
    with archive.open("rb", buffering=0) as raw, _Limited(raw) as file:
        file.left_bytes = MAX_INDEX_BYTES
        with zipfile.ZipFile(file) as container:
            file.left_bytes = archive.stat().st_size + max_bytes
            members = container.infolist()
            _check_limits(archive, len(members), 0, max_bytes)
            for member in members:
                _check_zip_member(member, archive)
                if not member.is_dir() and wanted(PurePosixPath(member.filename)):
                    with container.open(member) as content:
                        yield member.filename, content


def _check_zip_member(member: zipfile.ZipInfo, archive: Path) -> None:
    _check_name(member.filename, archive)
    if stat.S_ISLNK(member.external_attr >> 16):
        raise DataError(f"{archive}: {shortened(member.filename)} is a link; do not trust this archive")
    encrypted = member.flag_bits & 1
    if encrypted or member.compress_type not in _ZIP_METHODS:
        problem = "is encrypted" if encrypted else "is compressed in another way than usual"
        raise DataError(
            f"{archive}: {shortened(member.filename)} {problem}; unpack it yourself and pass the folder"
        )


def _check_name(name: str, archive: Path) -> None:
    """Refuses a name that leads out of the folder on any system."""
    absolute = name.startswith(("/", "\\")) or PureWindowsPath(name).drive
    if absolute or ".." in PureWindowsPath(name).parts:
        raise DataError(
            f"{archive}: {shortened(name)} leads out of the archive's folder; do not trust this archive"
        )
