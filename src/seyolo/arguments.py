"""Arguments of the public functions, checked against their annotations when they are called.

A wrong type (a number for a file, a name for a model) is a `UsageError` with the expected type; the function
itself checks values.
"""

from __future__ import annotations

import inspect
import numbers
import types
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache, wraps
from typing import Any, Literal, ParamSpec, TypeVar, Union, Unpack, get_args, get_origin, get_type_hints

from seyolo.errors import UsageError
from seyolo.foreign_words import unexpected_keyword

P = ParamSpec("P")
R = TypeVar("R")

LONGEST_REPR = 60
NUMBERS: Mapping[object, type] = types.MappingProxyType({int: numbers.Integral, float: numbers.Real})
"""Accepted as a number: NumPy's too, but no booleans."""

ORIGINS = types.MappingProxyType({"DarknetModel": " (seyolo.load opens one)"})
"""Advice for types that are not obvious."""


def checked(function: Callable[P, R]) -> Callable[P, R]:
    """Returns the function, which then refuses arguments that do not fit its annotations.

    Raises:
        UsageError: when called with an argument of another kind, or one too few.
        KeywordError: when called with a keyword argument that it does not know.
    """
    signature = inspect.signature(function)
    name = function.__qualname__.removesuffix(".__init__")
    has_rest = any(each.kind is each.VAR_KEYWORD for each in signature.parameters.values())

    @wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> R:
        hints, keywords = _hints(function)
        known = {*signature.parameters, *hints} - {"self", "return", keywords}
        unknown = [key for key in kwargs if key not in known]
        if unknown and (keywords is not None or not has_rest):
            raise unexpected_keyword(name, unknown[0], known)
        try:
            bound = signature.bind(*args, **kwargs)
        except TypeError as error:
            raise UsageError(f"{name}: {error}") from None
        given = dict(bound.arguments)
        if keywords is not None:
            given |= given.pop(keywords, {})
        for parameter, value in given.items():
            if parameter in hints and not _fits(value, hints[parameter]):
                expected = _describe(hints[parameter])
                raise UsageError(f"{name}: {parameter} must be {expected}, got {_shown(value)}")
        return function(*args, **kwargs)

    return call


@cache
def _hints(function: Callable[..., object]) -> tuple[dict[str, Any], str | None]:
    """Returns the annotations by parameter, and the name of a `**options: Unpack[SomeTypedDict]`.

    Keys of the typed dict count as parameters; other `*rest` and `**keywords` are left out.
    """
    hints, keywords = get_type_hints(function), None
    for parameter in inspect.signature(function).parameters.values():
        if parameter.kind in (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD):
            hint = hints.pop(parameter.name, None)
            if get_origin(hint) is Unpack:
                keywords = parameter.name
                hints |= get_type_hints(get_args(hint)[0])
    return hints, keywords


def _fits(value: object, hint: Any) -> bool:
    origin, parts = get_origin(hint), get_args(hint)
    if origin in (Union, types.UnionType):
        return any(_fits(value, part) for part in parts)
    if origin is Literal:
        return isinstance(value, tuple(type(choice) for choice in parts))
    if origin is tuple:
        return _is_tuple(value, parts)
    if isinstance(origin, type) and issubclass(origin, Iterable):
        return _is_collection(value, origin, parts)
    if hint in NUMBERS:
        return isinstance(value, NUMBERS[hint]) and not isinstance(value, bool)
    # Arrays: the function itself checks dtype and shape, with a better message.
    kind = getattr(hint, "array_type", hint)
    return isinstance(value, kind) if isinstance(kind, type) and kind is not object else True


def _is_tuple(value: object, parts: Sequence[Any]) -> bool:
    if not isinstance(value, Sequence) or isinstance(value, str | bytes):
        return False
    if parts[-1] is Ellipsis:
        return all(_fits(item, parts[0]) for item in value)
    return len(value) == len(parts) and all(map(_fits, value, parts))


def _is_collection(value: object, origin: type, parts: Sequence[Any]) -> bool:
    # Text is a sequence of letters, which nobody means.
    if isinstance(value, str | bytes) or not isinstance(value, origin):
        return False
    return not isinstance(value, list | tuple) or all(_fits(item, parts[0]) for item in value)


def _describe(hint: Any) -> str:
    """Words a type: "an int or None" for `int | None`."""
    origin, parts = get_origin(hint), get_args(hint)
    if origin in (Union, types.UnionType):
        return _one_of([_describe(part) for part in parts])
    if origin is Literal:
        return _one_of([repr(choice) for choice in parts])
    if origin is tuple and parts[-1] is not Ellipsis:
        return f"{len(parts)} values ({', '.join(_name(part) for part in parts)})"
    if origin in (tuple, Sequence, Iterable):
        return f"a sequence of {_one_of([_name(part) for part in parts if part is not Ellipsis])}"
    if hint is types.NoneType:
        return "None"
    name = _name(hint)
    return f"{'an' if name[0] in 'aeiouAEIO' else 'a'} {name}{ORIGINS.get(name, '')}"


def _name(hint: Any) -> str:
    if get_origin(hint) in (Union, types.UnionType):
        return _one_of([_name(part) for part in get_args(hint)])
    kind = getattr(hint, "array_type", get_origin(hint) or hint)
    return getattr(kind, "__name__", str(kind))


def _one_of(texts: Sequence[str]) -> str:
    return texts[0] if len(texts) == 1 else f"{', '.join(texts[:-1])} or {texts[-1]}"


def _shown(value: object) -> str:
    if value is None:
        return "None"
    text = repr(value) if isinstance(value, str | numbers.Number | list | tuple | dict) else ""
    if not text or len(text) > LONGEST_REPR:
        return f"something of type {type(value).__name__}"
    return f"{text} of type {type(value).__name__}"
