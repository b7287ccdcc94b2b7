"""Plans and readiness by hand: scales that are set, a cut that is known."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch

import seyolo
from seyolo.darknet import zoo
from seyolo.data.datasets import load_dataset
from seyolo.options.cut import CutOptions
from seyolo.options.slim import SlimOptions
from seyolo.torchnet.build import DarknetModel, build
from seyolo.training.sparsity import sparse_scales
from seyolo.verbs import readiness as readiness_module
from seyolo.verbs.calibration import plan_of
from seyolo.verbs.readiness import (
    IN_PRUNE,
    IN_SLIM,
    IN_TRAIN,
    readiness,
    readiness_lines,
    scales_of_cut,
    scales_of_training,
    validation_images,
)


@pytest.fixture
def model() -> DarknetModel:
    network = zoo.yolov3_tiny(num_classes=1, width=0.125)
    return build(network, ("hand",), torch.Generator().manual_seed(0))


def config(data: Path, method: str = "bn") -> SlimOptions:
    cut = CutOptions(multiple=2, importance=method)
    return SlimOptions(data=data, size=64, budget=("macs=30%",), cut=cut)


@torch.no_grad()
def part(model: DarknetModel, small: float) -> None:
    """Every second scale is `small`, the others are 1."""
    for bn in sparse_scales(model).values():
        bn.weight[::2] = small


def test_scales_that_are_apart_are_ready(model: DarknetModel, tiny_hands: Path) -> None:
    part(model, 1e-4)
    dataset = load_dataset(tiny_hands)
    half = replace(config(tiny_hands), budget=("channels=50%",), cut=CutOptions(multiple=1, importance="bn"))
    found = readiness(model, plan_of(model, half, dataset), dataset.split("val"), (64, 64))
    assert found is not None
    assert (found.nearly_zero, found.going, found.misplaced) == (0.5, 0.5, 0.0)
    assert found.going_scale == pytest.approx(1e-4)
    assert found.cut_ap50 == pytest.approx(found.ap50, abs=1e-3)  # what goes was all but silent
    assert found.to_json().keys() == {
        "nearly_zero", "going", "going_scale", "misplaced", "ap50", "cut_ap50", "importance",
    }  # fmt: skip


def test_equal_scales_overlap(model: DarknetModel, tiny_hands: Path) -> None:
    dataset = load_dataset(tiny_hands)
    plan = plan_of(model, config(tiny_hands), dataset)
    with torch.no_grad():
        for bn in sparse_scales(model).values():
            bn.weight.copy_(torch.rand(len(bn.weight), generator=torch.Generator().manual_seed(0)) + 0.5)
    found = readiness(model, plan, dataset.split("val"), (64, 64))
    assert found is not None
    assert found.misplaced > 0.8
    assert "the scales are not apart" in readiness_lines(found)[1]
    assert readiness_lines(found)[2] == IN_SLIM
    measured = readiness(model, replace(plan, importance="obs"), dataset.split("val"), (64, 64))
    assert measured is not None
    assert "importance obs decides, not the scales" in readiness_lines(measured)[1]
    assert IN_SLIM not in readiness_lines(measured)


@torch.no_grad()
def test_a_cut_by_scales_names_the_scales_at_the_threshold(model: DarknetModel) -> None:
    for bn in sparse_scales(model).values():
        bn.weight.copy_(torch.linspace(1, 1.01, len(bn.weight)))
    said = plan_file_lines(model, budget="channels=50%", importance="bn", multiple=1)
    assert said[1].startswith("the scales are not apart: a pruned channel has 99% of the scale of a kept one")
    assert said[2:] == [
        IN_PRUNE,
        "scales where one threshold decides, 50% of those that may be pruned: pruned are those up to 1, kept "
        "those from 1.01 to 1.01",
    ]
    assert len(plan_file_lines(model, budget="macs=70%", importance="bn")) == 3  # without one threshold
    assert plan_file_lines(model, budget="channels=50%", importance="norm") == []


@torch.no_grad()
def test_scales_overlap_where_a_layer_keeps_its_last_channels(model: DarknetModel) -> None:
    first, *others = sparse_scales(model).values()
    first.weight.fill_(0.01)
    for bn in others:
        bn.weight.copy_(torch.linspace(0.5, 1, len(bn.weight)))
    said = plan_file_lines(model, budget="channels=50%", importance="bn", multiple=1)
    assert said[0].endswith("of the scales nearly zero")
    assert re.match(r"\d+% of all channels with a BN scale are pruned", said[0])
    assert said[-1].endswith("; they overlap as every layer keeps its last channels")


def plan_file_lines(model: DarknetModel, **options: Any) -> list[str]:
    _, plan = seyolo.prune(model, **options)
    return scales_of_cut(model, plan)


def test_training_says_how_many_scales_are_nearly_zero(model: DarknetModel, tmp_path: Path) -> None:
    assert scales_of_training(model, tmp_path / "a.png") == [
        f"0% of the scales nearly zero, as {tmp_path / 'a.png'} shows: importance bn can prune about as many",
        IN_TRAIN,
    ]
    part(model, 1e-4)
    (line,) = scales_of_training(model, tmp_path / "a.png")
    assert line.startswith("50% of the scales nearly zero")


def test_taylor_leaves_the_model_training(model: DarknetModel, tiny_hands: Path) -> None:
    dataset = load_dataset(tiny_hands)
    model.train()
    measured = plan_of(model, config(tiny_hands, "taylor"), dataset)
    assert model.training
    assert measured.groups != plan_of(model, config(tiny_hands, "taylor"), None).groups


def test_validation_images_are_labelled_and_few(
    tiny_hands: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cv2.imwrite(str(tmp_path / "background.png"), np.zeros((64, 64, 3), np.uint8))
    hands = tiny_hands.parent / "images"
    data = tmp_path / "data.yaml"
    data.write_text(
        f"names: [hand]\ntrain: {hands / 'train'}\nval: {hands / 'val'}\nval_small: {hands / 'test'}\n"
        f"val_empty: {tmp_path}\n"
    )
    monkeypatch.setattr(readiness_module, "VALIDATION_IMAGES", 4)
    found = Counter(sample.image.parent.name for sample in validation_images(load_dataset(data)))
    assert found == {"val": 3, "test": 4}  # of 6 and of 4, the last as val_small; of the empty split none
