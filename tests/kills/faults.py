"""File operations of a process, counted, and the one at which it dies or finds the disk full.

An operation is a call that changes what is on the disk below one folder: making, renaming, removing, syncing
or opening a file for writing, each write to it, and the calls of safetensors and OpenCV that write files by
themselves. Files written through Python are counted where the buffered bytes reach the system.
"""

from __future__ import annotations

import builtins
import errno
import io
import os
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

BEFORE, HALF, AFTER = "before", "half", "after"
PHASES = (BEFORE, HALF, AFTER)
WRITES = ("write", "safetensors", "imwrite")
"""Operations that can end half-way; in the middle of another one is before it."""
NEEDS_SPACE = (*WRITES, "open", "mkdir", "fsync")
"""Operations that fail on a full disk; a rename inside a folder needs no space."""


@dataclass(frozen=True)
class Fault:
    """The moment of a fault.

    Attributes:
        number: of the file operation, from 1.
        phase: before, in the middle of, or after it.
        is_full: the disk is full from then on; otherwise the process kills itself and its group.
        gate: instead of both, the process waits before the operation until this file exists; it makes a file
            with `.reached` behind that name when it comes there.
    """

    number: int
    phase: str = BEFORE
    is_full: bool = False
    gate: str = ""


class Operations:
    """Counts the operations below `root`; writes their names to `log`, where the fault's is the last."""

    def __init__(self, root: Path, fault: Fault | None, log: Path) -> None:
        self.root = os.path.realpath(root)
        self.fault = fault
        self.log = os.open(log, os.O_CREAT | os.O_WRONLY | os.O_TRUNC)
        self.pid = os.getpid()
        self.count = 0
        self.is_full = False

    def covers(self, path: Any, dir_fd: int | None = None) -> str | None:
        """Returns the path below the root, or None for one outside of it."""
        if isinstance(path, int):
            path = os.readlink(f"/proc/self/fd/{path}")
        elif dir_fd is not None:
            path = os.path.join(os.readlink(f"/proc/self/fd/{dir_fd}"), os.fsdecode(path))
        whole = os.path.abspath(os.fsdecode(path))
        return os.path.relpath(whole, self.root) if whole.startswith(self.root + os.sep) else None

    def run(self, name: str, path: str | None, call: Callable[[], Any], half: Callable[[], Any]) -> Any:
        """Does an operation, or what the fault makes of it; `half` does a part of it.

        Raises:
            OSError: the disk is full.
        """
        if path is None or os.getpid() != self.pid:
            return call()
        self.count += 1
        fault = self.fault
        is_now = fault is not None and fault.number == self.count
        phase = fault.phase if fault is not None and is_now else ""
        REAL_WRITE(self.log, f"{self.count} {phase} {name} {path}\n".encode())
        if fault is not None and fault.gate:
            if is_now:
                _wait_at(Path(fault.gate))
            return call()
        if fault is not None and fault.is_full:
            return self._run_on_full(name, call, half, starts=is_now)
        if phase == HALF and name in WRITES:
            half()
        elif phase == AFTER:
            with suppress(OSError):
                call()
        if phase:
            os.killpg(os.getpgrp(), signal.SIGKILL)
        return call()

    def _run_on_full(self, name: str, call: Callable[[], Any], half: Callable[[], Any], starts: bool) -> Any:
        was_full, self.is_full = self.is_full, self.is_full or starts
        if not self.is_full or name not in NEEDS_SPACE:
            return call()
        if not was_full and name in WRITES:
            half()
        if name == "imwrite":
            return False  # as OpenCV does, without a word
        if name == "safetensors":
            from safetensors import SafetensorError  # noqa: PLC0415 (only in processes that write such files)

            text = "Error while serializing: I/O error: No space left on device (os error 28)"
            raise SafetensorError(text)
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def _wait_at(gate: Path) -> None:
    with REAL_OPEN(f"{gate}.reached", "w"):
        pass
    while not gate.exists():
        time.sleep(0.002)


REAL_WRITE = os.write
REAL_OPEN = io.open


def install(operations: Operations) -> None:
    """Replaces the functions of the process that change files by ones that count."""
    _install_os(operations)
    _install_open(operations)
    _install_libraries(operations)


def _nothing() -> None:
    """Does no part of an operation."""


