"""Marks that say how the command line reads a field of an options class."""

from __future__ import annotations

from typing import Annotated, TypeVar

from cyclopts import Parameter

Value = TypeVar("Value")

REPEATABLE = Parameter(negative=(), consume_multiple=True, show_default=False)
"""An option with several values, given after one another or each behind its own flag."""

Flag = Annotated[bool, Parameter(negative=())]
"""An option without a value."""

PythonOnly = Annotated[Value, Parameter(parse=False)]
"""An option that the command line does not have."""
