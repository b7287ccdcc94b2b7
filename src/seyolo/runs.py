"""Run folders: `runs/<verb>/<name>/`, a new one for each run, or the one of a resumed run.

A new folder appears under its name together with the options of its run, so that every folder can be resumed.
While a run works in it, it is locked.
"""

from __future__ import annotations

import errno
import os
import shutil
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import BinaryIO

from seyolo.errors import SeyoloError, TrainingError, UsageError
from seyolo.files import is_running, new_folder, remove_leftovers

RUNS = Path("runs")
STATE_FILE, BEST_FILE = "state.safetensors", "best.safetensors"
SLIM_ONNX, SLIM_INT8, SLIM_CHECKPOINT = "slim.onnx", "slim_int8.onnx", "slim.safetensors"
STATE_PATTERNS = (STATE_FILE, f"*/{BEST_FILE}", f"*/{STATE_FILE}", "pruned.safetensors")
"""Files of a run that hold finished work."""
LOCK_FILE = ".lock"
LOCKED_BYTE = 1 << 30  # beyond the text, which others may read where a lock forbids reading
ORPHANS_S = 10.0  # a killed run's loader processes hold its lock until they notice


@dataclass
class NewRun:
    """The folder of a new run: `name`, or the verb with the first free number; `path` once it is taken.

    Raises:
        UsageError: `name` is taken, or is not a plain folder name.
    """

    verb: str
    name: str | None = None
    root: Path = RUNS
    path: Path | None = None

    def __post_init__(self) -> None:
        name = self.name
        if name is not None and (not name or Path(name).name != name or name.startswith(".")):
            raise UsageError(f"--name {name!r}: give one plain folder name, without slashes")
        if name is not None and _is_used(self.root / self.verb / name):
            raise self._taken(self.root / self.verb / name)

    @property
    def taken(self) -> Path:
        """The path, after the folder was taken."""
        assert self.path is not None
        return self.path

    def take(self, fill: Callable[[Path], None]) -> Path:
        """Makes the folder with the files that `fill` writes into it; no other process gets the same one."""
        for number in count(1):
            name = self.name or (self.verb if number == 1 else f"{self.verb}-{number}")
            folder = self.root / self.verb / name
            if not _is_used(folder) and make_folder(folder, fill):
                self.path = folder
                return folder
            if self.name is not None:
                raise self._taken(folder)
        raise AssertionError("numbers do not end")

    def _taken(self, folder: Path) -> UsageError:
        message = f"{folder}: there is a run of this name already"
        return UsageError(f"{message}; choose another --name, or resume it: --resume {folder}")


def make_folder(folder: Path, fill: Callable[[Path], None]) -> bool:
    """Makes a folder that appears with the files that `fill` writes into it; false where there is one."""
    try:
        with new_folder(folder) as prepared:
            fill(prepared)
    except OSError:
        if not folder.exists():
            raise
        return False
    return True


def _is_used(path: Path) -> bool:
    return path.exists() and not (path.is_dir() and not any(path.iterdir()))


@contextmanager
def new_run(
    verb: str, place: NewRun | str | Path, marker: str, write: Callable[[Path], None]
) -> Iterator[Path]:
    """Takes and locks the folder of a new run; on an error of the user, removes one without finished work.

    Args:
        verb: for the command in messages.
        place: a new folder under `runs`, or any folder without a run.
        marker: the file that tells a run.
        write: writes that file, given its path.

    Raises:
        TrainingError: the folder holds a run already.
        KeyboardInterrupt: its text is the command that resumes the run.
    """
    was_there = not isinstance(place, NewRun) and Path(place).exists()

    def fill(prepared: Path) -> None:
        write(prepared / marker)

    if isinstance(place, NewRun):
        folder, is_made = place.take(fill), True
    else:
        folder = Path(place)
        is_made = not was_there and make_folder(folder, fill)
    is_new = is_made or not _is_used(folder)
    with locked(folder):
        if not is_made:
            if (folder / marker).exists():
                message = f"{folder}: holds a run already; resume it or choose another --name"
                raise TrainingError(message)
            write(folder / marker)
        try:
            with _saying_how_to_resume(verb, folder):
                yield folder
        except SeyoloError:
            if not any(any(folder.glob(name)) for name in STATE_PATTERNS):
                _remove_run(folder, marker, is_new=is_new, keeps_folder=was_there)
            raise


