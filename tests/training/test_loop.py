"""The training loop on a handful of small images: its files, exact resuming, and what it refuses."""

from __future__ import annotations

import csv
import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from helpers.stopping import StopIn
from helpers.tiny_training import CONFIG, every_second_channel, fresh_model
from seyolo.checkpoint import read_checkpoint
from seyolo.data.datasets import Dataset, load_dataset
from seyolo.data.labels import Ignored
from seyolo.errors import DataError, TrainingError
from seyolo.options.training import Augmentation
from seyolo.progress import Silent
from seyolo.torchnet.build import from_checkpoint, to_checkpoint
from seyolo.training.distributed import SINGLE_PROCESS
from seyolo.training.loop import (
    TrainResult,
    first_batch,
    train,
)
from seyolo.training.run_folder import saved_state, write_rows
from seyolo.training.sparsity import L1, Sparsity, Steered, sparse_scales
from seyolo.training.step import TrainingStep, measure_step_seconds
from seyolo.training.trackers import Monitor
from seyolo.training.validation import validation_splits
from seyolo.translation.folding import fold_batch_norm

FILES = {
    "config.json",
    "environment.json",
    "results.csv",
    "curves.json",
    "state.safetensors",
    "state-before.safetensors",
    "best.safetensors",
    "last.safetensors",
}


@pytest.fixture(scope="module")
def dataset(tiny_hands: Path) -> Dataset:
    return load_dataset(tiny_hands)


def weights_of(path: Path) -> dict[str, np.ndarray]:
    return read_checkpoint(path).state


def read_rows(folder: Path, name: str = "results.csv") -> list[dict[str, str]]:
    with (folder / name).open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


def mean_scale(path: Path) -> float:
    scales = [value for name, value in weights_of(path).items() if name.endswith("bn.weight")]
    return float(np.abs(np.concatenate(scales)).mean())


@pytest.fixture(scope="module")
def run(dataset: Dataset, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, TrainResult]:
    """A run of two epochs that nothing disturbs."""
    folder = tmp_path_factory.mktemp("run")
    return folder, train(fresh_model(), dataset, CONFIG, folder)


def test_a_run_writes_its_files(run: tuple[Path, TrainResult]) -> None:
    folder, result = run
    assert {path.name for path in folder.iterdir()} == FILES
    curves = json.loads((folder / "curves.json").read_text())["train"]["val"]
    best_ap50 = result.history[result.best_epoch - 1]["val_ap50"]
    assert np.mean(curves["precision50"]) == pytest.approx(best_ap50, abs=2e-3)
    assert json.loads((folder / "config.json").read_text())["batch"] == 4
    assert json.loads((folder / "environment.json").read_text())["packages"]["torch"] == torch.__version__
    rows = read_rows(folder)
    assert [row["epoch"] for row in rows] == ["1", "2"]
    assert {"box", "objectness", "classes", "learning_rate", "val_ap", "val_ap50", "ap"} <= rows[0].keys()
    best = max(result.history, key=lambda row: row["ap"])
    assert result.best_ap == best["ap"]
    assert float(rows[result.best_epoch - 1]["ap"]) == result.best_ap
    best_state = weights_of(folder / "best.safetensors")
    assert all(np.array_equal(value, best_state[name]) for name, value in result.model.state_dict().items())
    assert result.model.names == ("hand",)


def test_training_changes_every_tensor(run: tuple[Path, TrainResult]) -> None:
    trained = weights_of(run[0] / "last.safetensors")
    unchanged = [
        name for name, value in fresh_model().state_dict().items() if np.array_equal(value, trained[name])
    ]
    assert unchanged == []


def steered() -> Steered:
    return Steered(0.1, every_second_channel, choose_at=0.2, faded_at=0.7)


def without_times(history: list[dict[str, object]]) -> list[dict[str, object]]:
    return [
        {key: value for key, value in row.items() if key not in {"seconds", "pictures_per_s"}}
        for row in history
    ]


def check_resumed(
    dataset: Dataset,
    folder: Path,
    undisturbed: tuple[Path, TrainResult],
    sparsity: tuple[Sparsity | None, Sparsity | None],
) -> None:
    """Stops in the middle of epoch 2, resumes, and compares with a run that was not stopped."""
    with pytest.raises(KeyboardInterrupt):
        train(
            fresh_model(),
            dataset,
            CONFIG,
            folder,
            sparsity=sparsity[0],
            monitor=Monitor(StopIn("train epoch 2/2")),
        )
    assert [row["epoch"] for row in read_rows(folder)] == ["1"]
    state = saved_state(folder, CONFIG.epochs)
    resumed = train(fresh_model(), dataset, CONFIG, folder, sparsity=sparsity[1], state=state)
    expected_folder, expected = undisturbed
    assert without_times(resumed.history) == without_times(expected.history)
    ours, theirs = (weights_of(path / "last.safetensors") for path in (folder, expected_folder))
    assert [name for name in theirs if not np.array_equal(ours[name], theirs[name])] == []


