"""Receivers of training figures besides `results.csv`: progress output and experiment trackers.

A tracker is any object with the methods of `Tracker`; a function that opens one is passed to `train`.
One with the method of `SettingsTracker` also receives the settings.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol, cast, get_args, runtime_checkable

import numpy as np
from jaxtyping import Float32

from seyolo.errors import UsageError
from seyolo.installing import pip_install
from seyolo.progress import Progress, RunClock, Silent

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter

TrackerName = Literal["tensorboard", "mlflow", "wandb"]
TENSORBOARD_FOLDER = "tensorboard"
OPENERS = {"mlflow": "MlflowTracker", "wandb": "WandbTracker"}
"""Trackers in `experiments`, which are imported with their packages."""


class Tracker(Protocol):
    """Receives figures after every epoch; epochs count from 1."""

    def figures(self, epoch: int, row: Mapping[str, Any]) -> None:
        """Receives the epoch's row of `results.csv`."""

    def scales(self, epoch: int, sizes: Float32[np.ndarray, " n"]) -> None:
        """Receives `|γ|` of every channel with batch normalisation; not called where there is none."""

    def close(self) -> None:
        """Flushes and closes."""


@runtime_checkable
class SettingsTracker(Protocol):
    """A tracker that has this method, too, receives the settings of the run."""

    def settings(self, values: Mapping[str, Any]) -> None:
        """Receives the options by name, nested ones as `loss.box`, whenever a stage begins or goes on."""


OpenTracker = Callable[[Path, int], Tracker]  # folder of the run, number of finished epochs


class NoTracker:
    """Discards everything."""

    def __init__(self, *_: object) -> None:
        pass

    def figures(self, epoch: int, row: Mapping[str, Any]) -> None:
        pass

    def scales(self, epoch: int, sizes: Float32[np.ndarray, " n"]) -> None:
        pass

    def close(self) -> None:
        pass


@dataclass(frozen=True)
class Monitor:
    """Receivers of a run's output; by default everything is discarded."""

    progress: Progress = field(default_factory=Silent)
    tracker: OpenTracker = NoTracker
    title: str = "train"  # name of the run in progress lines and curves
    clock: RunClock | None = None  # of the whole run, where this is a stage of it
    settings: Mapping[str, Any] = field(default_factory=dict)  # of the run, as JSON has them

    def opened(self, folder: Path, epochs_done: int) -> Tracker:
        """Opens the tracker of a run, and tells it the settings if it takes them."""
        tracker = self.tracker(folder, epochs_done)
        if isinstance(tracker, SettingsTracker):
            tracker.settings(dict(_flat(self.settings)))
        return tracker


def _flat(values: Mapping[str, Any], where: str = "") -> Iterator[tuple[str, Any]]:
    """Yields nested values by names such as `loss.box`."""
    for name, value in values.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{where}{name}.")
        else:
            yield where + name, value


class TensorBoard:
    """Event files in the run's folder; hides figures of a stopped run from epochs after `epochs_done`."""

    def __init__(self, folder: Path, epochs_done: int) -> None:
        purge = epochs_done + 1 if epochs_done else None
        self._writer = _summary_writer()(str(folder / TENSORBOARD_FOLDER), purge_step=purge)

    def figures(self, epoch: int, row: Mapping[str, Any]) -> None:
        for name, value in row.items():
            if name != "epoch":
                self._writer.add_scalar(f"{_group(name)}/{name}", value, epoch)

    def scales(self, epoch: int, sizes: Float32[np.ndarray, " n"]) -> None:
        self._writer.add_histogram("scales/size", sizes, epoch)

    def close(self) -> None:
        self._writer.close()


def _group(name: str) -> str:
    """Returns the TensorBoard heading of a column of `results.csv`."""
    if name == "ap" or name.endswith(("_ap", "_ap50")):
        return "score"
    return "run" if name in ("seconds", "pictures_per_s", "learning_rate") else "loss"


def _summary_writer() -> type[SummaryWriter]:
    from torch.utils.tensorboard import SummaryWriter  # noqa: PLC0415 (an extra of its own)

    return SummaryWriter


def chosen_tracker(tracker: str | OpenTracker | None) -> OpenTracker:
    """Returns the opener of a tracker.

    Raises:
        UsageError: an unknown name, a package that is not installed, or a server or login that is missing.
    """
    if tracker is None:
        return NoTracker
    if not isinstance(tracker, str):
        return tracker
    if tracker not in get_args(TrackerName):
        raise UsageError(f"--tracker {tracker}: unknown; choose {', '.join(get_args(TrackerName))}")
    try:  # a missing installation is refused before training starts
        if tracker == "tensorboard":
            _summary_writer()
            return TensorBoard
        import_module(tracker)
    except ModuleNotFoundError as error:
        raise UsageError(
            f"--tracker {tracker} needs {error.name}, which is not installed; "
            f"get it with: {pip_install(f'seyolo[{tracker}]')}"
        ) from None
    opener: Any = getattr(import_module("seyolo.training.experiments"), OPENERS[tracker])
    opener.check()
    return cast(OpenTracker, opener)