def _remove_run(folder: Path, marker: str, *, is_new: bool, keeps_folder: bool) -> None:
    """Removes a run without work in it, from a folder with other files only what makes it a run."""
    if not is_new:
        (folder / marker).unlink(missing_ok=True)
        return
    shutil.rmtree(folder, ignore_errors=True)
    if keeps_folder:
        folder.mkdir(parents=True, exist_ok=True)


@contextmanager
def resumed_run(verb: str, folder: str | Path, marker: str) -> Iterator[Path]:
    """Locks the folder of a run to resume, which contains the file `marker`, and removes leftovers.

    Raises:
        TrainingError: there is no such run, or a process works in it.
        KeyboardInterrupt: its text is the command that resumes the run.
    """
    folder = existing_run(folder, marker)
    remove_leftovers(folder.absolute().parent, is_ours=False)
    with locked(folder), _saying_how_to_resume(verb, folder):
        remove_leftovers(folder)
        yield folder


def existing_run(folder: str | Path, marker: str) -> Path:
    """Returns the folder of a run, which contains the file `marker`.

    Raises:
        TrainingError: there is no such run.
    """
    folder = Path(folder)
    if not (folder / marker).is_file():
        others = {"dense": "slim", "command.json": "train", "study.json": "study"}
        verb = next((verb for name, verb in others.items() if (folder / name).exists()), None)
        advice = f"there is one of {verb}: seyolo {verb} --resume {folder}" if verb else "name its folder"
        named = sorted(path.parent for path in RUNS.glob(f"*/{folder.name}/{marker}"))
        if named and verb is None:
            advice = f"did you mean --resume {named[0]}?"
        raise TrainingError(f"{folder}: there is no run to resume here (it has no {marker}); {advice}")
    return folder


@contextmanager
def _saying_how_to_resume(verb: str, folder: Path) -> Iterator[None]:
    try:
        yield
    except KeyboardInterrupt:
        raise KeyboardInterrupt(f"resume with: seyolo {verb} --resume {folder}") from None


@contextmanager
def locked(folder: Path, name: str = LOCK_FILE) -> Iterator[None]:
    """Locks a folder against other processes; the system unlocks it when this process ends, however it ends.

    Raises:
        TrainingError: another process works in it; the message names it.
    """
    path = folder / name
    with _locked_file(path) as file:
        file.truncate(0)
        file.write(f"{os.getpid()} {socket.gethostname()}".encode())
        file.flush()
        try:
            yield
        finally:
            with suppress(OSError):  # Windows keeps open files
                path.unlink()


def _locked_file(path: Path) -> BinaryIO:
    end = time.monotonic() + ORPHANS_S
    while True:
        file = path.open("a+b")
        if _try_lock(file):
            if path.exists() and os.path.samestat(os.fstat(file.fileno()), path.stat()):
                return file
            file.close()  # its owner removed it in between
            continue
        file.seek(0)
        number, _, host = file.read().decode(errors="replace").partition(" ")
        file.close()
        is_orphaned = host == socket.gethostname() and number.isdecimal() and not is_running(int(number))
        if not is_orphaned or time.monotonic() > end:
            holder = f"process {number} on {host}" if number else "another process"
            raise TrainingError(f"{path.parent}: {holder} works in this folder; wait for it or stop it")
        time.sleep(0.1)


def _try_lock(file: BinaryIO) -> bool:
    """Locks a file; false where another process holds the lock."""
    try:
        import fcntl  # noqa: PLC0415 (Windows has another one)
    except ImportError:
        import msvcrt  # noqa: PLC0415

        file.seek(LOCKED_BYTE)
        lock, *arguments = msvcrt.locking, file.fileno(), msvcrt.LK_NBLCK, 1  # type: ignore[attr-defined]
    else:
        lock, *arguments = fcntl.flock, file.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB
    try:
        lock(*arguments)
    except OSError as error:
        return error.errno not in (errno.EACCES, errno.EAGAIN)  # others: a file system without locks
    return True
