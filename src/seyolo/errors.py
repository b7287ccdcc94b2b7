"""Errors that a user can mend: `SeyoloError`, and its subclasses by subject.

The text of an error says what is wrong, where, and what to do. The command line prints it and exits with 2; a
traceback is a bug in seyolo.
"""

from __future__ import annotations

import re
from reprlib import Repr

MOST_QUOTED, MOST_SHOWN = 200, 1500
"""Characters of a value from a file that a message quotes, and characters of a whole message."""
_LONG_WORD = re.compile(rf"[^\s/\\]{{{MOST_QUOTED + 1},}}")  # a part of a path is shorter


class _Repr(Repr):
    def __init__(self) -> None:
        super().__init__()
        self.maxlevel, self.maxlist, self.maxdict = 3, 20, 20
        self.maxstring = self.maxlong = self.maxother = MOST_QUOTED

    def repr_int(self, x: int, level: int) -> str:
        return super().repr_int(x, level) if x.bit_length() < 2_000 else "<huge number>"


def shortened(value: object) -> str:
    """Returns the text of a value for a message, at most 200 characters; nested values end in dots."""
    text = value if isinstance(value, str) else _Repr().repr(value)
    return text if len(text) <= MOST_QUOTED else f"{text[: MOST_QUOTED - 1]}…"


def quoted(value: object) -> str:
    """Returns a value for a message as Python writes it, shortened."""
    return repr(shortened(value)) if isinstance(value, str) else shortened(value)


def counted(number: int, noun: str) -> str:
    """Returns a number with its noun: 1 class, 2 classes."""
    plural = "" if number == 1 else "es" if noun.endswith(("s", "x", "tch", "sh")) else "s"
    return f"{number:,} {noun}{plural}"


class SeyoloError(Exception):
    """Base of every error a user can mend; its text shortens what a damaged file fills it with."""

    def __str__(self) -> str:
        text = _LONG_WORD.sub(lambda word: shortened(word[0]), super().__str__())
        return (
            text if len(text) <= MOST_SHOWN else f"{text[: MOST_SHOWN - MOST_QUOTED]} … {text[-MOST_QUOTED:]}"
        )


class UsageError(SeyoloError):
    """An invalid value of an option, or options that contradict each other."""


class KeywordError(UsageError, TypeError):
    """A keyword argument that a function does not have; names the right one where it is known."""


class MissingError(UsageError):
    """An argument that is missing; the command line adds an example."""


class CfgError(SeyoloError):
    """A Darknet cfg cannot be read.

    `source` is the file, or a name for text that is not from a file; lines count from 1, 0 is the whole file.
    """

    def __init__(self, message: str, source: str = "<cfg>", line: int = 0) -> None:
        where = f"{source}:{line}" if line else source
        super().__init__(f"{where}: {message}")
        self.source = source
        self.line = line


class WeightsError(SeyoloError):
    """A .weights file that is too short, too long or of another network."""


class ModelError(SeyoloError):
    """A model name, checkpoint or attention placement that does not exist."""


class DataError(SeyoloError):
    """A data set, label or image that cannot be used."""


class TrainingError(SeyoloError):
    """Training cannot continue: loss not finite, a run that cannot be resumed."""


class BudgetError(SeyoloError):
    """A pruning budget that cannot be met; names the nearest feasible one."""


class PlanError(SeyoloError):
    """A pruning plan that does not fit the network."""


class ExportError(SeyoloError):
    """A network that a format does not support, or a failed parity check of an export."""


class BackendError(SeyoloError):
    """A runtime that is not installed or cannot load the file."""
