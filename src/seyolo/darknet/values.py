"""Converters of cfg values: from the text of a key to numbers within bounds, choices, lists and references.

Every function raises a ValueError that names the allowed values; the parser adds key, file and line.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import fields
from typing import Annotated, Any, Literal, get_args, get_origin, get_type_hints

from seyolo.darknet.sections.base import MAX_NUMBER, NOT_KEYS, Bounds, Keys, Reference

Converter = Callable[[str, int], Any]
"""Returns the value of a key, given its text and the index of the layer."""

MAX_PARTS = 1 << 14


def converters(section_type: type[Keys]) -> dict[str, tuple[str, Converter]]:
    """Returns, per cfg key of a section, the name of its field and the converter of its text."""
    hints = get_type_hints(section_type, include_extras=True)
    names = [spec.name for spec in fields(section_type) if spec.name not in NOT_KEYS]
    return {name.rstrip("_"): (name, _converter(hints[name])) for name in names}


def _converter(hint: Any) -> Converter:
    if get_origin(hint) is Annotated:
        base, bounds = get_args(hint)
        return _bounded(_converter(base), bounds)
    if get_origin(hint) is Literal:
        return lambda text, _: _choice(text, get_args(hint))
    if get_origin(hint) is tuple:
        part = _converter(get_args(hint)[0])
        return lambda text, index: tuple(part(item, index) for item in _parts(text))
    if hint is Reference:
        return _reference
    simple: dict[Any, Callable[[str], Any]] = {int: _integer, float: _number, bool: _flag}
    return lambda text, _: simple[hint](text)


def _bounded(convert: Converter, bounds: Bounds) -> Converter:
    def converted(text: str, index: int) -> Any:
        value = convert(text, index)
        if value not in bounds:
            raise ValueError(f"expected {bounds}")
        return value

    return converted


def _parts(text: str) -> list[str]:
    parts = [part.strip() for part in text.split(",") if part.strip()]
    if len(parts) > MAX_PARTS:
        raise ValueError(f"{len(parts)} values are more than the {MAX_PARTS} this reader takes")
    return parts


def _integer(text: str) -> int:
    # Python also takes 1_000 and the digits of other scripts; Darknet would read another number.
    if not re.fullmatch(r"[+-]?[0-9]+(\.0*)?", text):
        raise ValueError("expected a whole number")
    text = text.partition(".")[0]
    # Long ones are refused by their length, since Python refuses to convert thousands of digits.
    value = int(text) if len(text) < 20 else MAX_NUMBER + 1
    if abs(value) > MAX_NUMBER:
        raise ValueError(f"larger than {MAX_NUMBER}")
    return value


def _number(text: str) -> float:
    try:
        value = float(text if text.isascii() and "_" not in text else "")  # as for whole numbers
    except ValueError:
        raise ValueError("expected a number") from None
    if not math.isfinite(value):
        raise ValueError("expected a finite number")
    if abs(value) > MAX_NUMBER:
        raise ValueError(f"larger than {MAX_NUMBER}")
    return value


def _flag(text: str) -> bool:
    value = _integer(text)
    if value not in (0, 1):
        raise ValueError("expected 0 or 1")
    return value == 1


def _choice(text: str, choices: tuple[str, ...]) -> str:
    if text not in choices:
        raise ValueError(f"expected one of {', '.join(choices)}")
    return text


def _reference(text: str, index: int) -> Reference:
    value = _integer(text)
    layer = index + value if value < 0 else value
    if layer < 0:
        raise ValueError(f"layer {index} has no layer {value} in front of it")
    if layer >= index:
        raise ValueError(
            f"layer {index} reads layer {layer}, which is not in front of it: the network would be cyclic"
        )
    return Reference(layer, relative=value < 0)