def _install_os(operations: Operations) -> None:
    for name in ("replace", "rename", "mkdir", "rmdir", "unlink", "remove", "link", "symlink", "truncate"):
        setattr(os, name, _counted(operations, getattr(os, name), name))
    os.ftruncate = _counted(operations, os.ftruncate, "truncate")
    # Counted but not done: a kill loses nothing that the system has, and a sync takes longer than a step.
    os.fsync = os.fdatasync = _counted(operations, lambda fd: None, "fsync")
    real_write, real_open = os.write, os.open

    def write(fd: int, data: bytes) -> int:
        half = bytes(data)[: len(data) // 2]
        return operations.run(
            "write", operations.covers(fd), lambda: real_write(fd, data), lambda: real_write(fd, half)
        )

    def open_(path: Any, flags: int, mode: int = 0o777, *, dir_fd: int | None = None) -> int:
        def call() -> int:
            return real_open(path, flags, mode, dir_fd=dir_fd)

        where = operations.covers(path, dir_fd) if flags & (os.O_CREAT | os.O_TRUNC) else None
        return operations.run("open", where, call, _nothing)

    os.write, os.open = write, open_


def _counted(operations: Operations, real: Callable[..., Any], name: str) -> Callable[..., Any]:
    """Returns a counting stand-in for a function whose last path names what changes."""

    def stand_in(*args: Any, **keywords: Any) -> Any:
        fds = [keywords[key] for key in ("dir_fd", "dst_dir_fd") if keywords.get(key) is not None]
        path = args[1] if name in ("replace", "rename", "link", "symlink") and len(args) > 1 else args[0]
        where = operations.covers(path.fileno() if hasattr(path, "fileno") else path, *fds[:1])
        return operations.run(name, where, lambda: real(*args, **keywords), _nothing)

    return stand_in


class CountedFile(io.FileIO):
    """A file whose writes are counted."""

    operations: Operations
    where: str | None

    def write(self, data: Any) -> int | None:
        view = memoryview(data).cast("B")
        real = super().write
        return self.operations.run(
            "write", self.where, lambda: real(view), lambda: real(view[: len(view) // 2])
        )


def _install_open(operations: Operations) -> None:
    def open_(  # noqa: PLR0917 (the parameters of `open`)
        file: Any,
        mode: str = "r",
        buffering: int = -1,
        encoding: str | None = None,
        errors: str | None = None,
        newline: str | None = None,
        closefd: bool = True,
        opener: Any = None,
    ) -> Any:
        where = operations.covers(file) if set(mode) & set("wax+") else None
        if where is None:
            return REAL_OPEN(file, mode, buffering, encoding, errors, newline, closefd, opener)

        def call() -> CountedFile:
            return CountedFile(file, mode.replace("b", "").replace("t", ""), closefd, opener)

        raw = operations.run("open", where, call, _nothing)
        raw.operations, raw.where = operations, where
        if buffering == 0:
            return raw
        buffered = io.BufferedRandom(raw) if "+" in mode else io.BufferedWriter(raw)
        if "b" in mode:
            return buffered
        text = io.TextIOWrapper(buffered, encoding, errors, newline, line_buffering=buffering == 1)
        text.mode = mode
        return text

    builtins.open = io.open = open_


def _install_libraries(operations: Operations) -> None:
    """Counts the writers that do not go through Python, where the process has them or will."""
    import cv2  # noqa: PLC0415 (after the functions above are replaced)
    import safetensors.numpy  # noqa: PLC0415
    import safetensors.torch  # noqa: PLC0415

    def serialize_file(data: Any, path: Any, *args: Any, **keywords: Any) -> Any:
        def half() -> None:
            # The library writes to a hidden file of a random name beside the given one.
            content = safetensors.serialize(data, *args, **keywords)
            if not operations.is_full:
                with REAL_OPEN(Path(path).parent / f".tmp{operations.count:06d}", "wb") as file:
                    file.write(content[: len(content) // 2])

        def call() -> Any:
            return real(data, path, *args, **keywords)

        return operations.run("safetensors", operations.covers(path), call, half)

    real = safetensors.serialize_file
    for module in (safetensors, safetensors.numpy, safetensors.torch):
        module.serialize_file = serialize_file
    real_imwrite = cv2.imwrite

    def imwrite(path: str, image: Any, *args: Any) -> bool:
        def half() -> None:
            _, data = cv2.imencode(Path(path).suffix, image, *args)
            if not operations.is_full:
                with REAL_OPEN(path, "wb") as file:
                    file.write(data.tobytes()[: len(data) // 2])

        return operations.run(
            "imwrite", operations.covers(path), lambda: real_imwrite(path, image, *args), half
        )

    cv2.imwrite = imwrite
