"""The network's own input size in training and slimming, square or not."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch

import seyolo
from helpers.small_networks import CONVOLUTION, random_images
from seyolo.checkpoint import read_checkpoint
from seyolo.darknet.cfg import Network, parse_cfg
from seyolo.errors import CfgError, UsageError
from seyolo.json_files import from_json, to_json
from seyolo.options.cut import CutOptions
from seyolo.options.slim import SlimOptions
from seyolo.options.train import TrainOptions
from seyolo.progress import Advance, Silent
from seyolo.report.pages.write import write_report
from seyolo.training import loop
from seyolo.training.config import TrainConfig
from seyolo.training.loss import predictions
from seyolo.verbs.controls import Finished, control_results
from seyolo.verbs.slim_run import SlimRun
from seyolo.verbs.start import with_model

NARROW = CutOptions(multiple=2)
HEAD = """
[convolutional]
size=1
filters=12
activation=linear
[yolo]
mask=0,1
anchors=10,14,  23,27
classes=1
num=2
"""
WIDE = (
    "[net]\nwidth=64\nheight=32\nchannels=3\n" + CONVOLUTION + "[maxpool]\nsize=2\nstride=2\n" + CONVOLUTION
)


class Told(Silent):
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def message(self, text: str) -> None:
        self.lines.append(text)

    @contextmanager
    def task(self, title: str, total: int | None) -> Iterator[Advance]:
        del title, total
        yield lambda count, note: None


def wide_network() -> Network:
    return parse_cfg(WIDE + HEAD)


@pytest.fixture
def wide_cfg(tmp_path: Path) -> Path:
    path = tmp_path / "wide.cfg"
    path.write_text(wide_network().to_cfg())
    return path


def test_a_cfg_trains_at_its_own_size_and_so_does_its_checkpoint(
    tiny_hands: Path, wide_cfg: Path, tmp_path: Path
) -> None:
    told = Told()
    trained = seyolo.train(
        tiny_hands, wide_cfg, epochs=1, batch=4, multi_scale=True, folder=tmp_path / "run", progress=told
    )
    assert told.lines[0] == f"input size 64x32, as in {wide_cfg}; --size sets another"
    net = trained.model.network.net
    assert (net.height, net.width) == (32, 64)
    assert json.loads((tmp_path / "run" / "command.json").read_text())["size"] == [32, 64]
    assert json.loads((tmp_path / "run" / "config.json").read_text())["size"] == [32, 64]
    write_report([tmp_path / "run"], tmp_path / "page.html")
    page = (tmp_path / "page.html").read_text()
    assert "<td>64x32</td>" in page
    assert "<td>932</td>" in page  # parameters
    again = with_model(TrainOptions(model=str(tmp_path / "run" / "best.safetensors")))
    assert again.size == (32, 64)


def test_weights_beside_a_cfg_are_named_where_none_are_given(wide_cfg: Path) -> None:
    weights = wide_cfg.with_suffix(".weights")
    for options in (TrainOptions(model=str(wide_cfg)), SlimOptions(model=str(wide_cfg))):
        weights.unlink(missing_ok=True)
        told = Told()
        with_model(options, told)
        letterboxed = "images are letterboxed, as always with new weights; wide.cfg stretches them"
        assert told.lines[1:] == [letterboxed]
        weights.touch()
        with_model(options, told)
        assert told.lines[3] == letterboxed
        assert told.lines[4] == (
            "warning: wide.weights beside wide.cfg is not used, training starts from new weights: "
            f"--weights {weights} starts from it"
        )
        with_model(replace(options, weights=weights), told)
        assert len(told.lines) == 6


def test_a_stopped_wide_run_goes_on(
    tiny_hands: Path, wide_cfg: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = loop._Run._train_epoch

    def stopped(self: loop._Run, epoch: int) -> None:
        if epoch == 1:
            raise KeyboardInterrupt
        whole(self, epoch)

    for name in ("whole", "stopped"):
        with monkeypatch.context() as patch, suppress(KeyboardInterrupt):
            patch.setattr(loop._Run, "_train_epoch", stopped if name == "stopped" else whole)
            seyolo.train(tiny_hands, wide_cfg, epochs=2, batch=4, folder=tmp_path / name)
    seyolo.api.resume_train(tmp_path / "stopped")
    one, other = (
        read_checkpoint(tmp_path / name / "last.safetensors").state for name in ("whole", "stopped")
    )
    assert all(np.array_equal(one[name], other[name]) for name in one)


def test_a_size_that_is_given_counts(wide_cfg: Path) -> None:
    assert with_model(TrainOptions(model=str(wide_cfg), size=(96, 64))).size == (96, 64)
    assert with_model(TrainOptions(model=str(wide_cfg), size=(64, 64))).size == 64
    assert with_model(SlimOptions(model=str(wide_cfg), size=96)).size == 96


def test_zoo_names_keep_the_usual_size(wide_cfg: Path, tmp_path: Path) -> None:
    assert with_model(TrainOptions(model="yolov3-tiny@0.125")).size == 416
    assert with_model(TrainOptions()).size == 416
    path = tmp_path / "small.safetensors"
    seyolo.save(seyolo.api.resized(seyolo.load("yolov3-tiny@0.125", num_classes=1), (64, 96)), path)
    assert with_model(TrainOptions(model="yolov3-tiny@0.125", weights=path)).size == (64, 96)
    assert with_model(TrainOptions(weights=path)).size == (64, 96)
    assert with_model(TrainOptions(model=str(wide_cfg), weights=path)).size == (32, 64)


def test_a_side_that_the_stride_does_not_divide_is_refused(tiny_hands: Path, wide_cfg: Path) -> None:
    with pytest.raises(CfgError, match=r"an image width of 60 is no multiple of 8.*take 56 or 64"):
        seyolo.train(tiny_hands, wide_cfg, epochs=1, size=(32, 60))
    with pytest.raises(UsageError, match="sides are at least 1"):
        seyolo.train(tiny_hands, wide_cfg, epochs=1, size=(0, 64))
    with pytest.raises(UsageError, match="size"):
        seyolo.train(tiny_hands, wide_cfg, epochs=1, size="64x32")  # type: ignore[arg-type]


def test_numbers_of_numpy_are_sizes(wide_cfg: Path, tmp_path: Path) -> None:
    path = tmp_path / "wide.safetensors"
    seyolo.save(seyolo.load(wide_cfg), path)
    size = (np.int64(64), np.int64(96))
    plan = seyolo.api.plan_file(path, tmp_path / "x.plan.json", budget="macs=60%", size=size, cut=NARROW)
    assert plan.input_size == (64, 96)


def test_slim_keeps_a_wide_network_wide(tiny_hands: Path, wide_cfg: Path, tmp_path: Path) -> None:
    folder, told = tmp_path / "slim", Told()
    results = seyolo.slim(
        tiny_hands, wide_cfg, epochs=1, sparse_epochs=1, finetune_epochs=1, batch=4, budget="macs=60%",
        cut=NARROW, folder=folder, progress=told,
    )  # fmt: skip
    assert told.lines[0] == f"input size 64x32, as in {wide_cfg}; --size sets another"
    assert [stage["input_size"] for stage in results["stages"]] == [[32, 64]] * 4
    assert results["plan"]["input_size"] == [32, 64]
    assert json.loads((folder / "config.json").read_text())["size_px"] == [32, 64]
    assert "@64x32" in (folder / "table.md").read_text()
    assert "64x32" in (folder / "report.html").read_text()
    net = read_checkpoint(folder / "slim.safetensors").network.net
    assert (net.height, net.width) == (32, 64)
    for name in ("slim.onnx", "dense.onnx"):
        dims = onnx.load(folder / name).graph.input[0].type.tensor_type.shape.dim
        assert [dim.dim_value for dim in dims[2:]] == [32, 64]
    assert seyolo.Detector(folder / "slim.onnx").backend.input_size == (32, 64)
    again = seyolo.api.resume_slim(folder)
    assert again["stages"][-1]["metrics"] == results["stages"][-1]["metrics"]


def test_a_run_of_earlier_versions_has_one_number(tiny_hands: Path) -> None:
    old = to_json(SlimOptions(data=tiny_hands, size=64))
    assert old["size"] == 64
    assert from_json(old, SlimOptions).size == 64
    assert from_json({**old, "size": [32, 64]}, SlimOptions).size == (32, 64)
    assert TrainConfig(size=64).size_hw == (64, 64)


def test_the_loss_decodes_as_the_model_does() -> None:
    model = seyolo.api.resized(seyolo.load("yolov3-tiny@0.125", num_classes=1), (64, 128))
    images = random_images(64, 128)
    with torch.no_grad():
        decoded, _ = predictions(model.heads, model.forward_heads(images), (64, 128))
        torch.testing.assert_close(decoded, model(images))


def test_sizes_of_epochs_keep_the_shape_and_the_stride() -> None:
    config = TrainConfig(epochs=40, size=(192, 384), multi_scale=True, plain_share=0.0)
    sizes = {config.epoch_size(epoch) for epoch in range(40)}
    assert len(sizes) > 4
    for height, width in sizes:
        assert 288 <= width <= 480
        assert height % 32 == width % 32 == 0
        assert abs(width / 2 - height) <= 16
    square = replace(config, size=384)
    assert all(height == width for height, width in map(square.epoch_size, range(40)))
    wide_strides = [config.epoch_size(epoch, stride=64) for epoch in range(40)]
    assert all(height % 64 == width % 64 == 0 for height, width in wide_strides)


def test_a_smaller_input_keeps_the_shape_or_is_not_possible(tiny_hands: Path, tmp_path: Path) -> None:
    model = seyolo.load("yolov3-tiny@0.125", names=["hand"])
    small = SlimRun(SlimOptions(data=tiny_hands, size=32), tmp_path / "run", Silent())
    fitted = seyolo.api.resized(model, 32)
    rows = control_results(Finished(small, fitted, fitted), ["lowres"])
    assert rows[1].not_possible == "there is no smaller input than 32 px to compare with"


def test_the_wide_case_stays_wide(tiny_hands: Path, shared_cases: Path, tmp_path: Path) -> None:
    folder = shared_cases / "darknet" / "wide_net"
    cfg, weights = folder / "wide.cfg", folder / "wide.weights"
    trained = seyolo.train(tiny_hands, cfg, weights=weights, epochs=1, batch=4, folder=tmp_path / "train")
    assert (trained.model.network.net.height, trained.model.network.net.width) == (128, 256)
    results = seyolo.slim(
        tiny_hands, cfg, weights=weights, epochs=0, sparse_epochs=1, finetune_epochs=1, batch=4,
        budget="macs=60%", folder=tmp_path / "slim",
    )  # fmt: skip
    assert {tuple(stage["input_size"]) for stage in results["stages"]} == {(128, 256)}
