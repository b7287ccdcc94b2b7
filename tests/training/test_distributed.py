"""Two processes that train together have the losses, weights and AP of one, and stop together."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from helpers.own_process import SOURCE
from helpers.spot_detector import spot_detector, write_spots
from helpers.worker import CONFIG, EVALUATION_BATCH, train_all
from seyolo.checkpoint import read_checkpoint
from seyolo.data.datasets import load_dataset
from seyolo.errors import UsageError
from seyolo.evaluation.ap import average_precision
from seyolo.evaluation.curves import detection_curves
from seyolo.evaluation.evaluate import judged
from seyolo.opening.network import save
from seyolo.torchnet.build import from_checkpoint
from seyolo.training.distributed import Team, run_on_leader
from seyolo.training.loop import TrainResult
from seyolo.training.run_folder import saved_state

WORKER = Path(__file__).parents[1] / "helpers" / "worker.py"


def start_two(*command: object, folder: Path) -> list[subprocess.CompletedProcess[str]]:
    """Runs a command in two processes that know one another as `torchrun` would tell them."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    shared = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "WORLD_SIZE": "2", "PYTHONPATH": SOURCE}
    with ExitStack() as stack:
        processes = [
            stack.enter_context(
                subprocess.Popen(
                    [sys.executable, *map(str, command)],
                    cwd=folder,
                    env={**os.environ, **shared, "RANK": str(rank), "LOCAL_RANK": str(rank)},
                    stdout=subprocess.PIPE,
                    stderr=subprocess.PIPE,
                    text=True,
                )
            )
            for rank in range(2)
        ]
        for process in processes:
            stack.callback(process.kill)
        outputs = [process.communicate(timeout=1800) for process in processes]
    return [
        subprocess.CompletedProcess(command, process.returncode, *output)
        for process, output in zip(processes, outputs, strict=True)
    ]


@pytest.fixture(scope="module")
def alone(tiny_hands: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, TrainResult]:
    """The run of one process."""
    folder = tmp_path_factory.mktemp("alone")
    return folder, train_all(tiny_hands, folder, replace(CONFIG, sync_bn=False))


