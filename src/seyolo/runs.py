"""Run folders: `runs/<verb>/<name>/`, a new one for each run, or the one of a resumed run."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path

from seyolo.errors import SeyoloError, TrainingError, UsageError

RUNS = Path("runs")
STATE_PATTERNS = ("state.safetensors", "*/best.safetensors", "*/state.safetensors", "pruned.safetensors")
"""Files of a run that can be resumed."""


def new_run(verb: str, name: str | None = None, root: Path = RUNS) -> Path:
    """Returns the path of a new run folder: `name`, or the verb with the first free number.

    Raises:
        UsageError: `name` is taken, or is not a plain folder name.
    """
    if name is not None:
        if not name or Path(name).name != name or name.startswith("."):
            raise UsageError(f"--name {name!r}: give one plain folder name, without slashes")
        folder = root / verb / name
        if folder.exists():
            message = f"{folder}: there is a run of this name already"
            raise UsageError(f"{message}; choose another --name, or resume it: --resume {folder}")
        return folder
    names = (verb if number == 1 else f"{verb}-{number}" for number in count(1))
    return next(folder for folder in (root / verb / name for name in names) if not folder.exists())


def existing_run(folder: str | Path, marker: str) -> Path:
    """Returns the folder of a run to resume, which contains the file `marker`.

    Raises:
        TrainingError: there is no such run.
    """
    folder = Path(folder)
    if not (folder / marker).is_file():
        raise TrainingError(f"{folder}: there is no run to resume here (it has no {marker}); name its folder")
    return folder


@contextmanager
def resumable(verb: str, folder: Path) -> Iterator[None]:
    """Adds the resume command on Ctrl-C; on an error deletes a new run folder without checkpoints.

    Raises:
        KeyboardInterrupt: its text is the command that resumes the run.
    """
    is_new = not folder.exists()
    try:
        yield
    except KeyboardInterrupt:
        if folder.exists():
            raise KeyboardInterrupt(f"resume with: seyolo {verb} --resume {folder}") from None
        raise
    except (SeyoloError, OSError):
        if is_new and folder.exists() and not any(any(folder.glob(name)) for name in STATE_PATTERNS):
            shutil.rmtree(folder, ignore_errors=True)
        raise
