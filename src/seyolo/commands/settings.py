"""Checks on options that are only needed in some cases."""

from __future__ import annotations

from typing import TypeVar

from seyolo.errors import UsageError

Value = TypeVar("Value")


def required(value: Value | None, option: str) -> Value:
    """Returns the value of an option that a new run needs and a resumed one does not.

    Raises:
        UsageError: it was not given.
    """
    if value is None:
        raise UsageError(f"{option} is missing; it may be left out with --resume only")
    return value


def matching_classes(asked: int | None, found: int, source: str) -> None:
    """Refuses a `--num-classes` that is not what the data set has.

    Raises:
        UsageError: the two differ.
    """
    if asked is not None and asked != found:
        raise UsageError(f"--num-classes {asked}: {source} names {found} classes; leave --num-classes out")
