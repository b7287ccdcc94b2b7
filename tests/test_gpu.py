"""What a GPU does like a CPU: inference, training, slimming; skipped where there is none."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from helpers.stopping import StopIn
from seyolo.darknet import zoo
from seyolo.data.datasets import Dataset, load_dataset
from seyolo.errors import TrainingError
from seyolo.options.slim import SlimOptions
from seyolo.pruning.cutting.repair import recalibrate
from seyolo.pruning.groups.groups import tied_scales
from seyolo.runtime.protocol import Precision, Session
from seyolo.runtime.torch_backend import TorchBackend
from seyolo.torchnet.build import DarknetModel, build
from seyolo.training.config import TrainConfig
from seyolo.training.distributed import SINGLE_PROCESS
from seyolo.training.gpu import RecordedHeads
from seyolo.training.loop import train
from seyolo.training.run_folder import saved_state
from seyolo.training.sparsity import make_sparsity
from seyolo.training.step import TrainingStep
from seyolo.training.trackers import Monitor
from seyolo.verbs.slim import run_slim as slim

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU that PyTorch sees")

CONFIG = TrainConfig(epochs=2, batch=4, size=64, evaluations=2, warmup_epochs=0.5)
ON_GPU = replace(CONFIG, device="cuda")


@pytest.fixture(scope="module")
def dataset(tiny_hands: Path) -> Dataset:
    return load_dataset(tiny_hands)


def fresh_model(name: str = "yolov3_tiny") -> DarknetModel:
    network = getattr(zoo, name)(num_classes=1, width=0.25, scale_x_y=2.0)
    return build(network, ("hand",), torch.Generator().manual_seed(0))


def images(count: int, size_px: int = 64) -> np.ndarray:
    return np.random.default_rng(count).random((count, 3, size_px, size_px), dtype=np.float32)


@pytest.fixture
def exact(monkeypatch: pytest.MonkeyPatch) -> None:
    """float32 as it is, without the ten bits of TF32."""
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", False)


@pytest.mark.usefixtures("exact")
@pytest.mark.parametrize(("precision", "tolerance"), [("f32", 1e-4), ("bf16", 0.1), ("f16", 0.02)])
@pytest.mark.parametrize("name", ["yolov3_tiny", "yolov3"])
def test_predictions_are_those_of_the_cpu(name: str, precision: Precision, tolerance: float) -> None:
    model = fresh_model(name)
    recalibrate(model, [torch.from_numpy(images(4))])  # or what random kernels give is beyond float16
    gpu = TorchBackend(model, Session(device="cuda", precision=precision))
    for batch in (images(1), images(3), images(1, 96), images(1)):
        expected = TorchBackend(model).infer(batch)
        found = gpu.infer(batch)
        assert found.dtype == np.float32
        assert np.linalg.norm(found - expected) < tolerance * np.linalg.norm(expected)


def distance(ours: torch.Tensor, theirs: torch.Tensor) -> float:
    """How far apart tensors are, relative to their size."""
    return float((ours - theirs).norm() / theirs.norm().clamp_min(1e-9))


def test_what_was_returned_stays_when_the_next_batch_comes() -> None:
    gpu = TorchBackend(fresh_model(), Session(device="cuda"))
    first = gpu.infer(images(1))
    before = first.copy()
    assert not np.array_equal(gpu.infer(images(1) / 2), before)
    np.testing.assert_array_equal(first, before)


def test_training_goes_as_on_the_cpu(dataset: Dataset, tmp_path: Path) -> None:
    exact = replace(CONFIG, mixed_precision=False)
    on_cpu = train(fresh_model(), dataset, exact, tmp_path / "cpu")
    on_gpu = train(fresh_model(), dataset, replace(exact, device="cuda"), tmp_path / "gpu")
    for theirs, ours in zip(on_cpu.history, on_gpu.history, strict=True):
        assert ours["box"] == pytest.approx(theirs["box"], rel=0.02)
        assert ours["objectness"] == pytest.approx(theirs["objectness"], rel=0.02)


def test_a_stopped_run_goes_on(dataset: Dataset, tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        train(fresh_model(), dataset, ON_GPU, tmp_path, monitor=Monitor(StopIn("train epoch 2/2")))
    result = train(fresh_model(), dataset, ON_GPU, tmp_path, state=saved_state(tmp_path, ON_GPU.epochs))
    assert [row["epoch"] for row in result.history] == [1, 2]


@pytest.mark.usefixtures("exact")
def test_recorded_passes_are_those_of_the_model(dataset: Dataset) -> None:
    plain, recorded = fresh_model().cuda().train(), fresh_model().cuda().train()
    run = RecordedHeads(recorded)
    for size_px in (64, 96, 64):
        images = torch.rand(2, 3, size_px, size_px, device="cuda")
        plain.zero_grad()
        recorded.zero_grad()
        for heads in (plain.forward_heads(images), run(images)):
            sum(head.square().mean() for head in heads).backward()
        pairs = zip(plain.parameters(), recorded.parameters(), strict=True)
        assert max(distance(ours.grad, theirs.grad) for theirs, ours in pairs) < 1e-3
        pairs = zip(plain.buffers(), recorded.buffers(), strict=True)
        assert max(distance(ours.float(), theirs.float()) for theirs, ours in pairs) < 1e-4


@pytest.mark.filterwarnings("ignore:Synchronization debug mode")
def test_a_step_never_waits_for_the_gpu(dataset: Dataset) -> None:
    model = fresh_model()
    sparsity = make_sparsity("group", 0.1, ties=tied_scales(model.network))
    batches = list(ON_GPU.make_loader(dataset.split("train")).epoch(0))
    training = TrainingStep(model, ON_GPU, len(batches), SINGLE_PROCESS, sparsity=sparsity)
    training.model.train()
    training.take(0, *batches[0])  # the first step records kernels and may wait
    torch.cuda.synchronize()
    torch.cuda.set_sync_debug_mode("error")
    try:
        for step, batch in enumerate(batches):
            training.take(step, *batch)
    finally:
        torch.cuda.set_sync_debug_mode("default")


def test_full_memory_is_explained(dataset: Dataset, tmp_path: Path) -> None:
    torch.cuda.set_per_process_memory_fraction(0.003)
    try:
        with pytest.raises(TrainingError, match=r"memory does not hold a step of 4 images .* --batch 2"):
            train(fresh_model("yolov3"), dataset, replace(ON_GPU, size=608), tmp_path)
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)


@pytest.mark.parametrize("sparsity", ["group", "steered"])
def test_slimming(tiny_hands: Path, tmp_path: Path, sparsity: str) -> None:
    config = SlimOptions(
        data=tiny_hands,
        model="yolov3-tiny@0.25",
        size=64,
        budget=("macs=50%",),
        epochs=2,
        branch_epoch=1,
        sparse_epochs=1,
        finetune_epochs=1,
        batch=4,
        sparsity=sparsity,  # type: ignore[arg-type]
        device="cuda",
    )
    results = slim(config, tmp_path)
    assert results.stages[-1].macs <= 0.5 * results.stages[0].macs
    assert json.loads((tmp_path / "environment.json").read_text())["gpu"]