@pytest.fixture(scope="module")
def together(tiny_hands: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same run in two."""
    folder = tmp_path_factory.mktemp("together")
    return trained_together(tiny_hands, folder, "adamw")


def trained_together(data: Path, folder: Path, optimizer: str) -> Path:
    done = start_two(WORKER, "train", data, folder, optimizer, folder=folder)
    assert [process.returncode for process in done] == [0, 0], done
    return folder


def history_of(folder: Path, table: str = "results.csv") -> list[dict[str, float]]:
    with open(folder / table, encoding="utf-8") as file:
        names = file.readline().strip().split(",")
        return [
            dict(zip(names, map(float, (cell or "nan" for cell in line.strip().split(","))), strict=True))
            for line in file
        ]


def test_two_processes_have_the_losses_of_one(alone: tuple[Path, TrainResult], together: Path) -> None:
    assert json.loads((together / "run" / "environment.json").read_text())["processes"] == 2
    ours = history_of(together / "run")
    assert len(ours) == len(alone[1].history) == CONFIG.epochs
    for row, expected in zip(ours, alone[1].history, strict=True):
        for name in ("box", "objectness", "classes", "distillation", "learning_rate"):
            assert row[name] == pytest.approx(expected[name], rel=2e-3), (row["epoch"], name)


def test_two_processes_end_with_the_weights_of_one(alone: tuple[Path, TrainResult], together: Path) -> None:
    expected = read_checkpoint(alone[0] / "last.safetensors").state
    for name, value in read_checkpoint(together / "run" / "last.safetensors").state.items():
        np.testing.assert_allclose(value, expected[name], rtol=0.02, atol=5e-3, err_msg=name)
        assert np.array_equal(value == 0, expected[name] == 0), name


@pytest.mark.parametrize("optimizer", ["adamw", "muon"])
def test_processes_hold_the_same_weights_and_average(
    together: Path, tiny_hands: Path, tmp_path: Path, optimizer: str
) -> None:
    folder = together if optimizer == "adamw" else trained_together(tiny_hands, tmp_path, optimizer)
    first, second = (json.loads((folder / f"process-{rank}.json").read_text()) for rank in range(2))
    assert len(first) > 100
    assert first == second


def test_a_start_that_no_epoch_beats_is_kept_by_two(tmp_path: Path) -> None:
    data, weights = write_spots(tmp_path / "spots", train=8, val=6), tmp_path / "spot.safetensors"
    save(spot_detector(), weights)
    options = "--epochs 2 --batch 4 --lr 10 --optimizer adamw --no-mosaic --name two".split()
    line = ["-m", "seyolo", "train", "--data", data, "--weights", weights, *options]
    done = start_two(*line, folder=tmp_path)
    assert [process.returncode for process in done] == [0, 0], done
    assert [process.stderr.count("train start: AP val 1.000") for process in done] == [1, 0]
    best = read_checkpoint(tmp_path / "runs/train/two/best.safetensors").state
    for name, value in read_checkpoint(weights).state.items():
        assert np.array_equal(best[name], value), name


def test_evaluation_in_shares_has_the_ap_of_one_process(together: Path, tiny_hands: Path) -> None:
    model = from_checkpoint(read_checkpoint(together / "run" / "last.safetensors"))
    samples = load_dataset(tiny_hands).split("val")
    truths, found, _ = judged(model, samples, (64, 64), batch_size=EVALUATION_BATCH)
    metrics = average_precision(truths, found, len(model.names))
    last = history_of(together / "run")[-1]
    assert (last["val_ap"], last["val_ap50"]) == (metrics.ap, metrics.ap50)
    curves = detection_curves(truths, found, len(model.names))
    assert curves is not None
    kept = json.loads((together / "run" / "curves.json").read_text())
    assert kept == {"train": {"val": curves.to_dict()}}


def test_process_0_alone_is_tracked_and_looks_at_scales(
    alone: tuple[Path, TrainResult], together: Path
) -> None:
    notes = (together / "run" / "notes.txt").read_text().splitlines()
    assert notes == (alone[0] / "notes.txt").read_text().splitlines()
    assert notes[0] == "opened after 0"
    assert notes[-1] == "closed"
    assert len(notes) == 2 + 2 * CONFIG.epochs
    expected = history_of(alone[0], "scales.csv")
    spread = history_of(together / "run", "scales.csv")
    assert [row["epoch"] for row in spread] == [0, 1, 2, 3]
    for row, other in zip(spread, expected, strict=True):
        assert row == pytest.approx(other, rel=0.02, abs=5e-3)


COMMAND = ("--model", "yolov3-tiny@0.125", "--size", 64, "--epochs", 2, "--sync-bn", "--name", "x")


@pytest.mark.slow
def test_when_a_process_dies_all_stop_and_the_run_goes_on_inside_the_epoch(
    tiny_hands: Path, tmp_path: Path
) -> None:
    options = [word for word in COMMAND if word != "--sync-bn"]
    train_line = ("train", "--data", tiny_hands, *options, "--batch", 4, "--save-every", 1e-9)
    leader, helper = start_two(WORKER, "seyolo", 5, *train_line, folder=tmp_path)
    assert (leader.returncode, helper.returncode) == (2, 9), (leader, helper)
    assert "another process of this training stopped" in leader.stderr
    assert "Traceback" not in leader.stderr
    folder = tmp_path / "runs" / "train" / "x"
    assert [row["epoch"] for row in history_of(folder)] == [1]
    state = saved_state(folder, 2)
    assert state is not None
    assert (state.record.epoch, state.record.step) == (1, 2)
    statistics = [value for name, value in state.tensors["epoch"].items() if name != "losses"]
    assert any(not torch.equal(*value) for value in statistics), "each process has statistics of its own"

    leader, helper = start_two(
        WORKER, "seyolo", -1, "train", "--resume", folder, "--json", "-", folder=tmp_path
    )
    assert (leader.returncode, helper.returncode) == (0, 0), (leader, helper)
    assert helper.stdout == helper.stderr == ""
    assert [row["epoch"] for row in json.loads(leader.stdout)["history"]] == [1, 2]
    assert list((tmp_path / "runs" / "train").iterdir()) == [folder]

    (tmp_path / "undisturbed").mkdir()
    start_two(WORKER, "seyolo", -1, *train_line[:-1], 0, folder=tmp_path / "undisturbed")
    whole = tmp_path / "undisturbed" / "runs" / "train" / "x"
    assert (folder / "last.safetensors").read_bytes() == (whole / "last.safetensors").read_bytes()
    untimed = [
        {name: value for name, value in row.items() if name not in ("seconds", "pictures_per_s")}
        for row in history_of(folder) + history_of(whole)
    ]
    assert untimed[:2] == untimed[2:]


def test_a_batch_that_cannot_be_shared_is_refused_once(tiny_hands: Path, tmp_path: Path) -> None:
    leader, helper = start_two(
        WORKER, "seyolo", -1, "slim", "--data", tiny_hands, *COMMAND, "--batch", 5, folder=tmp_path
    )
    assert leader.returncode == 2
    assert leader.stderr.strip() == (
        "error: --batch 5: must be a multiple of 2, because 2 processes share each batch; use --batch 4"
    )
    assert helper.returncode == 1
    assert helper.stdout == helper.stderr == ""
    assert not (tmp_path / "runs").exists()


def test_a_team_of_one_talks_to_nobody() -> None:
    alone = Team()
    value = torch.ones(2)
    assert alone.sum(value) is value
    assert alone.gather(3) == [3]
    assert alone.broadcast(3) == 3
    assert alone.share_of(5) == 5
    assert run_on_leader(lambda: 7) == 7


@pytest.mark.parametrize("size", [1, 2, 3, 7])
def test_blocks_are_whole_batches_and_together_everything(size: int) -> None:
    items = list(range(11))
    blocks = [list(Team(rank, size).block_of(items, 4)) for rank in range(size)]
    assert [item for block in blocks for item in block] == items
    assert all(block[0] % 4 == 0 for block in blocks if block)
    sizes = [-(-len(block) // 4) for block in blocks]
    assert max(sizes) - min(sizes) <= 1


def test_each_process_has_a_gpu_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    chosen = []
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "set_device", chosen.append)
    monkeypatch.setenv("LOCAL_RANK", "1")
    team = Team(rank=3, size=4)
    assert team.device("cuda") == torch.device("cuda", 1)
    assert chosen == [1]
    assert team.device("cpu") == torch.device("cpu")
    assert Team().device("cuda:1") == torch.device("cuda", 1)
    with pytest.raises(UsageError, match="each of 4 processes has its own GPU; use cuda"):
        team.device("cuda:1")
    monkeypatch.setenv("LOCAL_RANK", "2")
    with pytest.raises(UsageError, match="there are 2 GPUs here; start as many processes"):
        team.device("cuda")


def test_statistics_of_one_process_have_nothing_to_join(tiny_hands: Path, tmp_path: Path) -> None:
    config = replace(CONFIG, epochs=1)
    with pytest.warns(UserWarning, match="--sync-bn joins several processes, and this is one alone"):
        train_all(tiny_hands, tmp_path, config)
