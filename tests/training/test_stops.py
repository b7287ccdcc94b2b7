"""Training that is stopped anywhere or whose files are damaged ends with the bits of an undisturbed run."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from helpers.tiny_training import CONFIG, every_second_channel, fresh_model
from seyolo.checkpoint import read_checkpoint
from seyolo.data.datasets import Dataset, load_dataset
from seyolo.errors import ModelError, TrainingError
from seyolo.progress import Silent
from seyolo.training import loop, run_folder
from seyolo.training.loop import TrainResult, train
from seyolo.training.run_folder import RunState, read_run_state, saved_state
from seyolo.training.sparsity import Steered
from seyolo.training.step import TrainingStep
from seyolo.training.trackers import Monitor

EACH_STEP = replace(CONFIG, save_every=1e-9)


class Killed(BaseException):
    """Ends a run like a signal that cannot be caught: no handler of ours mends anything."""


@pytest.fixture(scope="module")
def dataset(tiny_hands: Path) -> Dataset:
    return load_dataset(tiny_hands)


@pytest.fixture(scope="module")
def whole(dataset: Dataset, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, TrainResult]:
    """A run that nothing disturbs."""
    folder = tmp_path_factory.mktemp("whole")
    return folder, train(fresh_model(), dataset, CONFIG, folder)


def resume(dataset: Dataset, folder: Path, **options: object) -> TrainResult:
    return train(fresh_model(), dataset, CONFIG, folder, state=saved_state(folder, CONFIG.epochs), **options)


def assert_same(ours: tuple[Path, TrainResult], theirs: tuple[Path, TrainResult]) -> None:
    times = {"seconds", "pictures_per_s"}
    rows = [
        [{key: value for key, value in row.items() if key not in times} for row in result.history]
        for _, result in (ours, theirs)
    ]
    assert rows[0] == rows[1]
    for name in ("last.safetensors", "best.safetensors", "curves.json"):
        assert (ours[0] / name).read_bytes() == (theirs[0] / name).read_bytes(), name
    assert ours[1].best_epoch == theirs[1].best_epoch
    states = [read_run_state(folder / "state.safetensors") for folder, _ in (ours, theirs)]
    for group, tensors in states[0].tensors.items():
        for name, tensor in tensors.items():
            assert torch.equal(tensor, states[1].tensors[group][name]), (group, name)


def stop_at_step(monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    take = TrainingStep.take

    def stopping(step: TrainingStep, index: int, *batch: torch.Tensor) -> torch.Tensor:
        if index == number:
            raise Killed
        return take(step, index, *batch)

    monkeypatch.setattr(TrainingStep, "take", stopping)


def stopped_at_step_two(dataset: Dataset, folder: Path, monkeypatch: pytest.MonkeyPatch) -> RunState:
    with monkeypatch.context() as patch, pytest.raises(Killed):  # noqa: PT012
        stop_at_step(patch, 2)
        train(fresh_model(), dataset, EACH_STEP, folder)
    state = saved_state(folder, CONFIG.epochs)
    assert state is not None
    return state


def steps_taken(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Returns a list to which every step from now on adds its index in the epoch."""
    taken: list[int] = []
    take = TrainingStep.take

    def counted(step: TrainingStep, index: int, *batch: torch.Tensor) -> torch.Tensor:
        taken.append(index)
        return take(step, index, *batch)

    monkeypatch.setattr(TrainingStep, "take", counted)
    return taken


