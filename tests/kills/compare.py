"""Bit-by-bit comparison of the folders of two runs."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

TIMES = ("seconds", "pictures_per_s")
"""Columns of results.csv, also in the state of a run: an epoch takes another time each time."""


def differences(expected: Path, found: Path) -> list[str]:
    """Returns the names of files that differ, are missing or are too many, folders included."""
    wanted, present = _names(expected), _names(found)
    lines = [f"missing: {name}" for name in sorted(wanted - present)]
    lines += [f"left over: {name}" for name in sorted(present - wanted)]
    for name in sorted(wanted & present):
        if (expected / name).is_file():
            lines += [f"differs: {name}{place}" for place in _different(expected / name, found / name)]
    return lines


def _names(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*")}


def _different(expected: Path, found: Path) -> Iterator[str]:
    """Yields where two files differ: an empty text for the whole file."""
    first, second = expected.read_bytes(), found.read_bytes()
    if first == second:
        return
    reader = READERS.get(expected.name) or READERS.get(expected.suffix)
    if reader is None:
        yield ""
        return
    try:
        before, after = reader(first), reader(second)
    except (ValueError, KeyError) as error:
        yield f" cannot be read: {error}"
        return
    unequal = [key for key in {**before, **after} if before.get(key) != after.get(key)]
    if unequal:
        yield f": {', '.join(unequal[:3])}" + (f" and {len(unequal) - 3} more" if len(unequal) > 3 else "")


def read_safetensors(data: bytes) -> dict[str, Any]:
    """Returns dtype, shape and bytes of every tensor, and the metadata without times and their checksum.

    The library writes the keys of the metadata in an order that it draws anew each time.

    Raises:
        ValueError: the file is not whole.
    """
    size = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + size])
    texts = header.pop("__metadata__", {})
    parts: dict[str, Any] = {}
    end = 0
    for name, tensor in header.items():
        first, last = tensor["data_offsets"]
        end = max(end, last)
        parts[name] = (tensor["dtype"], tensor["shape"], data[8 + size + first : 8 + size + last])
    if len(data) != 8 + size + end:
        raise ValueError(f"{len(data)} bytes instead of {8 + size + end}")
    values, has_times = _without_times(texts.pop("values", ""))
    if has_times:
        texts.pop("checksum", None)  # covers the times
    return parts | {f"metadata {name}": text for name, text in texts.items()} | {"metadata values": values}


def _without_times(text: str) -> tuple[Any, bool]:
    """Returns the record of a run without times, and whether there were any."""
    values = json.loads(text or "{}")
    return (kept := _drop_times(values)), kept != values


def _drop_times(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _drop_times(part) for key, part in value.items() if key not in TIMES}
    return [_drop_times(part) for part in value] if isinstance(value, list) else value


def _read_rows(data: bytes) -> dict[str, Any]:
    """Returns the rows of a results.csv by epoch, without times."""
    rows = csv.DictReader(io.StringIO(data.decode()))
    return {row["epoch"]: {name: value for name, value in row.items() if name not in TIMES} for row in rows}


def _read_commands(data: bytes) -> dict[str, Any]:
    """Returns the first line of a commands.txt: every resume adds one."""
    return {"line 1": data.decode().splitlines()[0]}


def _read_start(data: bytes) -> dict[str, Any]:
    """Returns a start.json without the time, an estimate that is measured."""
    values: dict[str, Any] = json.loads(data)
    del values["seconds"]
    return values


def _read_page(data: bytes) -> dict[str, Any]:
    """Returns the lines of a report without the command lines that it lists, see `_read_commands`."""
    lines = data.decode().replace("command lines of this run", "command line of this run").splitlines()
    kept = [line for line in lines if not line.startswith("python -m seyolo ")]
    return {f"line {number}": line for number, line in enumerate(kept, 1)}


READERS: dict[str, Callable[[bytes], dict[str, Any]]] = {
    ".safetensors": read_safetensors,
    "results.csv": _read_rows,
    "commands.txt": _read_commands,
    "start.json": _read_start,
    "report.html": _read_page,
}
"""Readers of files that are not compared as bytes: what they leave out is all that may differ."""


def broken(folder: Path) -> list[str]:
    """Returns the files under a final name that are not whole: wrong ends, JSON or sizes."""
    paths = (path for path in folder.rglob("*") if path.is_file() and not path.name.startswith("."))
    return [path.relative_to(folder).as_posix() for path in paths if not _is_whole(path)]


def _is_whole(path: Path) -> bool:
    data = path.read_bytes()
    if path.suffix == ".json":
        return _parses(json.loads, data)
    if path.suffix == ".safetensors":
        return _parses(read_safetensors, data)
    if path.suffix in ENDS:
        return data.endswith(ENDS[path.suffix])
    return True


ENDS = {".png": b"IEND\xaeB`\x82", ".jpg": b"\xff\xd9", ".csv": b"\n", ".html": b"</html>", ".md": b"\n"}


def _parses(read: Callable[[bytes], Any], data: bytes) -> bool:
    try:
        read(data)
    except (ValueError, KeyError):
        return False
    return True
