"""The weights that a training begins with are the best of it where no epoch is better."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from helpers.spot_detector import spot_detector, write_spots
from helpers.stopping import StopIn
from helpers.tiny_training import CONFIG
from seyolo.checkpoint import read_checkpoint
from seyolo.data.datasets import Dataset, load_dataset
from seyolo.report.record import read_curves
from seyolo.torchnet.build import DarknetModel, to_checkpoint
from seyolo.training.loop import TrainResult, train
from seyolo.training.run_folder import RunState, read_run_state, saved_state
from seyolo.training.sparsity import L1
from seyolo.training.step import TrainingStep
from seyolo.training.trackers import Monitor
from seyolo.training.validation import Validation

GENTLE = replace(CONFIG, start_counts=True, lr=1e-7)
HARMFUL = replace(GENTLE, epochs=3, evaluations=3, lr=10.0, optimizer="adamw", average_ramp_updates=1)
BEST, LAST, EPOCH_0 = "best.safetensors", "last.safetensors", "epoch-0.csv"


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return load_dataset(write_spots(tmp_path_factory.mktemp("spots"), train=8, val=6, val_small=4))


@pytest.fixture(scope="module")
def harmed(dataset: Dataset, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, TrainResult, list[str]]:
    """A run that unlearns all that its network knew, and what it told."""
    folder, told = tmp_path_factory.mktemp("harmed"), Told()
    return folder, train(spot_detector(), dataset, HARMFUL, folder, monitor=Monitor(told)), told.lines


class Told(StopIn):
    """Progress that keeps its messages."""

    def __init__(self) -> None:
        super().__init__("nothing")
        self.lines: list[str] = []

    def message(self, text: str) -> None:
        self.lines.append(text)


def assert_equal_weights(path: Path, model: DarknetModel) -> None:
    found, expected = read_checkpoint(path), to_checkpoint(model)
    assert found.network.to_cfg() == expected.network.to_cfg()
    assert found.state.keys() == expected.state.keys()
    for name, value in expected.state.items():
        assert np.array_equal(found.state[name], value), name


def scored(monkeypatch: pytest.MonkeyPatch, *scores: float) -> None:
    """Makes evaluations return these scores, the last of them for ever."""
    left = list(scores)

    def evaluate(self: Validation, model: Any) -> dict[str, float]:
        ap = left.pop(0) if len(left) > 1 else left[0]
        return {"val_ap": ap, "val_ap50": ap, "ap": ap}

    monkeypatch.setattr(Validation, "evaluate", evaluate)


def test_a_harmful_learning_rate_leaves_the_start_bit_for_bit(
    harmed: tuple[Path, TrainResult, list[str]],
) -> None:
    folder, result, told = harmed
    assert_equal_weights(folder / BEST, spot_detector())
    assert all(row["ap"] < result.best_ap for row in result.history)
    assert (result.best_epoch, result.best_row) == (0, result.start)
    mean = (result.start["val_ap"] + result.start["val_small_ap"]) / 2
    assert result.best_ap == result.start["ap"] == mean > 0.5
    line = (folder / EPOCH_0).read_text().splitlines()[1]
    assert line.split(",")[0] == "0"
    assert float(line.split(",")[-1]) == result.best_ap
    assert told[0].startswith(f"train start: AP val {result.start['val_ap']:.3f}, AP@0.5 val ")
    assert f"{mean:.3f} at the start, no better in 3 epochs" in repr(result)
    assert f"{result.start['val_ap']:.3f}" in result._repr_html_()
    last, best = (read_checkpoint(folder / name).state for name in (LAST, BEST))
    assert any(not np.array_equal(last[name], best[name]) for name in best)


def test_the_curves_are_those_of_the_start(harmed: tuple[Path, TrainResult, list[str]]) -> None:
    folder, result, _ = harmed
    for split, curves in read_curves(folder)["train"].items():
        assert curves.precision50.mean() == pytest.approx(result.start[f"{split}_ap50"]), split


def test_a_run_that_improves_has_the_files_of_one_whose_start_does_not_count(
    dataset: Dataset, tmp_path: Path
) -> None:
    torch.manual_seed(0)
    untrained = spot_detector()
    with torch.no_grad():
        untrained.layers[2].conv.bias[2:4] += 0.2  # boxes that are too large
    config = replace(GENTLE, lr=0.03, average_ramp_updates=1, epochs=4, evaluations=4)
    states = []
    for name, counts in (("with", True), ("without", False)):
        model = spot_detector()
        model.load_state_dict(untrained.state_dict())
        torch.manual_seed(1)
        result = train(model, dataset, replace(config, start_counts=counts), tmp_path / name)
        states.append(torch.get_rng_state())
        assert result.best_epoch > 0
        assert bool(result.start) is counts
    assert torch.equal(*states)
    left, right = ({path.name: path for path in (tmp_path / name).iterdir()} for name in ("with", "without"))
    assert left.keys() == right.keys()
    assert EPOCH_0 not in left
    for name in ("config.json", BEST, LAST, "curves.json"):
        assert left[name].read_bytes() == right[name].read_bytes(), name
    one, other = (read_run_state(found["state.safetensors"]) for found in (left, right))
    assert one.record.best_ap == other.record.best_ap > one.record.start["ap"] > 0
    for group, tensors in one.tensors.items():
        for name, tensor in tensors.items():
            assert torch.equal(tensor, other.tensors[group][name]), (group, name)


def test_a_start_that_finds_nothing_is_not_kept(
    dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scored(monkeypatch, 0.0)
    result = train(spot_detector(), dataset, GENTLE, tmp_path)
    assert (result.best_epoch, result.best_ap, result.start["ap"]) == (1, 0.0, 0.0)
    assert not (tmp_path / EPOCH_0).exists()


def test_an_epoch_as_good_as_the_start_leaves_the_start(
    dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scored(monkeypatch, 0.5)
    assert train(spot_detector(), dataset, GENTLE, tmp_path).best_epoch == 0
    assert_equal_weights(tmp_path / BEST, spot_detector())


def test_patience_counts_from_the_start(
    dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scored(monkeypatch, 0.5, 0.1, 0.2, 0.3)
    told, config = Told(), replace(GENTLE, epochs=9, patience=3)
    result = train(spot_detector(), dataset, config, tmp_path, monitor=Monitor(told))
    assert (len(result.history), result.best_epoch, result.best_ap) == (3, 0, 0.5)
    stopped = "train stops after epoch 3 (--patience): the best AP on val is that of the start"
    assert told.lines[-1] == stopped
    state = saved_state(tmp_path, 9)
    assert state is not None
    again = train(spot_detector(), dataset, config, tmp_path, state=state)
    assert (len(again.history), again.best_epoch) == (3, 0)


def test_sparsity_training_keeps_its_last_epoch(
    dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scored(monkeypatch, 0.5, 0.1)
    result = train(spot_detector(), dataset, GENTLE, tmp_path, sparsity=L1(1e-3))
    assert (result.best_epoch, result.start) == (2, {})


def kill_at(step: int, dataset: Dataset, folder: Path, monkeypatch: pytest.MonkeyPatch) -> RunState | None:
    """Stops a harmful run before a step, two of which are an epoch; returns the state that it leaves."""
    take = TrainingStep.take

    def stopping(self: TrainingStep, index: int, *batch: torch.Tensor) -> torch.Tensor:
        if index == step:
            raise KeyboardInterrupt
        return take(self, index, *batch)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):  # noqa: PT012
        patch.setattr(TrainingStep, "take", stopping)
        train(spot_detector(), dataset, replace(HARMFUL, save_every=1e-9), folder)
    return saved_state(folder, HARMFUL.epochs)


@pytest.mark.parametrize("step", [0, 1, 2, 3])
def test_a_run_killed_anywhere_ends_as_one_that_was_not(
    dataset: Dataset,
    harmed: tuple[Path, TrainResult, list[str]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    step: int,
) -> None:
    state, told = kill_at(step, dataset, tmp_path, monkeypatch), Told()
    assert (state is None) == (step == 0)
    result = train(spot_detector(), dataset, HARMFUL, tmp_path, state=state, monitor=Monitor(told))
    assert len(told.lines) == (state is None)  # the start is evaluated once
    assert (result.best_epoch, result.best_ap, result.start) == (0, harmed[1].best_ap, harmed[1].start)
    for name in (BEST, LAST, EPOCH_0, "curves.json"):
        assert (tmp_path / name).read_bytes() == (harmed[0] / name).read_bytes(), name


def test_a_lost_start_is_replaced_by_an_epoch(
    dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    state = kill_at(2, dataset, tmp_path, monkeypatch)
    (tmp_path / BEST).write_bytes(b"")
    with pytest.warns(UserWarning, match="It is lost: the model of epoch 1 takes its place"):
        result = train(spot_detector(), dataset, HARMFUL, tmp_path, state=state)
    assert result.best_epoch > 0
    assert not (tmp_path / EPOCH_0).exists()