def test_a_stopped_run_resumes_exactly(
    dataset: Dataset, run: tuple[Path, TrainResult], tmp_path: Path
) -> None:
    check_resumed(dataset, tmp_path, run, (None, None))


def test_a_stopped_sparse_run_resumes_exactly(dataset: Dataset, tmp_path: Path) -> None:
    whole = train(fresh_model(), dataset, CONFIG, tmp_path / "whole", sparsity=steered())
    check_resumed(dataset, tmp_path / "stopped", (tmp_path / "whole", whole), (steered(), steered()))
    for name, bn in sparse_scales(whole.model).items():
        assert (bn.weight[0::2] == 0).all(), name
        assert (bn.weight[1::2] != 0).all(), name
    stopped, undisturbed = (read_rows(tmp_path / name, "scales.csv") for name in ("stopped", "whole"))
    assert stopped == undisturbed
    assert [row["epoch"] for row in undisturbed] == ["0", "1", "2"]
    # All scales start at 1, and half of them end at 0.
    assert {undisturbed[0][name] for name in ("p0", "p50", "p100")} == {"1.0"}
    assert float(undisturbed[2]["p45"]) == 0 < float(undisturbed[2]["p55"])


def test_what_cannot_be_resumed(dataset: Dataset, run: tuple[Path, TrainResult], tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="planned for 2 epochs, not 3"):
        saved_state(run[0], 3)
    with pytest.raises(TrainingError, match="the run is of another network"):
        train(fresh_model(width=0.25), dataset, CONFIG, tmp_path, state=saved_state(run[0], 2))
    write_rows(tmp_path / "results.csv", [{"epoch": 1}, {"epoch": 2}])
    with pytest.raises(TrainingError, match=r"state\.safetensors is gone"):
        saved_state(tmp_path, 2)


def test_a_loss_that_is_not_finite_stops_the_run_and_keeps_its_state(
    dataset: Dataset, run: tuple[Path, TrainResult], tmp_path: Path
) -> None:
    shutil.copytree(run[0], tmp_path, dirs_exist_ok=True)
    before = (tmp_path / "state.safetensors").read_bytes()
    model = fresh_model()
    with torch.no_grad():
        next(model.parameters())[0] = float("nan")
    with pytest.raises(TrainingError, match=r"not finite in epoch 1; lower the learning rate \(0\.0015\)"):
        train(model, dataset, CONFIG, tmp_path)
    assert (tmp_path / "state.safetensors").read_bytes() == before


def test_l1_makes_the_scales_smaller(dataset: Dataset, run: tuple[Path, TrainResult], tmp_path: Path) -> None:
    train(fresh_model(), dataset, CONFIG, tmp_path, sparsity=L1(10.0))
    assert mean_scale(tmp_path / "last.safetensors") < mean_scale(run[0] / "last.safetensors") - 1e-3


