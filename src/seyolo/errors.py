"""Errors that a user can mend: `SeyoloError`, and its subclasses by subject.

The text of an error says what is wrong, where, and what to do. The command line prints it and exits with 2; a
traceback is a bug in seyolo.
"""

from __future__ import annotations

from reprlib import Repr

MOST_QUOTED, MOST_SAID = 200, 2_000
"""Characters of a value from a file that a message quotes, and characters of a whole message."""


class _Repr(Repr):
    def repr_int(self, x: int, level: int) -> str:
        return super().repr_int(x, level) if x.bit_length() < 2_000 else "<huge number>"  # no text in Python


_REPR = _Repr()
_REPR.maxlevel, _REPR.maxlist, _REPR.maxdict, _REPR.maxlong = 3, 20, 20, MOST_QUOTED
_REPR.maxstring = _REPR.maxother = MOST_QUOTED


def shortened(value: object) -> str:
    """Returns the text of a value for a message: without its middle where it is long.

    Example:
        >>> shortened("hand"), len(shortened("x" * 9_000)), shortened([1, None])
        ('hand', 200, '[1, None]')
    """
    text = value if isinstance(value, str) else _REPR.repr(value)
    return _without_middle(text, MOST_QUOTED)


def _without_middle(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[: most // 2]}…{text[len(text) - most // 2 + 1 :]}"


class SeyoloError(Exception):
    """Base of every error a user can mend."""

    def __init__(self, message: object = "") -> None:
        super().__init__(_without_middle(str(message), MOST_SAID))


class UsageError(SeyoloError):
    """An invalid value of an option, or options that contradict each other."""


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
