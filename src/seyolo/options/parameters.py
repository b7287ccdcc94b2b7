"""Marks of options for the command line, checks of their values, and options made from keyword arguments."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import Field, fields
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

import numpy as np
from cyclopts import Parameter, Token

from seyolo.errors import BackendError, MissingError, TrainingError, UsageError
from seyolo.foreign_words import unexpected_keyword
from seyolo.json_files import from_json
from seyolo.sizes import InputSize, checked_size, parse_size

Options = TypeVar("Options")
Value = TypeVar("Value")

REPEATABLE = Parameter(negative=(), consume_multiple=True, show_default=False)
"""An option with several values, given after one another or each behind its own flag."""

MODEL, RUN, SPARSITY, AUGMENTATION = (
    Parameter(group=name) for name in ("Model", "Run", "Sparsity training", "Augmentation")
)

Flag = Annotated[bool, Parameter(negative=())]
"""An option without a value."""

PythonOnly = Annotated[Value, Parameter(parse=False)]
"""An option that the command line does not have."""


def _read_size(_: Any, tokens: Sequence[Token]) -> InputSize:
    return parse_size(tokens[0].value, tokens[0].keyword or "--size")


Size = Annotated[InputSize | None, Parameter(converter=_read_size, n_tokens=1, negative=(), metavar="SIZE")]
"""An input size in pixels: 416, or 416x256 (width x height); in Python an int, or (height, width)."""


def check_size(options: Any) -> None:
    """Checks the field `size` of an options object that is being made, and stores a square as one number."""
    if options.size is not None:
        object.__setattr__(options, "size", checked_size(options.size))


def check_device(options: Any, *, has_auto: bool = False) -> None:
    """Checks the field `device` of an options object that is being made, and stores N as cuda:N.

    Raises:
        BackendError: not cpu, cuda, cuda:N or N, nor auto where there is one; it may still be missing here.
    """
    name = options.device
    if name.isdecimal():
        object.__setattr__(options, "device", f"cuda:{name}")
    elif not re.fullmatch(r"(cpu|cuda)(:\d+)?", name) and not (has_auto and name == "auto"):
        if re.fullmatch(r"[\d, ]+", name):
            advice = "several GPUs train together by torchrun --nproc-per-node N -m seyolo train"
            raise BackendError(f"{name!r} is no device; {advice}")
        raise BackendError(f"{name!r} is no device; use {'auto, ' if has_auto else ''}cpu or cuda")


def check_shares(options: Any, *names: str) -> None:
    """Raises UsageError for an option of these names that is not from 0 to 1."""
    for name in names:
        if not 0 <= getattr(options, name) <= 1:
            raise UsageError(f"--{name} {getattr(options, name):g}: a number from 0 to 1")


def check_choice(flag: str, value: str, choices: Sequence[str]) -> None:
    """Raises UsageError, with the flag and the choices, for a name that is not one of them."""
    if value not in choices:
        raise UsageError(f"{flag} {value}: there are {', '.join(choices)}")


def memory_bytes(flag: str, text: str) -> int:
    """Returns the bytes that a text such as 4GB, 500MB or 0 stands for; raises UsageError for another one."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?) ?([MG])B|0", text.strip(), re.ASCII | re.IGNORECASE)
    if match is None:
        raise UsageError(f"{flag} {text}: expected memory such as 4GB or 500MB, or 0")
    return int(float(match[1]) * {"m": 1e6, "g": 1e9}[match[2].lower()]) if match[1] else 0


def required(value: Value | None, flag: str) -> Value:
    """Returns the value of an option; raises MissingError for None, which only a resumed run may have."""
    if value is None:
        raise MissingError(f"{flag} is missing; only --resume goes without it")
    return value


def build(
    kind: type[Options], caller: str, options: Options | None, keywords: Mapping[str, object]
) -> Options:
    """Returns options of a kind with keyword arguments in place of their values, or of the defaults.

    A text or number stands for a tuple of one, a text for a path, and numbers of NumPy for Python's. Raises
    UsageError for an unknown name or a value of another type; the message names the function, `caller`, and
    the option. Options of a part, such as `cut`, are keyword arguments, too, as on the command line.
    """
    hints, within, parts = get_type_hints(kind), parts_within(kind), dict[str, dict[str, object]]()
    names = [field.name for field in fields(kind)]  # type: ignore[arg-type]
    values: dict[str, object] = {} if options is None else {name: getattr(options, name) for name in names}
    for name, value in keywords.items():
        if name in within:
            parts.setdefault(within[name].name, {})[name] = value
        elif name in names:
            values[name] = _plain(value, hints[name], f"--{name.replace('_', '-')}")
        else:
            raise unexpected_keyword(caller, name, {*names, *within})
    try:
        for part, given in parts.items():
            (default,) = {field.default for field in within.values() if field.name == part}
            whole = from_json(values.get(part, default), hints[part])
            values[part] = build(hints[part], caller, whole, given)
        return from_json(values, kind)
    except TrainingError as error:
        raise UsageError(f"{caller}: {error}") from None


def parts_within(kind: type) -> dict[str, Field[Any]]:
    """Returns the options that the command line takes from a part, such as the cut, with the part's field."""
    hints, own = get_type_hints(kind), {field.name: field for field in fields(kind)}
    parts = [field for name, field in own.items() if hasattr(hints[name], "__cyclopts__")]
    inner = {option.name: part for part in parts for option in fields(hints[part.name])}
    return {name: part for name, part in inner.items() if name not in own}


def parts_of(hint: Any) -> tuple[Any, ...]:
    """Returns the alternatives of a union, or the type itself, without None."""
    parts = get_args(hint) if get_origin(hint) in (Union, UnionType) else (hint,)
    return tuple(part for part in parts if part is not NoneType)


def _plain(value: object, hint: Any, flag: str) -> object:
    """Returns a value as JSON has it; refuses a text that is not one of the choices."""
    (part, *_) = parts_of(hint)
    if isinstance(value, np.generic):
        value = value.item()
    if flag == "--device" and isinstance(value, int) and not isinstance(value, bool):
        return str(value)  # the number of a GPU
    if isinstance(value, str | int) and get_origin(part) is tuple:
        value = [value]
    if isinstance(value, list | tuple):
        items = get_args(part) or (int,)
        return [_plain(item, items[0], flag) for item in value]
    if get_origin(part) is Literal and isinstance(value, str):
        check_choice(flag, value, get_args(part))
    return value
