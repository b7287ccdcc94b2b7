"""Reading of text files, with errors that name the file."""

from __future__ import annotations

from pathlib import Path

from seyolo.errors import DataError, shortened


def read_text(path: str | Path) -> str:
    """Reads a UTF-8 text file, with or without byte order mark; raises DataError for any other file."""
    try:
        with open(path, encoding="utf-8-sig") as file:
            return file.read()
    except FileNotFoundError:
        raise DataError(f"{path}: no such file") from None
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: not a text file in UTF-8") from error
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror})") from error


def read_start(path: str | Path, num_bytes: int = 4096) -> str:
    """Returns the first bytes of a file as text; raises DataError for one that cannot be read."""
    try:
        with open(path, "rb") as file:
            return file.read(num_bytes).decode("utf-8-sig", errors="replace")
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({shortened(str(error.strerror))})") from None


def read_lines(path: str | Path) -> dict[int, str]:
    """Returns the stripped lines of a text file by their numbers from 1, without empty ones."""
    lines = enumerate(map(str.strip, read_text(path).splitlines()), start=1)
    return {number: line for number, line in lines if line}


def read_class_names(path: str | Path) -> tuple[str, ...]:
    """Returns the class names in a file, one per line; raises DataError for none, a gap or a repeated one."""
    names = tuple(line.strip() for line in read_text(path).rstrip().splitlines())
    if not names:
        raise DataError(f"{path}: names no class; write one per line")
    for line, name in enumerate(names, start=1):
        if not name:
            raise DataError(f"{path}:{line}: empty line between the class names; remove it")
        if name in names[: line - 1]:
            raise DataError(
                f"{path}:{line}: the class {shortened(name)} is repeated; remove one of the lines"
            )
    return names


def without_path(error: DataError, path: Path) -> str:
    """Returns the text of an error about a file without the file's path."""
    return str(error).removeprefix(f"{path}: ")
