"""Plans and readiness by hand: scales that are set, a cut that is known."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import cv2
import numpy as np
import pytest
import torch

from seyolo.darknet import zoo
from seyolo.darknet.cost import cost
from seyolo.data.datasets import load_dataset
from seyolo.network.build import DarknetModel, build
from seyolo.pipeline import planning
from seyolo.pipeline import readiness as readiness_module
from seyolo.pipeline.config import SlimConfig
from seyolo.pipeline.planning import TRIED_EVENNESS, plan_of, rough_plan
from seyolo.pipeline.readiness import readiness, validation_pictures
from seyolo.progress import Lines
from seyolo.pruning.options import PlanOptions
from seyolo.training.sparsity import sparse_scales


@pytest.fixture
def model() -> DarknetModel:
    network = zoo.yolov3_tiny(num_classes=1, width=0.125)
    return build(network, ("hand",), torch.Generator().manual_seed(0))


def config(data: Path, method: str = "bn") -> SlimConfig:
    cut = PlanOptions(multiple=2, method=method)
    return SlimConfig(data=str(data), size_px=64, budget=("macs=30%",), cut=cut)


@torch.no_grad()
def part(model: DarknetModel, small: float) -> None:
    """Every second scale is `small`, the others are 1."""
    for bn in sparse_scales(model).values():
        bn.weight[::2] = small


def test_scales_that_are_apart_are_ready(model: DarknetModel, tiny_hands: Path) -> None:
    part(model, 1e-4)
    dataset = load_dataset(tiny_hands)
    half = replace(config(tiny_hands), budget=("channels=50%",), cut=PlanOptions(multiple=1))
    found = readiness(model, plan_of(model, half, dataset), dataset.split("val"), (64, 64))
    assert found is not None
    assert (found.nearly_zero, found.going, found.misplaced) == (0.5, 0.5, 0.0)
    assert found.going_scale == pytest.approx(1e-4)
    assert found.cut_ap50 == pytest.approx(found.ap50, abs=1e-3)  # what goes was all but silent
    assert found.as_dict().keys() == {
        "nearly_zero", "going", "going_scale", "misplaced", "ap50", "cut_ap50",
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
    assert "the scales overlap" in found.lines()[1]


def test_taylor_leaves_the_model_training(model: DarknetModel, tiny_hands: Path) -> None:
    dataset = load_dataset(tiny_hands)
    model.train()
    measured = plan_of(model, config(tiny_hands, "taylor"), dataset)
    assert model.training
    assert measured.groups != rough_plan(model, config(tiny_hands, "taylor")).groups


@torch.no_grad()
def rank_by_layer(model: DarknetModel) -> None:
    """Scales that fall inside every layer, and from layer to layer."""
    for place, bn in enumerate(sparse_scales(model).values()):
        bn.weight.copy_(torch.linspace(1.0, 0.5, len(bn.weight)) / (1 + place))


def test_open_evenness_is_tried_out(
    model: DarknetModel,
    tiny_hands: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    rank_by_layer(model)
    dataset, asked = load_dataset(tiny_hands), config(tiny_hands)
    plans = [
        plan_of(model, replace(asked, cut=replace(asked.cut, evenness=evenness)), dataset)
        for evenness in TRIED_EVENNESS
    ]
    assert len({plan.params for plan in plans}) == len(plans)

    def judged(pruned: DarknetModel, *_: object, **__: object) -> SimpleNamespace:
        return SimpleNamespace(ap=float(cost(pruned.network, 64, 64).params == plans[1].params))

    monkeypatch.setattr(planning, "evaluate", judged)
    assert plan_of(model, asked, dataset, Lines()) == plans[1]
    assert "by evenness 0: 0.000, 0.5: 1.000, 1: 0.000; the cut takes 0.5" in capsys.readouterr().err


@pytest.mark.parametrize(
    "changes",
    [
        {"repair": "none"},  # what is not repaired finds nothing, whatever the plan
        {"sparsity": "steered"},  # plans are made while scales fade
        {"cut": PlanOptions(multiple=2, method="uniform")},  # is even already
    ],
)
def test_nothing_is_tried_where_it_tells_nothing(
    model: DarknetModel, tiny_hands: Path, monkeypatch: pytest.MonkeyPatch, changes: dict[str, Any]
) -> None:
    monkeypatch.delattr(planning, "evaluate")
    assert plan_of(model, replace(config(tiny_hands), **changes), load_dataset(tiny_hands)).evenness == 0.0


def test_validation_pictures_are_labelled_and_few(
    tiny_hands: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cv2.imwrite(str(tmp_path / "background.png"), np.zeros((64, 64, 3), np.uint8))
    hands = tiny_hands.parent / "images"
    data = tmp_path / "data.yaml"
    data.write_text(
        f"names: [hand]\ntrain: {hands / 'train'}\nval: {hands / 'val'}\nval_small: {hands / 'test'}\n"
        f"val_empty: {tmp_path}\n"
    )
    monkeypatch.setattr(readiness_module, "VALIDATION_PICTURES", 4)
    found = validation_pictures(load_dataset(data))
    assert {name: len(pictures) for name, pictures in found.items()} == {"val": 3, "val_small": 4}  # of 6, 4
