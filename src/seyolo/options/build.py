"""Options made from keyword arguments, as the Python functions take them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from types import NoneType, UnionType
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

import numpy as np

from seyolo.errors import TrainingError, UsageError
from seyolo.json_files import from_json
from seyolo.options.parameters import check_choice

Options = TypeVar("Options")


def fields_of(options: object) -> dict[str, Any]:
    """Returns the values of an options object by name, groups inside as they are."""
    return {field.name: getattr(options, field.name) for field in fields(options)}  # type: ignore[arg-type]


def build(
    kind: type[Options], caller: str, options: Options | None, keywords: Mapping[str, object]
) -> Options:
    """Returns options with keyword arguments in place of their values.

    A text stands for a tuple of one, a text for a path, and numbers of NumPy for Python's.

    Args:
        kind: an options class.
        caller: name of the function, for messages.
        options: values that the keywords leave as they are; by default those of the class.
        keywords: new values by name.

    Raises:
        UsageError: an unknown name, or a value of another type; the message names function and option.
    """
    hints = get_type_hints(kind)
    names = [field.name for field in fields(kind)]  # type: ignore[arg-type]
    values = {} if options is None else fields_of(options)
    for name, value in keywords.items():
        if name not in names:
            raise UsageError(f"{caller}: got an unexpected keyword argument {name!r}")
        values[name] = _plain(value, hints[name], f"--{name.replace('_', '-')}")
    try:
        return from_json(values, kind)
    except TrainingError as error:
        raise UsageError(f"{caller}: {error}") from None


def parts_of(hint: Any) -> tuple[Any, ...]:
    """Returns the alternatives of a union, or the type itself, without None."""
    parts = get_args(hint) if get_origin(hint) in (Union, UnionType) else (hint,)
    return tuple(part for part in parts if part is not NoneType)


def _plain(value: object, hint: Any, flag: str) -> object:
    """Returns a value as JSON has it; refuses a text that is not one of the choices."""
    (part, *_) = parts_of(hint)
    if isinstance(value, np.generic):
        return value.item()
    if get_origin(part) is tuple:
        if isinstance(value, str):
            value = [value]
        if isinstance(value, list | tuple):
            return [_plain(item, get_args(part)[0], flag) for item in value]
    if get_origin(part) is Literal and isinstance(value, str):
        check_choice(flag, value, get_args(part))
    return value
