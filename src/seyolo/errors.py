"""Errors that a user can mend, as one tree of exceptions.

SeyoloError            any of these; the text says what is wrong, where, and what to do
├── UsageError         an invalid value of an option, or options that contradict each other
├── CfgError           a Darknet cfg cannot be read; names file and line
├── WeightsError       a .weights file is too short, too long or of another network
├── ModelError         a model name, checkpoint or attention placement that does not exist
├── DataError          a data set, label or image that cannot be used
├── TrainingError      training cannot continue: loss not finite, a run that cannot be resumed
├── BudgetError        a pruning budget that cannot be met; names the nearest feasible one
├── PlanError          a pruning plan that does not fit the network
├── ExportError        a network that a format does not support, or a failed parity check of an export
└── BackendError       a runtime that is not installed or cannot load the file

The command line prints the text and exits with 2; a traceback is a bug in seyolo.
"""

from __future__ import annotations


class SeyoloError(Exception):
    """Base of every error a user can mend."""


class UsageError(SeyoloError):
    """The value of an option is invalid, or options contradict each other."""


class CfgError(SeyoloError):
    """A Darknet cfg cannot be read.

    Args:
        message: what is wrong and what to do.
        source: the file, or a name for text that is not from a file.
        line: from 1; 0 means the whole file.
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
    """Training cannot continue."""


class BudgetError(SeyoloError):
    """A pruning budget that cannot be met."""


class PlanError(SeyoloError):
    """A pruning plan that does not fit the network."""


class ExportError(SeyoloError):
    """A network that a format does not support, or a failed parity check of an export."""


class BackendError(SeyoloError):
    """A runtime that is not installed or cannot load the file."""
