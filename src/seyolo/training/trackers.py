"""Where training tells its figures while it runs, besides `results.csv`.

A tracker is any object with the methods of `Tracker`; what opens one is passed into `train`, so that another
one needs no change here. Without one nothing is told.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, get_args

import numpy as np
from jaxtyping import Float32

from seyolo.errors import UsageError
from seyolo.options.training import TrackerName

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter

TENSORBOARD_FOLDER = "tensorboard"


class Tracker(Protocol):
    """What the training loop tells after every epoch; epochs count from 1."""

    def figures(self, epoch: int, row: Mapping[str, Any]) -> None:
        """The epoch's line of `results.csv`."""

    def scales(self, epoch: int, sizes: Float32[np.ndarray, " n"]) -> None:
        """|γ| of every channel with batch normalisation; a network without has none to tell."""

    def close(self) -> None:
        """Nothing more is to come."""


OpenTracker = Callable[[Path, int], Tracker]
"""Opens the tracker of a run, from its folder and the number of epochs that are done already."""


class Untracked:
    """Tells nobody."""

    def figures(self, epoch: int, row: Mapping[str, Any]) -> None:
        del epoch, row

    def scales(self, epoch: int, sizes: Float32[np.ndarray, " n"]) -> None:
        del epoch, sizes

    def close(self) -> None:
        return


class TensorBoard:
    """Event files in the run's folder, for `tensorboard --logdir runs`.

    Args:
        folder: of the run.
        epochs_done: what was written of later epochs, by a run that was stopped, is left out of the view.

    Raises:
        UsageError: TensorBoard is not installed.
    """

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
    """Under which heading a column of `results.csv` stands."""
    if name == "ap" or name.endswith(("_ap", "_ap50")):
        return "score"
    return "run" if name in ("seconds", "pictures_per_s", "learning_rate") else "loss"


def _summary_writer() -> type[SummaryWriter]:
    try:
        from torch.utils.tensorboard import SummaryWriter  # noqa: PLC0415 (an extra of its own)
    except ModuleNotFoundError as error:
        raise UsageError(
            f"--tracker tensorboard needs {error.name}, which is not installed; "
            "get it with: pip install 'seyolo[tensorboard]'"
        ) from None
    return SummaryWriter


def chosen_tracker(tracker: str | OpenTracker | None) -> OpenTracker:
    """What opens the tracker of that name; one's own opener stays as it is, and None tells nobody.

    Raises:
        UsageError: an unknown name, or one that is not installed.
    """
    if tracker is None:
        return lambda folder, epochs_done: Untracked()
    if not isinstance(tracker, str):
        return tracker
    if tracker not in get_args(TrackerName):
        raise UsageError(f"--tracker {tracker}: there is {', '.join(get_args(TrackerName))}")
    _summary_writer()  # refuses now what would be refused when training starts
    return TensorBoard
