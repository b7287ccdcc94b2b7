"""Trackers: what they are told, in step with a run that is stopped and resumed."""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from helpers.stopping import StopIn
from helpers.tiny_training import CONFIG, fresh_model
from seyolo.data.datasets import load_dataset
from seyolo.errors import UsageError
from seyolo.installing import pip_install
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


def test_settings_are_told_once_by_flat_names(tiny_hands: Path, tmp_path: Path) -> None:
    class Settled(Listener):
        def settings(self, values: Mapping[str, Any]) -> None:
            self.rows.append(dict(values))

    listener = Settled()
    monitor = Monitor(tracker=listener.open, settings={"lr": 1, "loss": {"box": 2}})
    train(fresh_model(), load_dataset(tiny_hands), CONFIG, tmp_path, monitor=monitor)
    assert listener.rows[0] == {"lr": 1, "loss.box": 2}
    assert len(listener.rows) == 1 + CONFIG.epochs
    assert Monitor(tracker=Listener().open, settings={"lr": 1}).opened(tmp_path, 0)


def test_an_unknown_tracker_is_refused() -> None:
    with pytest.raises(UsageError, match="--tracker neptune: unknown; choose tensorboard, mlflow, wandb"):
        chosen_tracker("neptune")


@pytest.mark.parametrize("name", ["mlflow", "wandb"])
def test_without_the_package_it_says_what_to_install(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, name, None)
    advice = rf"get it with: pip install .*\b{name}"  # the extra, or its packages
    with pytest.raises(UsageError, match=rf"--tracker {name} needs {name}, which is not installed; {advice}"):
        chosen_tracker(name)


EPOCHS = (((1, 2), 0), ((2, 3), 1))  # stopped behind the figures of epoch 2, before that was finished


def tell(name: str, folder: Path) -> None:
    """The figures of a stage that was stopped once."""
    for epochs, epochs_done in EPOCHS:
        settings = {"lr": 0.1, "loss": {"box": 7.5}, "names": None, "epochs": 3 + epochs_done}
        tracker = Monitor(tracker=chosen_tracker(name), settings=settings).opened(folder, epochs_done)
        for epoch in epochs:
            tracker.figures(epoch, {"epoch": epoch, "box": epoch + epochs_done, "ap": float("nan")})
            tracker.scales(epoch, np.array([0.0, 1.0, 2.0, 3.0, 4.0], np.float32))
        tracker.close()


def test_mlflow_reads_back_what_was_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mlflow = pytest.importorskip("mlflow", reason="needs the mlflow extra")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", (tmp_path / "mlruns").as_uri())
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    stage = tmp_path / "hands/dense"
    stage.mkdir(parents=True)
    tell("mlflow", stage)
    client = mlflow.MlflowClient()
    (run,) = client.search_runs([client.get_experiment_by_name("seyolo").experiment_id])
    assert (run.info.run_name, run.info.status) == ("hands/dense", "FINISHED")
    history = client.get_metric_history(run.info.run_id, "box")
    assert [(point.step, point.value) for point in history] == [(1, 1), (2, 2), (2, 3), (3, 4)]
    assert (run.data.metrics["scales_q1"], run.data.metrics["scales_median"]) == (1, 2)
    assert "ap" not in run.data.metrics
    assert run.data.params == {"lr": "0.1", "loss.box": "7.5", "names": "None", "epochs": "3"}


def test_wandb_takes_what_it_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("wandb", reason="needs the wandb extra")
    monkeypatch.setenv("WANDB_MODE", "offline")
    stage = tmp_path / "hands/dense"
    stage.mkdir(parents=True)
    tell("wandb", stage)
    runs = sorted((stage / "wandb").glob("offline-run-*"))
    (run_id,) = {path.name.rpartition("-")[2] for path in runs}  # one run, told of in two parts
    assert (stage / "wandb.txt").read_text().strip() == run_id
    first, second = (next(path.glob("*.wandb")).read_bytes() for path in runs)
    assert b"loss.box" in first
    assert b"loss.box" not in second


def test_wandb_without_a_login_is_refused_before_anything(monkeypatch: pytest.MonkeyPatch) -> None:
    class Settings:
        mode = "online"

    package = SimpleNamespace(
        setup=lambda: SimpleNamespace(settings=Settings), login=lambda *, prompt: prompt
    )
    monkeypatch.setitem(sys.modules, "wandb", package)
    monkeypatch.setitem(sys.modules, "wandb.errors", SimpleNamespace(Error=LostError))
    with pytest.raises(UsageError, match=r"--tracker wandb: there is no login .*; log in with: wandb login"):
        chosen_tracker("wandb")
    monkeypatch.setattr(Settings, "mode", "offline")
    chosen_tracker("wandb")


class LostError(Exception):
    """What a package raises where its server cannot be reached."""


class FakeMlflow:
    """A server that is lost behind the first epoch, or from the start."""

    info = SimpleNamespace(run_id="abc")

    def __init__(self, *, at_start: bool) -> None:
        self.at_start, self.sent = at_start, list[int]()

    def MlflowClient(self) -> FakeMlflow:  # noqa: N802 (as the package calls it)
        return self

    def get_experiment_by_name(self, _: str) -> None:
        if self.at_start:
            raise LostError("no route to host\nlong text")

    def create_experiment(self, _: str) -> str:
        return "1"

    def create_run(self, *_: object, **__: object) -> FakeMlflow:
        return self

    def log_metric(self, _: str, __: str, ___: float, *, step: int) -> None:
        if step > 1:
            raise LostError("server gone")
        self.sent.append(step)


def fake(monkeypatch: pytest.MonkeyPatch, *, at_start: bool) -> FakeMlflow:
    package = FakeMlflow(at_start=at_start)
    monkeypatch.setitem(sys.modules, "mlflow", package)
    monkeypatch.setitem(sys.modules, "mlflow.exceptions", SimpleNamespace(MlflowException=LostError))
    return package


def test_a_server_that_is_lost_does_not_stop_training(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = fake(monkeypatch, at_start=False)
    tracker = chosen_tracker("mlflow")(tmp_path, 0)
    tracker.figures(1, {"epoch": 1, "box": 1.0})
    with pytest.warns(UserWarning, match="--tracker mlflow: server gone; it gets no more figures"):
        tracker.figures(2, {"epoch": 2, "box": 1.0})
    tracker.scales(3, np.ones(3, np.float32))
    tracker.close()
    assert package.sent == [1]


def test_a_server_that_is_not_there_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    fake(monkeypatch, at_start=True)
    with pytest.raises(UsageError) as caught:
        chosen_tracker("mlflow")
    advice = "set MLFLOW_TRACKING_URI to a server, or pip install mlflow to keep runs on this machine"
    assert str(caught.value) == f"--tracker mlflow: no route to host; {advice}"


def test_without_tensorboard_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "torch.utils.tensorboard", raising=False)
    monkeypatch.setitem(sys.modules, "tensorboard", None)
    with pytest.raises(UsageError, match=re.escape(pip_install("seyolo[tensorboard]"))):
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
