"""Atomic writing of files: the final name never holds half a file, whether a process or the machine stops."""

from __future__ import annotations

import errno
import json
import os
import re
import secrets
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

LEFTOVER = re.compile(r"\..*\.(\d+)\.partial(\.\w+)*")


def cache_root() -> Path:
    """Returns the folder of what can be made again: SEYOLO_CACHE, else `seyolo` in the user's cache."""
    if chosen := os.environ.get("SEYOLO_CACHE"):
        return Path(chosen)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "seyolo"


@contextmanager
def replacing(path: str | Path, *, sync: bool = True) -> Iterator[Path]:
    """Yields a temporary path beside `path` and renames it onto `path` when the block succeeds.

    The temporary name has the same ending, since many writers choose the format by it. When the block raises,
    the temporary file is removed and `path` is not changed. Of a symbolic link, the target is replaced;
    devices and pipes are written to. `sync` writes the content to disk before it gets the name.

    Raises:
        OSError: from the system, always with `path` as its file name.
    """
    target = Path(os.path.realpath(path))
    is_special = target.exists() and not target.is_file() and not target.is_dir()
    folder = Path(tempfile.gettempdir()) if is_special else target.parent
    temporary = folder / f".{target.stem}.{os.getpid()}.partial{target.suffix}"
    with _naming(Path(path), temporary):
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except FileExistsError:
            raise NotADirectoryError(errno.ENOTDIR, "is a file, not a folder", str(folder)) from None
        try:
            yield temporary
            if is_special:
                target.write_bytes(temporary.read_bytes())
            else:
                if sync:
                    _sync(temporary)
                os.replace(temporary, target)
        finally:
            temporary.unlink(missing_ok=True)


def _sync(path: Path) -> None:
    with path.open("r+b") as file:
        os.fsync(file.fileno())


def remove_leftovers(folder: Path, *, is_ours: bool = True) -> None:
    """Removes temporary files and folders of processes that were killed, and of none that runs.

    Args:
        folder: where to look.
        is_ours: no other process writes there and this one has not begun to, so that also subfolders and what
            bears this process's number, which it may have from a killed one, are looked at.
    """
    for path in list(folder.rglob(".*.partial*") if is_ours else folder.glob(".*.partial*")):
        match = LEFTOVER.fullmatch(path.name)
        number = int(match[1]) if match else os.getpid()
        if match is None or (is_running(number) and not (is_ours and number == os.getpid())):
            continue
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)


def is_running(process: int) -> bool:
    """Tells whether a process of this number runs on this machine; on Windows always true."""
    if os.name == "nt":
        return True  # a signal would stop it there
    try:
        os.kill(process, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except OSError:  # it belongs to somebody else
        return True
    return True


@contextmanager
def new_folder(path: Path) -> Iterator[Path]:
    """Yields a hidden folder beside `path`, renamed to it when the block succeeds, else removed.

    Leftovers of killed processes beside `path` are removed. An empty folder there gives way; one with files
    is an OSError.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    remove_leftovers(path.parent, is_ours=False)
    prepared = path.with_name(f".{path.name}-{secrets.token_hex(4)}.{os.getpid()}.partial")
    prepared.mkdir()
    try:
        yield prepared
        if path.is_dir():
            path.rmdir()  # not every system renames onto an empty folder
        prepared.rename(path)
    finally:
        shutil.rmtree(prepared, ignore_errors=True)


def check_writable(path: str | Path) -> None:
    """Checks that `replacing` can write `path`, without making a file or folder.

    Raises:
        OSError: `path` is a folder, or its folder is not writable.
    """
    target = Path(os.path.realpath(path))
    if target.is_dir():
        raise IsADirectoryError(errno.EISDIR, "is a folder, not a file", str(path))
    if target.exists() and not target.is_file():
        if not os.access(target, os.W_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))
        return
    folder = next(folder for folder in target.parents if folder.exists())
    if not folder.is_dir():
        raise NotADirectoryError(errno.ENOTDIR, "is a file, not a folder", str(folder))
    try:
        tempfile.TemporaryFile(dir=folder).close()
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(folder)) from None


@contextmanager
def _naming(path: Path, temporary: Path) -> Iterator[None]:
    """Gives system errors inside the context the file name `path` instead of the temporary name or none."""
    try:
        yield
    except OSError as error:
        if error.errno is None or error.filename not in (None, str(temporary), temporary):
            raise
        raise OSError(error.errno, error.strerror, str(path)) from error


def write_bytes(path: str | Path, data: bytes, *, sync: bool = True) -> None:
    """Writes bytes in one step: the old file or the new one, never half; `sync` as in `replacing`."""
    with replacing(path, sync=sync) as temporary:
        temporary.write_bytes(data)


def write_text(path: str | Path, text: str) -> None:
    """Writes UTF-8 text in one step: the old file or the new one, never half."""
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json(path: str | Path, value: object) -> None:
    """Writes `value` as indented JSON in one step."""
    write_text(path, json.dumps(value, indent=2) + "\n")
