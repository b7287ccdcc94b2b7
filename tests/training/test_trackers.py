"""Trackers: what they are told, in step with a run that is stopped and resumed."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from helpers.stopping import StopIn
from helpers.tiny_training import CONFIG, fresh_model
from seyolo.data.datasets import load_dataset
from seyolo.errors import UsageError
from seyolo.training.loop import train
from seyolo.training.run_folder import saved_state
from seyolo.training.trackers import TENSORBOARD_FOLDER, Monitor, chosen_tracker


class Listener:
    """Remembers what it is told."""

    def __init__(self) -> None:
        self.opened: list[int] = []
        self.rows: list[dict[str, Any]] = []
        self.sizes: dict[int, np.ndarray] = {}
        self.times_closed = 0

    def open(self, folder: Path, epochs_done: int) -> Listener:
        self.opened.append(epochs_done)
        return self

    def figures(self, epoch: int, row: Mapping[str, Any]) -> None:
        assert row["epoch"] == epoch
        self.rows.append(dict(row))

    def scales(self, epoch: int, sizes: np.ndarray) -> None:
        self.sizes[epoch] = sizes

    def close(self) -> None:
        self.times_closed += 1


def test_a_tracker_hears_of_every_epoch_once(tiny_hands: Path, tmp_path: Path) -> None:
    dataset, listener = load_dataset(tiny_hands), Listener()
    with pytest.raises(KeyboardInterrupt):
        train(
            fresh_model(),
            dataset,
            CONFIG,
            tmp_path,
            monitor=Monitor(StopIn("train epoch 2/2"), listener.open),
        )
    assert (listener.opened, listener.times_closed) == ([0], 1)
    state, monitor = saved_state(tmp_path, CONFIG.epochs), Monitor(tracker=listener.open)
    result = train(fresh_model(), dataset, CONFIG, tmp_path, state=state, monitor=monitor)
    assert (listener.opened, listener.times_closed) == ([0, 1], 2)
    assert listener.rows == result.history
    num_scales = sum(
        len(value) for name, value in result.model.state_dict().items() if name.endswith("bn.weight")
    )
    assert {epoch: len(sizes) for epoch, sizes in listener.sizes.items()} == {1: num_scales, 2: num_scales}
    assert min(sizes.min() for sizes in listener.sizes.values()) >= 0


def test_an_unknown_tracker_is_refused() -> None:
    with pytest.raises(UsageError, match="--tracker wandb: unknown; choose tensorboard"):
        chosen_tracker("wandb")


def test_without_tensorboard_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "torch.utils.tensorboard", raising=False)
    monkeypatch.setitem(sys.modules, "tensorboard", None)
    with pytest.raises(UsageError, match=r"pip install 'seyolo\[tensorboard\]'"):
        chosen_tracker("tensorboard")


def test_tensorboard_reads_back_what_was_told(tmp_path: Path) -> None:
    pytest.importorskip("tensorboard", reason="needs the tensorboard extra")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator  # noqa: PLC0415

    opener = chosen_tracker("tensorboard")
    # The first process is stopped after it told of epoch 2, before that was finished.
    for epochs_done, epochs in ((0, (1, 2)), (1, (2, 3))):
        tracker = opener(tmp_path, epochs_done)
        for epoch in epochs:
            tracker.figures(epoch, {"epoch": epoch, "seconds": 2.0, "box": epoch + epochs_done, "ap": 0.5})
            tracker.scales(epoch, np.full(4, 0.25, np.float32))
        tracker.close()
    events = EventAccumulator(str(tmp_path / TENSORBOARD_FOLDER), {"histograms": 0}).Reload()
    assert set(events.Tags()["scalars"]) == {"run/seconds", "loss/box", "score/ap"}
    assert [(event.step, event.value) for event in events.Scalars("loss/box")] == [(1, 1), (2, 3), (3, 4)]
    assert [event.histogram_value.sum for event in events.Histograms("scales/size")] == [1, 1, 1]
