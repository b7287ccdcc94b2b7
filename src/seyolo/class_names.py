"""Class names: files of them, the files beside a cfg, and which classes of two lists are the same.

Darknet keeps names apart from the network. A file is found beside `x.cfg` if it is `x.names`, or else
`coco.names`, `voc.names`, `obj.names` or the `names` of a `.data` file, or else a `.names` file that bears
the name of no other model there, where it has as many names as the network has classes. What was found,
other than `x.names`, is logged at level INFO, which the command line prints.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from seyolo.errors import UsageError, counted, shortened

USUAL_FILES = ("coco.names", "voc.names", "obj.names")
_LOGGER = logging.getLogger(__name__)


def default_names(count: int) -> tuple[str, ...]:
    """Returns default class names: `class 0`, `class 1`, ..."""
    return tuple(f"class {index}" for index in range(count))


def read_names(path: Path) -> tuple[str, ...]:
    """Reads the lines of a names file, without empty ones; raises UsageError where there are none."""
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"--names {path}: cannot be read as text ({error})") from None
    names = tuple(line.strip() for line in lines if line.strip())
    if not names:
        raise UsageError(f"--names {path}: holds no names; write one per line")
    return names


def names_beside(cfg: Path, num_classes: int) -> tuple[str, ...] | None:
    """Returns the names of the file beside a cfg; None without one, and where two that differ fit."""
    own = cfg.with_suffix(".names")
    names = _names_or_none(own)
    if names is not None and len(names) != num_classes:
        counts = f"holds {counted(len(names), 'name')}, {cfg.name} has {counted(num_classes, 'class')}"
        _LOGGER.info("%s: %s, so it is not used", own, counts)
    found = {names: own} if names is not None and len(names) == num_classes else {}
    usual = [cfg.parent / name for name in USUAL_FILES]
    found = found or _fitting([*usual, *_of_data_files(cfg.parent)], num_classes)
    found = found or _fitting(_of_no_other(cfg), num_classes)
    if len(found) > 1:
        files = " and ".join(map(str, found.values()))
        said = f"{files} fit its {counted(num_classes, 'class')} and differ, so these stay numbered"
        _LOGGER.info("%s: %s; give one of them with --names FILE", cfg, said)
        return None
    for path in found.values():
        if path != own:
            _LOGGER.info("%s: the class names are those of %s", cfg, path)
    return next(iter(found), None)


def _fitting(paths: Iterable[Path], num_classes: int) -> dict[tuple[str, ...], Path]:
    """Returns the first file of each list of as many names as there are classes."""
    found: dict[tuple[str, ...], Path] = {}
    for path in paths:
        names = _names_or_none(path)
        if names is not None and len(names) == num_classes:
            found.setdefault(names, path)
    return found


def _of_no_other(cfg: Path) -> Iterator[Path]:
    """Yields the names files beside a cfg that do not bear the name of another model."""
    for path in sorted(cfg.parent.glob("*.names")):
        if not any(path.with_suffix(ending).exists() for ending in (".cfg", ".weights")):
            yield path


def _of_data_files(folder: Path) -> Iterator[Path]:
    """Yields the names files of Darknet's `.data` files, from their folder, the one above, or the current."""
    for data in sorted(folder.glob("*.data")):
        try:
            text = data.read_text(encoding="utf-8-sig")
        except (OSError, UnicodeDecodeError):
            continue
        for value in re.findall(r"(?m)^\s*names\s*=\s*(\S.*?)\s*$", text.replace("\\", "/")):
            yield from (base / value for base in (folder, folder.parent, Path()) if (base / value).is_file())


def _names_or_none(path: Path) -> tuple[str, ...] | None:
    try:
        return read_names(path) if path.is_file() else None
    except UsageError:
        return None


def is_default(names: Sequence[str]) -> bool:
    """Tells whether names are the default ones, which say nothing about their classes."""
    return tuple(names) == default_names(len(names))


def same_classes(wanted: Sequence[str], given: Sequence[str]) -> tuple[int | None, ...]:
    """Returns for each wanted class the number of the given class of that name; None where there is none.

    Upper and lower case and the signs between words do not matter where names stay unique without them.
    Default names stand for any, by number, if there are as many.
    """
    if is_default(wanted) or is_default(given):
        return tuple(range(len(wanted))) if len(wanted) == len(given) else (None,) * len(wanted)
    plain = [[re.sub(r"[\W_]+", " ", name.casefold()).strip() for name in names] for names in (wanted, given)]
    if all(len(set(names)) == len(names) for names in plain):
        wanted, given = plain
    return tuple(given.index(name) if name in given else None for name in wanted)


def listed(names: Sequence[str]) -> str:
    """Returns the first few names, and their number where there are more."""
    return shortened(", ".join(names[:5])) + (f", … ({len(names)})" if len(names) > 5 else "")
