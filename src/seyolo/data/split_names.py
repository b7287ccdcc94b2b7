"""Splits by the names of files, folders and keys: `train`, `val` and `test`, and other words for them."""

from __future__ import annotations

import re
from collections.abc import Collection

from seyolo.errors import DataError, shortened

SPLITS = ("train", "val", "test")
WORD = re.compile(r"(?<![a-z])(train(ing)?|val(id(ation)?)?|test(ing)?)(?![a-z])", re.IGNORECASE)
"""A word that names a split, and no part of another word."""
REST = "default"  # CVAT's name for the images of no split


def split_of(name: str) -> str | None:
    """Returns the split that a whole name stands for: `val` for Validation, nothing for latest."""
    if WORD.fullmatch(name) is None:
        return None
    return next(split for split in SPLITS if name.lower().startswith(split))


def by_split(names: Collection[str], where: object) -> dict[str, str]:
    """Returns which of these names stands for each split; CVAT's `default` is `train` where no other is.

    Raises DataError, which begins with `where`, for two names of one split.
    """
    found: dict[str, str] = {}
    for name in names:
        if (split := split_of(name)) is None:
            continue
        if split in found:
            both = f"{shortened(found[split])} and {shortened(name)}"
            raise DataError(f"{where}: {both} both name the split `{split}`; rename or remove one of them")
        found[split] = name
    for name in names:
        if name.lower() == REST:
            found.setdefault("train", name)
    return {split: found[split] for split in SPLITS if split in found}


def left_out(names: Collection[str], named: dict[str, str], where: object) -> list[str]:
    """Returns a sentence on `default` where the answer of `by_split` for these names is without it."""
    rest = [name for name in names if name.lower() == REST and name not in named.values()]
    return [f"{where}: {name} is left out, since the split `train` is {named['train']}" for name in rest]


def by_part(names: Collection[str]) -> dict[str, str]:
    """Returns the names that differ in the word of a split alone, such as `train2017` and `val2017`."""
    found: dict[str, dict[str, str]] = {}
    for name in names:
        if match := WORD.search(name):
            rest = f"{name[: match.start()]}*{name[match.end() :]}".lower()
            found.setdefault(rest, {})[split_of(match[0]) or ""] = name
    pairs = [splits for splits in found.values() if len(splits) > 1]
    return pairs[0] if len(pairs) == 1 else {}
