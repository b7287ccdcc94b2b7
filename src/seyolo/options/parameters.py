"""Marks that say how the command line reads a field of an options class."""

import re
from collections.abc import Sequence
from typing import Annotated, TypeVar

from cyclopts import Parameter

from seyolo.errors import BackendError, UsageError

Value = TypeVar("Value")

REPEATABLE = Parameter(negative=(), consume_multiple=True, show_default=False)
"""An option with several values, given after one another or each behind its own flag."""

MODEL, RUN, SPARSITY = (Parameter(group=name) for name in ("Model", "Run", "Sparsity training"))

Flag = Annotated[bool, Parameter(negative=())]
"""An option without a value."""

PythonOnly = Annotated[Value, Parameter(parse=False)]
"""An option that the command line does not have."""

Size = Annotated[int, Parameter(help="side of the square input in pixels.")]


def check_device(name: str) -> None:
    """Refuses a device that PyTorch could not mean; whether it is here is found out when it is used.

    Raises:
        BackendError: not cpu, cuda or cuda:N.
    """
    if not re.fullmatch(r"(cpu|cuda)(:\d+)?", name):
        raise BackendError(f"{name!r} is no device; use cpu or cuda")


def check_choice(flag: str, value: str, choices: Sequence[str]) -> None:
    """Refuses a name that is not one of the choices.

    Raises:
        UsageError: the name is unknown; the message has the flag and the choices.
    """
    if value not in choices:
        raise UsageError(f"{flag} {value}: there are {', '.join(choices)}")
