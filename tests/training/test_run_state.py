"""Run states: what goes in comes out, nothing else is taken for one, and a stopped write harms nothing."""

from __future__ import annotations

from pathlib import Path
from typing import get_args

import pytest
import torch
from safetensors.torch import save_file

from seyolo.checkpoint import write_checkpoint
from seyolo.darknet import zoo
from seyolo.errors import TrainingError
from seyolo.options.training import OptimizerName
from seyolo.torchnet.build import DarknetModel, build, to_checkpoint
from seyolo.training import run_folder
from seyolo.training.optimizer import (
    JointOptimizer,
    make_optimizer,
    optimizer_tensors,
    restore_optimizer,
)
from seyolo.training.run_folder import RunRecord, RunState, read_run_state, write_run_state


def example() -> RunState:
    kernel = torch.arange(54.0).view(2, 3, 3, 3).contiguous(memory_format=torch.channels_last)
    tensors = {
        "model": {"layers.0.conv.weight": kernel},
        "optimizer": {"0/step": torch.tensor(3.0), "0/exp_avg": -kernel},
        "sparsity": {"layers.0.bn": torch.tensor([True, False]), "rest": torch.tensor(1 / 3).double()},
    }
    return RunState(tensors, RunRecord(4, epoch=3, best_ap=1 / 3, history=[{"epoch": 1, "val_ap": 0.5}]))


def test_what_is_written_comes_back(tmp_path: Path) -> None:
    write_run_state(tmp_path / "state.safetensors", example())
    found = read_run_state(tmp_path / "state.safetensors")
    assert found.record == example().record
    assert found.tensors.keys() == example().tensors.keys()
    for group, tensors in example().tensors.items():
        assert found.tensors[group].keys() == tensors.keys()
        for name, tensor in tensors.items():
            assert found.tensors[group][name].dtype == tensor.dtype
            assert torch.equal(found.tensors[group][name], tensor)


def test_a_state_of_version_0_1_0_is_read(tmp_path: Path) -> None:
    values = (
        '{"epoch": 1, "updates": 8, "best_ap": 0.25, "best_epoch": 1, '
        '"history": [{"epoch": 1, "seconds": 2.5, "ap": 0.25}], "scales": [{"epoch": 0, "p0": 1.0}], '
        '"epochs": 3}'
    )
    metadata = {"format": "seyolo-run", "values": values}
    save_file({"model/layers.0.bn.weight": torch.ones(2)}, tmp_path / "state.safetensors", metadata)
    found = read_run_state(tmp_path / "state.safetensors")
    history = [{"epoch": 1, "seconds": 2.5, "ap": 0.25}]
    assert found.record == RunRecord(3, 1, 8, 0.25, 1, history, [{"epoch": 0, "p0": 1.0}])
    assert torch.equal(found.tensors["model"]["layers.0.bn.weight"], torch.ones(2))


def test_a_missing_file_and_a_truncated_one(tmp_path: Path) -> None:
    path = tmp_path / "state.safetensors"
    with pytest.raises(TrainingError, match=r"state\.safetensors: there is no run to resume"):
        read_run_state(path)
    write_run_state(path, example())
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(TrainingError, match=r"state\.safetensors: not a readable run state"):
        read_run_state(path)


def test_files_of_another_kind(tmp_path: Path) -> None:
    path = tmp_path / "best.safetensors"
    write_checkpoint(path, to_checkpoint(build(zoo.yolov3_tiny(num_classes=1, width=0.125))))
    with pytest.raises(TrainingError, match=r"best\.safetensors: not the state of a training run"):
        read_run_state(path)
    path.write_text("epoch,ap\n1,0.5\n")
    with pytest.raises(TrainingError, match="not a readable run state"):
        read_run_state(path)


def test_a_stopped_write_leaves_the_old_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "state.safetensors"
    write_run_state(path, example())

    def stop_half_way(file: Path, *_: object) -> None:
        file.write_bytes(b"half")
        raise KeyboardInterrupt

    monkeypatch.setattr(run_folder, "write_tensors", stop_half_way)
    with pytest.raises(KeyboardInterrupt):
        write_run_state(path, RunState({}, RunRecord(4, epoch=4)))
    assert read_run_state(path).record.epoch == 3
    assert list(tmp_path.iterdir()) == [path]


def _training(seed: int, name: OptimizerName) -> tuple[DarknetModel, JointOptimizer]:
    network = zoo.yolov3_tiny(num_classes=1, width=0.125)
    model = build(network, generator=torch.Generator().manual_seed(seed))
    model.to(memory_format=torch.channels_last)
    return model, make_optimizer(model, 1e-2, 0.02, torch.device("cpu"), name)


def _steps(model: DarknetModel, optimizer: JointOptimizer, count: int) -> None:
    generator = torch.Generator().manual_seed(count)
    for _ in range(count):
        images = torch.rand(2, 3, 32, 32, generator=generator).contiguous(memory_format=torch.channels_last)
        optimizer.zero_grad()
        sum(heads.square().mean() for heads in model.forward_heads(images)).backward()
        optimizer.step()


@pytest.mark.parametrize("name", get_args(OptimizerName))
def test_a_restored_optimiser_takes_the_same_next_steps(tmp_path: Path, name: OptimizerName) -> None:
    model, optimizer = _training(0, name)
    _steps(model, optimizer, 5)
    tensors = {"model": model.state_dict(), "optimizer": optimizer_tensors(optimizer)}
    write_run_state(tmp_path / "state.safetensors", RunState(tensors, RunRecord(1)))

    other, other_optimizer = _training(1, name)
    found = read_run_state(tmp_path / "state.safetensors")
    other.load_state_dict(found.tensors["model"])
    restore_optimizer(other_optimizer, found.tensors["optimizer"])
    _steps(model, optimizer, 3)
    _steps(other, other_optimizer, 3)
    for key, tensor in model.state_dict().items():
        assert torch.equal(other.state_dict()[key], tensor), key
