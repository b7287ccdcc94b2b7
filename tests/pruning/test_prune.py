"""The façade: prune a model, prune by a plan from JSON, keep the original."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import seyolo
from helpers.planning import plan_for
from seyolo.darknet.cost import cost
from seyolo.darknet.zoo import network_from_name
from seyolo.errors import BudgetError, PlanError, UsageError
from seyolo.options.cut import CutOptions
from seyolo.options.keywords import CutKeywords
from seyolo.options.slim import SlimOptions
from seyolo.pruning.planning.plan import Plan
from seyolo.pruning.prune import prune, prune_by
from seyolo.torchnet.build import DarknetModel, build, to_checkpoint

IMPORTANCES = ("bn", "norm", "random")


def random_model(name: str) -> DarknetModel:
    model = build(network_from_name(name, 2), ["left", "right"], torch.Generator().manual_seed(0)).eval()
    rng = np.random.default_rng(0)
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.weight.data = torch.from_numpy(rng.random(module.num_features, dtype=np.float32))
            module.bias.data = torch.from_numpy(rng.normal(size=module.num_features).astype(np.float32))
    return model


@pytest.mark.parametrize("name", ["se-yolov3@0.25", "cbam-yolov3@0.25", "yolov3-tiny@0.5", "yolov3-spp@0.25"])
def test_slim_model_is_what_the_plan_says(name: str) -> None:
    model = random_model(name)
    before = to_checkpoint(model)
    slim, plan = prune(model, "macs=40%")
    built = cost(slim.network)
    assert (plan.params, plan.macs) == (built.params, built.macs)
    assert plan.params == sum(parameter.numel() for parameter in slim.parameters())
    assert 0.38 < plan.macs / plan.dense_macs <= 0.4
    assert slim.names == ("left", "right")
    assert slim.provenance["pruned"] == {"budget": "macs=40%", "scope": "all"}
    assert slim(torch.rand(1, 3, 64, 64)).isfinite().all()
    after = to_checkpoint(model)
    assert after.network == before.network
    assert after.provenance == before.provenance
    assert all(np.array_equal(array, before.state[key]) for key, array in after.state.items())


def test_a_plan_from_json_cuts_the_same() -> None:
    model = random_model("se-yolov3@0.25")
    slim, plan = prune(model, ["params=50%", "macs=50%"])
    again = to_checkpoint(prune_by(model, Plan.from_json(plan.to_json())))
    assert again.network == slim.network
    for name, array in to_checkpoint(slim).state.items():
        np.testing.assert_array_equal(array, again.state[name])
    with pytest.raises(PlanError, match="another network"):
        prune_by(slim, plan)


def test_faded_channels_cost_nothing() -> None:
    """Sparsity training ends with scale and shift at zero for what the budget leaves out: a free cut."""
    model = random_model("se-yolov3@0.25")
    plan = plan_for(model, "macs=30%")
    with torch.no_grad():
        for index, mask in enumerate(plan.masks(model.network)):
            norm = getattr(model.layers[index], "bn", None)
            if isinstance(norm, torch.nn.BatchNorm2d):
                norm.weight[torch.from_numpy(~mask)] = 0
                norm.bias[torch.from_numpy(~mask)] = 0
    image = torch.rand(1, 3, 96, 96, generator=torch.Generator().manual_seed(0))
    slim, second = prune(model, "macs=30%")
    assert second.groups == plan.groups
    with torch.no_grad():
        torch.testing.assert_close(slim(image), model(image), rtol=1e-3, atol=1e-3)


def test_importance_can_be_chosen() -> None:
    model = random_model("yolov3-tiny@0.5")
    plans = [
        prune(model, "macs=50%", importance=name, generator=np.random.default_rng(0))[1]
        for name in IMPORTANCES
    ]
    assert len({plan.to_json() for plan in plans}) == 3


def test_every_option_of_a_cut_is_a_keyword() -> None:
    fields = {field.name for field in dataclasses.fields(CutOptions)}
    assert fields == {*CutKeywords.__annotations__, "importance"}
    model = random_model("yolov3-tiny@0.25")
    for wrong, message in [
        ({"scop": "all"}, "unexpected keyword argument 'scop'"),
        ({"multiple": "8"}, "multiple: expected int"),
    ]:
        with pytest.raises(UsageError, match=message):
            prune(model, "macs=50%", **wrong)  # type: ignore[arg-type]


def test_keywords_are_the_options_of_a_plan() -> None:
    model = random_model("yolov3-tiny@0.5")
    _, plan = prune(
        model, "macs=50%", multiple=4, keep=[2], least_share=0.1, evenness=0.5, method="norm", size=(96, 96)
    )
    options = CutOptions(
        multiple=4, keep=(2,), least_share=0.1, evenness=0.5, importance="norm", size_hw=(96, 96)
    )
    assert plan == plan_for(model, "macs=50%", options)
    assert plan.input_size == (96, 96)
    assert plan.table()[1] == (2, 16, 16)


@pytest.mark.parametrize(
    ("budget", "evenness"),
    [("macs=30%", 0.0), ("macs=20%", 0.5), ("macs=10%", 1.0), (["channels=50%", "macs=10%"], 0.0)],
)
def test_the_less_stays_the_more_even(budget: str | list[str], evenness: float) -> None:
    model = random_model("yolov3-tiny@0.5")
    plans = {even: plan_for(model, budget, CutOptions(multiple=2, evenness=even)) for even in (0.0, 0.5, 1.0)}
    assert len({str(plan.groups) for plan in plans.values()}) == 3
    assert plan_for(model, budget, CutOptions(multiple=2)) == plans[evenness]
    assert plans[evenness].evenness == evenness


@pytest.mark.parametrize(
    ("choice", "message"),
    [
        ({"scope": "some"}, "all or plain"),
        ({"multiple": 0}, "at least 1"),
        ({"least_share": 1.5}, "0 and 1"),
        ({"evenness": -1.0}, "0 or above"),
    ],
)
def test_bad_options(choice: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        CutOptions(**choice)


def test_frozen_parameters_stay_frozen() -> None:
    model = random_model("yolov3@0.125")
    for layer in model.layers[:20]:
        layer.requires_grad_(False)
    slim, plan = prune(model, "macs=15%")
    assert any(shortcut < 20 for shortcut in plan.blocks_removed)
    frozen = [not p.requires_grad for name, p in slim.named_parameters() if name.endswith("conv.weight")]
    assert frozen == [width["layer"] < 20 for width in plan.widths if width["after"]]


def test_a_slim_model_can_be_cut_again() -> None:
    first, _ = prune(random_model("se-yolov3@0.25"), "macs=50%")
    second, plan = prune(first, "macs=50%", multiple=4)
    assert plan.dense_macs == cost(first.network).macs
    assert cost(second.network).macs == plan.macs <= 0.5 * plan.dense_macs
    assert second(torch.rand(1, 3, 64, 64)).isfinite().all()


def test_a_budget_that_is_met_already_is_no_cut() -> None:
    model = random_model("yolov3-tiny@0.25")
    params = sum(parameter.numel() for parameter in model.parameters())
    with pytest.raises(BudgetError, match=r"met already: the network has .* parameters, .* MACs; .* nothing"):
        prune(model, f"params={params}")
    with pytest.raises(BudgetError, match="met already"):
        plan_for(model, "channels=0%")


def test_infeasible_budget() -> None:
    with pytest.raises(BudgetError, match="nearest"):
        prune(random_model("yolov3-tiny@0.25"), "params=1000")


def test_the_narrow_model_of_the_tutorial_has_a_budget_that_it_can_meet() -> None:
    text = (Path(__file__).parents[2] / "docs/tutorials/your-photos.md").read_text(encoding="utf-8")
    (budget,) = re.findall(r"--model yolov3-tiny@0\.25 --budget (\S+?)`", text)
    model = build(network_from_name("yolov3-tiny@0.25", 1))
    with pytest.raises(BudgetError, match="nearest budget is --budget macs=3") as caught:
        plan_for(model, *SlimOptions().budget)
    nearest = re.findall(r"--budget (\S+?),", str(caught.value))[0]
    for met in (nearest, budget):
        plan = plan_for(model, met)
        assert plan.macs <= 0.4 * plan.dense_macs


@pytest.mark.parametrize("word", ["data", "dataset"])
def test_images_lead_to_prune_file(word: str) -> None:
    model = seyolo.load("yolov3-tiny@0.125", num_classes=1)
    with pytest.raises(UsageError, match=rf"prune: takes no {word}=; .*seyolo\.api\.prune_file\(MODEL"):
        seyolo.prune(model, "macs=50%", **{word: "photos"})
