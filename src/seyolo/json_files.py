"""JSON as typed values, and typed values as JSON.

A key that a type does not have is ignored, so that files of a newer version can be read.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Annotated, Any, TypeVar

import msgspec
import numpy as np

from seyolo.errors import SeyoloError, TrainingError

Value = TypeVar("Value")
MOST_NESTED = 100
MOST_MB = 32  # of a file; that of a run is a thousand times smaller
MOST = 1 << 53  # whole numbers up to here are exact in floating point, too
Count = Annotated[int, msgspec.Meta(ge=0, le=MOST)]
Positive = Annotated[int, msgspec.Meta(ge=1, le=MOST)]
Share = Annotated[float, msgspec.Meta(ge=0, le=1)]
Finite = Annotated[float, msgspec.Meta(ge=-MOST, le=MOST)]
PositiveFinite = Annotated[float, msgspec.Meta(gt=0, le=MOST)]
LEFT_OUT_EMPTY = {"left out empty": True}  # metadata of fields that `to_json` leaves out where empty or None
_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")


def parse_json(text: str) -> Any:
    """Parses JSON as `json.loads`.

    Raises:
        ValueError: not JSON, nested more than 100 deep, or with half a character (a lone surrogate).
    """
    try:
        value = json.loads(text)
    except RecursionError:
        raise ValueError(f"nested more than {MOST_NESTED} deep") from None
    level = [value] if isinstance(value, dict | list) else []
    for _ in range(MOST_NESTED):
        level = [
            item
            for parent in level
            for item in (parent.values() if type(parent) is dict else parent)
            if type(item) in (dict, list)
        ]
    if level:
        raise ValueError(f"nested more than {MOST_NESTED} deep")
    if _SURROGATE.search(text):
        json.dumps(value, ensure_ascii=False).encode()
    return value


def read_json(
    path: Path, kind: type[Value], error: type[SeyoloError] = TrainingError, *, most_mb: int = MOST_MB
) -> Value:
    """Reads a JSON file as a value of a type, such as a frozen dataclass.

    Raises:
        SeyoloError: of the type `error`: the file cannot be read, is larger than `most_mb`, is no JSON, or
            does not fit the type. The message names the file and the key.
    """
    try:
        if (size_mb := path.stat().st_size / 1e6) > most_mb:
            raise error(f"{path}: {size_mb:,.0f} MB of JSON; files of a run have at most {most_mb} MB")
        value = parse_json(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as reason:
        raise error(f"{path}: cannot be read as JSON ({reason})") from None
    try:
        return from_json(value, kind)
    except SeyoloError as reason:
        raise error(f"{path}: {reason}") from None


def from_json(value: object, kind: type[Value]) -> Value:
    """Converts what `json.loads` returns to a value of a type; typed values inside are kept as they are.

    Raises:
        TrainingError: the value does not fit the type; the message names the key.
        SeyoloError: raised by the type itself.
    """
    try:
        return msgspec.convert(value, kind, dec_hook=_decode)
    except msgspec.ValidationError as reason:
        raise TrainingError(readable(reason)) from None


def to_json(value: object) -> Any:
    """Converts a value to what `json.loads` returns: dataclasses to dicts, tuples to lists, paths to text.

    msgspec.to_builtins is not used: it drops the fields that `msgspec.convert` left at their defaults.

    Raises:
        TypeError: a value that has no form in JSON.
    """
    if is_dataclass(value):
        return {
            field.name: to_json(getattr(value, field.name))
            for field in fields(value)
            if field.metadata != LEFT_OUT_EMPTY or getattr(value, field.name)
        }
    if isinstance(value, Mapping):
        return {str(key): to_json(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [to_json(item) for item in value]
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, np.ndarray | np.generic):
        return value.tolist()
    if value is None or isinstance(value, str | int | float):
        return value
    raise TypeError(f"{type(value).__name__} has no form in JSON")


def readable(error: msgspec.ValidationError) -> str:
    """Rewrites "Expected `int`, got `str` - at `$.a.b`" as "a.b: expected int, got str"."""
    text, _, where = str(error).replace("`", "").partition(" - at $")
    text = text[0].lower() + text[1:]
    key = re.sub(r"\[\.\.\.\]", "[]", where.removeprefix("."))
    return f"{key}: {text}" if key else text


def _decode(kind: type, value: Any) -> Any:
    if kind is Path and isinstance(value, str | Path):
        return Path(value)
    raise ValueError(f"Expected `{kind.__name__}`, got `{type(value).__name__}`")