def test_a_run_goes_on_at_the_very_step(
    dataset: Dataset, whole: tuple[Path, TrainResult], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    state = stopped_at_step_two(dataset, tmp_path, monkeypatch)
    assert (state.record.epoch, state.record.step, state.record.place) == (0, 2, "epoch 1 of 2, step 2")
    taken = steps_taken(monkeypatch)
    assert_same((tmp_path, resume(dataset, tmp_path)), whole)
    assert taken[0] == 2


def test_the_rate_of_a_resumed_epoch_is_that_of_its_images_since_the_resume(
    dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    state = stopped_at_step_two(dataset, tmp_path, monkeypatch)
    state.record.seconds = 1000.0
    clock = iter(range(1_000_000))
    monkeypatch.setattr("seyolo.training.loop.time.monotonic", lambda: next(clock) * 1e-3)
    taken = steps_taken(monkeypatch)
    first, second = train(fresh_model(), dataset, CONFIG, tmp_path, state=state).history
    steps = len(taken) // 2 + 1  # of a whole epoch; the first two were taken before
    assert taken == [*range(2, 2 * steps)]
    assert first["seconds"] == pytest.approx(1000, abs=1)
    assert first["pictures_per_s"] > 1
    assert second["seconds"] < 1


def test_steered_sparsity_goes_on_at_the_very_step(
    dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    results = []
    for name, stop in (("whole", None), ("stopped", 5)):
        sparsity = [Steered(0.1, every_second_channel, choose_at=0.2, faded_at=0.7) for _ in range(2)]
        folder = tmp_path / name
        if stop is not None:
            with monkeypatch.context() as patch, pytest.raises(Killed):  # noqa: PT012
                stop_at_step(patch, stop)
                train(fresh_model(), dataset, EACH_STEP, folder, sparsity=sparsity[0])
        results.append((folder, resume(dataset, folder, sparsity=sparsity[1])))
    assert_same(*results)


def test_muon_goes_on_at_the_very_step(
    dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = replace(EACH_STEP, optimizer="muon")
    whole = train(fresh_model(), dataset, config, tmp_path / "whole")
    with monkeypatch.context() as patch, pytest.raises(Killed):  # noqa: PT012
        stop_at_step(patch, 5)
        train(fresh_model(), dataset, config, tmp_path / "stopped")
    folder = tmp_path / "stopped"
    state = saved_state(folder, config.epochs)
    resumed = train(fresh_model(), dataset, config, folder, state=state)
    assert_same((tmp_path / "whole", whole), (folder, resumed))


@pytest.mark.parametrize("number", range(1, 11))
def test_a_run_may_be_stopped_at_any_file(
    dataset: Dataset,
    whole: tuple[Path, TrainResult],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    number: int,
) -> None:
    replace_file, count = run_folder.os.replace, 0

    def stopping(source: Path, target: Path) -> None:
        nonlocal count
        count += 1
        if count == number:
            raise Killed
        replace_file(source, target)

    with monkeypatch.context() as patch, pytest.raises(Killed):  # noqa: PT012
        patch.setattr("os.replace", stopping)
        train(fresh_model(), dataset, CONFIG, tmp_path)
    assert_same((tmp_path, resume(dataset, tmp_path)), whole)


def flip_a_bit(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[-100] ^= 4
    path.write_bytes(data)


def cut_short(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-100])


@pytest.fixture
def stopped(dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A run that was stopped in its second epoch, after a state in the middle of it."""
    with monkeypatch.context() as patch, pytest.raises(Killed):  # noqa: PT012
        stop_at_step(patch, len(CONFIG.make_loader(dataset.split("train"))) + 1)
        train(fresh_model(), dataset, EACH_STEP, tmp_path)
    return tmp_path


@pytest.mark.parametrize("harm", [flip_a_bit, cut_short])
def test_a_damaged_state_is_replaced_by_the_one_before(
    dataset: Dataset, whole: tuple[Path, TrainResult], stopped: Path, harm: Callable[[Path], None]
) -> None:
    harm(stopped / "state.safetensors")
    said = r"state\.safetensors: .*Going on from state-before\.safetensors: the steps after epoch 1 of 2 are"
    with pytest.warns(UserWarning, match=said):
        result = resume(dataset, stopped)
    assert_same((stopped, result), whole)


def test_two_damaged_states_are_refused(stopped: Path) -> None:
    for name in ("state", "state-before"):
        cut_short(stopped / f"{name}.safetensors")
    with pytest.raises(TrainingError, match=r"state-before\.safetensors: not a readable run state"):
        saved_state(stopped, CONFIG.epochs)


def test_a_stop_between_the_two_renamings_of_the_state_loses_nothing(
    dataset: Dataset, whole: tuple[Path, TrainResult], stopped: Path
) -> None:
    (stopped / "state.safetensors").unlink()
    assert_same((stopped, resume(dataset, stopped)), whole)


def test_other_damaged_files_do_not_stop_a_resume(
    dataset: Dataset, whole: tuple[Path, TrainResult], stopped: Path
) -> None:
    cut_short(stopped / "last.safetensors")
    (stopped / "results.csv").write_text("")
    assert_same((stopped, resume(dataset, stopped)), whole)


def test_a_damaged_best_model_is_named_and_replaced(
    dataset: Dataset, whole: tuple[Path, TrainResult], stopped: Path
) -> None:
    flip_a_bit(stopped / "best.safetensors")
    with pytest.raises(ModelError, match=r"best\.safetensors: damaged"):
        read_checkpoint(stopped / "best.safetensors")
    said = r"best\.safetensors: damaged.* It is lost: the best model from here on takes its place"
    with pytest.warns(UserWarning, match=said):
        result = resume(dataset, stopped)
    assert result.best_epoch == 2
    assert result.best_ap == whole[1].history[1]["ap"]


def test_the_damaged_best_model_of_a_finished_run_is_replaced_by_the_last(
    dataset: Dataset, whole: tuple[Path, TrainResult], tmp_path: Path
) -> None:
    shutil.copytree(whole[0], tmp_path, dirs_exist_ok=True)
    state = saved_state(tmp_path, CONFIG.epochs)
    assert state is not None
    state.record.best_epoch, state.record.best_ap = 1, 0.9
    cut_short(tmp_path / "best.safetensors")
    with pytest.warns(UserWarning, match="It is lost: the model of epoch 2 takes its place"):
        result = train(fresh_model(), dataset, CONFIG, tmp_path, state=state)
    assert result.best_epoch == 2
    best, last = (read_checkpoint(tmp_path / f"{name}.safetensors").state for name in ("best", "last"))
    assert all(np.array_equal(best[name], last[name]) for name in last)


def test_weights_that_are_no_numbers_are_not_saved(
    dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    take = TrainingStep.take

    def broken(step: TrainingStep, index: int, *batch: torch.Tensor) -> torch.Tensor:
        parts = take(step, index, *batch)
        if index == 1:
            with torch.no_grad():
                next(step.model.parameters())[0] = float("nan")
        return parts

    monkeypatch.setattr(TrainingStep, "take", broken)
    with pytest.raises(TrainingError, match="not finite in epoch 1"):
        train(fresh_model(), dataset, EACH_STEP, tmp_path)
    state = saved_state(tmp_path, CONFIG.epochs)
    assert state is not None
    assert state.record.step == 1


def test_the_interval_is_kept(dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now, saved = 0.0, []
    monkeypatch.setattr(loop.time, "monotonic", lambda: now)

    steps = len(CONFIG.make_loader(dataset.split("train")))
    assert steps > 2
    keep = run_folder.RunFolder.keep
    take = TrainingStep.take

    def slow(step: TrainingStep, index: int, *batch: torch.Tensor) -> torch.Tensor:
        nonlocal now
        now += 40
        return take(step, index, *batch)

    def counted(folder: run_folder.RunFolder, step: TrainingStep, record: object, rest: object) -> None:
        saved.append((record.epoch, record.step))
        keep(folder, step, record, rest)

    monkeypatch.setattr(TrainingStep, "take", slow)
    monkeypatch.setattr(run_folder.RunFolder, "keep", counted)
    train(fresh_model(), dataset, replace(CONFIG, save_every=1.0), tmp_path, monitor=Monitor(Silent()))
    assert saved[0] == (0, 2)
    assert [entry for entry in saved if entry[1] == 0] == [(1, 0), (2, 0)]