def test_data_that_cannot_be_trained_on(dataset: Dataset, tmp_path: Path) -> None:
    only_train = replace(dataset, splits={"train": dataset.splits["train"]})
    with pytest.raises(DataError, match=r"needs a `val` split"):
        train(fresh_model(), only_train, CONFIG, tmp_path)
    shutil.copytree(dataset.source.parent, tmp_path / "data")
    for label in (tmp_path / "data" / "labels" / "val").iterdir():
        label.write_text("")
    with pytest.raises(DataError, match="the val split has no labelled object"):
        train(fresh_model(), load_dataset(tmp_path / "data" / "data.yaml"), CONFIG, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_checkpoints_are_chosen_on_every_validation_split(dataset: Dataset) -> None:
    splits = dict.fromkeys(("val_small", "test", "val", "train"), dataset.splits["val"])
    assert validation_splits(replace(dataset, splits=splits)) == ["val", "val_small"]


def test_measuring_a_step_leaves_the_model_as_it_is(dataset: Dataset) -> None:
    model = fresh_model()
    assert measure_step_seconds(model, dataset, CONFIG, Silent(), num_steps=1) > 0
    for name, value in fresh_model().state_dict().items():
        assert torch.equal(model.state_dict()[name], value), name


def test_the_table_has_the_columns_of_all_rows(tmp_path: Path) -> None:
    write_rows(tmp_path / "results.csv", [{"epoch": 1, "box": 0.5}, {"epoch": 2, "ap": 0.25}])
    assert (tmp_path / "results.csv").read_text() == "epoch,box,ap\n1,0.5,\n2,,0.25\n"


def test_sparsity_on_a_network_without_scales_is_plain_training(dataset: Dataset, tmp_path: Path) -> None:
    config = replace(CONFIG, epochs=1)
    bare = fold_batch_norm(to_checkpoint(fresh_model()))
    plain, sparse = (
        train(from_checkpoint(bare), dataset, config, tmp_path / name, sparsity=method)
        for name, method in (("plain", None), ("sparse", L1(0.1)))
    )
    assert sparse.history[0]["objectness"] == plain.history[0]["objectness"]


def test_an_ignored_region_is_no_background(dataset: Dataset) -> None:
    # Images without objects, and a region over all of each: nothing is left to learn.
    whole = Ignored(np.float32([[0.5, 0.5, 1, 1]]), np.zeros(1, np.int64), np.array([True]))
    negatives = [
        replace(sample, boxes_cxcywh=sample.boxes_cxcywh[:0], class_ids=sample.class_ids[:0])
        for sample in dataset.split("train")[:4]
    ]
    still = replace(CONFIG, augmentation=Augmentation(mosaic=0, translate=0, scale_min=1, scale_max=1))
    objectness = []
    for samples in (negatives, [replace(sample, ignored=whole) for sample in negatives]):
        step = TrainingStep(fresh_model(), CONFIG, 1, SINGLE_PROCESS)
        images, targets = next(iter(still.make_loader(samples).epoch(0)))
        objectness.append(float(step.take(0, images, targets)[1]))
    assert objectness[1] < 0.3 * objectness[0]  # boxes at the border reach out


@pytest.mark.parametrize("multi_scale", [False, True])
def test_the_first_batch_is_the_one_that_is_trained_on(
    dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, multi_scale: bool
) -> None:
    config = replace(CONFIG, epochs=1, size=96, multi_scale=multi_scale, seed=5)
    images, targets = first_batch(dataset, config, fresh_model().network.net)
    seen = []
    monkeypatch.setattr(TrainingStep, "take", lambda self, step, *batch: seen.append(batch) or torch.zeros(3))
    train(fresh_model(), dataset, config, tmp_path)
    assert torch.equal(seen[0][0], images)
    assert torch.equal(seen[0][1], targets)
    assert images.shape[2:] == (config.epoch_size(0) if multi_scale else (96, 96))


@pytest.mark.parametrize(
    ("batch_size", "advice"),
    [(4, "use --batch 2 or a smaller --size"), (1, "use a smaller --size")],
)
def test_a_gpu_whose_memory_is_full_is_explained_and_costs_no_finished_epoch(
    dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, batch_size: int, advice: str
) -> None:
    config = replace(CONFIG, batch=batch_size, evaluations=1)
    take = TrainingStep.take

    def full_in_epoch_2(step: TrainingStep, number: int, *batch: torch.Tensor) -> torch.Tensor:
        if number == step.steps_per_epoch + 1:
            raise torch.cuda.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")
        return take(step, number, *batch)

    monkeypatch.setattr(TrainingStep, "take", full_in_epoch_2)
    with pytest.raises(TrainingError, match=rf"\b{batch_size} images? of 64 px; {advice}. Finished epochs"):
        train(fresh_model(), dataset, config, tmp_path)
    monkeypatch.undo()
    assert [row["epoch"] for row in read_rows(tmp_path)] == ["1"]
    resumed = train(fresh_model(), dataset, config, tmp_path, state=saved_state(tmp_path, config.epochs))
    assert [row["epoch"] for row in resumed.history] == [1, 2]


def full(*_: object) -> None:
    raise torch.cuda.OutOfMemoryError


def full_while_recording(*_: object) -> None:
    try:
        full()
    finally:
        raise RuntimeError("CUDA error: operation failed due to a previous error during capture")


def full_in_a_library(*_: object) -> None:
    raise RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`")


@pytest.mark.parametrize("full", [full, full_while_recording, full_in_a_library])
def test_measuring_a_step_explains_a_full_gpu_too(
    dataset: Dataset, monkeypatch: pytest.MonkeyPatch, full: Callable[..., None]
) -> None:
    monkeypatch.setattr(TrainingStep, "take", full)
    with pytest.raises(TrainingError, match="use --batch 2"):
        measure_step_seconds(fresh_model(), dataset, CONFIG, Silent())


def test_another_error_of_a_step_stays_what_it_is(dataset: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("CUDA error: an illegal memory access was encountered")

    monkeypatch.setattr(TrainingStep, "take", broken)
    with pytest.raises(RuntimeError, match="illegal memory access"):
        measure_step_seconds(fresh_model(), dataset, CONFIG, Silent())
