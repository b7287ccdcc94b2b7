"""Splits by the names of files and folders: `train`, `val` and `test`, and other words for them."""

from __future__ import annotations

import re

SPLITS = ("train", "val", "test")
WORD = re.compile(r"(?<![a-z])(train(ing)?|val(id(ation)?)?|test(ing)?)(?![a-z])", re.IGNORECASE)
"""A word that names a split, and no part of another word."""


def split_of(name: str) -> str | None:
    """Returns the split that a whole name stands for: `val` for Validation, nothing for latest."""
    if WORD.fullmatch(name) is None:
        return None
    return next(split for split in SPLITS if name.lower().startswith(split))
