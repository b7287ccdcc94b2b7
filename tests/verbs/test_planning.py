"""Plans and readiness by hand: scales that are set, a cut that is known."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from seyolo.darknet import zoo
from seyolo.data.datasets import load_dataset
from seyolo.options.cut import CutOptions
from seyolo.options.slim import SlimOptions
from seyolo.torchnet.build import DarknetModel, build
from seyolo.training.sparsity import sparse_scales
from seyolo.verbs import readiness as readiness_module
from seyolo.verbs.calibration import plan_of
from seyolo.verbs.readiness import readiness, readiness_lines, validation_images


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
    measured = readiness(model, replace(plan, importance="obs"), dataset.split("val"), (64, 64))
    assert measured is not None
    assert "importance obs decides, not the scales" in readiness_lines(measured)[1]


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
