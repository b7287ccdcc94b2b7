"""What a user can mend, as one tree of exceptions.

SeyoloError            anything below; its text says what is wrong, where, and what to do
├── UsageError         an option's value makes no sense, or options contradict each other
├── CfgError           a Darknet cfg cannot be read; names file and line
├── WeightsError       a .weights file is too short, too long or of another network
├── ModelError         a model name, checkpoint or attention placement that does not exist
├── DataError          a data set, label or image that cannot be used
├── TrainingError      training cannot go on: loss not finite, a run that cannot be resumed
├── BudgetError        a pruning budget that cannot be met; names the nearest feasible one
├── PlanError          a pruning plan that does not fit the network
├── ExportError        a network that a format cannot hold, or an export that failed its parity check
└── BackendError       a runtime that is not installed or refuses the file

The command line prints the text and exits with 2; a traceback means a bug of ours.
"""

from __future__ import annotations


class SeyoloError(Exception):
    """Base of every error a user can mend."""


class UsageError(SeyoloError):
    """An option's value makes no sense, or options contradict each other."""


class CfgError(SeyoloError):
    """A Darknet cfg cannot be read.

    Args:
        message: what is wrong and what to do.
        source: the file, or a name for text that is not from a file.
        line: 1-based line, 0 when the whole file is meant.
    """

    def __init__(self, message: str, source: str = "<cfg>", line: int = 0) -> None:
        where = f"{source}:{line}" if line else source
        super().__init__(f"{where}: {message}")
        self.source = source
        self.line = line


class WeightsError(SeyoloError):
    """A .weights file does not fit its network."""


class ModelError(SeyoloError):
    """A model name, checkpoint or attention placement that does not exist."""


class DataError(SeyoloError):
    """A data set, label or image that cannot be used."""


class TrainingError(SeyoloError):
    """Training cannot go on."""


class BudgetError(SeyoloError):
    """A pruning budget that cannot be met."""


class PlanError(SeyoloError):
    """A pruning plan that does not fit the network."""


class ExportError(SeyoloError):
    """A network that a format cannot hold, or an export that failed its parity check."""


class BackendError(SeyoloError):
    """A runtime that is not installed or refuses the file."""
