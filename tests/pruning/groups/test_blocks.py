"""Residual blocks as candidates: found on any graph, priced exactly, cut without changing what is left."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers.masking import random_kept
from helpers.planning import plan_for
from helpers.random_weights import calibrated
from helpers.small_networks import random_images
from helpers.strategies import networks
from seyolo.darknet.cfg import Network
from seyolo.darknet.cost import cost
from seyolo.darknet.edit import set_size
from seyolo.darknet.sections import Shortcut
from seyolo.darknet.zoo import network_from_name
from seyolo.errors import BudgetError, PlanError
from seyolo.options.cut import CutOptions
from seyolo.pruning.groups.blocks import find_blocks, settled
from seyolo.pruning.groups.groups import find_groups
from seyolo.pruning.planning.cost_model import CostModel
from seyolo.pruning.planning.plan import Plan, counted_plan, recounted_plan
from seyolo.pruning.planning.prunable import PrunableNetwork
from seyolo.pruning.prune import prune, prune_by
from seyolo.torchnet.build import DarknetModel, build


def tiny(name: str = "yolov3@0.125") -> Network:
    return set_size(network_from_name(name, num_classes=2), 64, 64)


@pytest.mark.parametrize("name", ["yolov3@0.125", "se-yolov3@0.25", "cbam-yolov3@0.25", "yolov4-csp@0.125"])
def test_every_residual_block_of_a_family_is_found(name: str) -> None:
    network = tiny(name)
    shortcuts = [index for index, layer in enumerate(network.layers) if isinstance(layer, Shortcut)]
    assert [block.shortcut for block in find_blocks(network, find_groups(network))] == shortcuts


def silence(model: DarknetModel, shortcut: int, layers: range) -> None:
    """Makes a block add nothing: its last normalised convolution says zero everywhere."""
    last = max(i for i in layers if i < shortcut and f"layers.{i}.bn.weight" in model.state_dict())
    with torch.no_grad():
        model.layers[last].bn.weight.zero_()
        model.layers[last].bn.bias.zero_()


@pytest.mark.parametrize("name", ["yolov3@0.125", "se-yolov3@0.25"])
def test_removing_silent_blocks_changes_nothing(name: str) -> None:
    network = tiny(name)
    images = random_images(64, 64, seed=3)
    model = calibrated(network, images).eval()
    groups = find_groups(network)
    gone = find_blocks(network, groups)[2:9:3]
    for block in gone:
        silence(model, block.shortcut, block.layers)
    counts = settled(
        np.array([0 if any(i in b.inner for b in gone) else 1 for i in range(len(groups.groups))]), gone
    )
    kept = [np.arange(g.num_channels if count else 0) for g, count in zip(groups.groups, counts, strict=True)]
    plan = counted_plan(PrunableNetwork(network), kept, budget="macs=99%", options=CutOptions(multiple=8))
    slim = prune_by(model, plan)
    assert plan.blocks_removed == tuple(block.shortcut for block in gone)
    assert len(slim.network.layers) == len(network.layers) - sum(len(block.layers) for block in gone)
    with torch.inference_mode():
        torch.testing.assert_close(slim(images), model(images), rtol=1e-4, atol=1e-4)


@settings(max_examples=40)
@given(network=networks(), seed=st.integers(0, 2**16))
def test_price_of_any_choice_is_exact(network: Network, seed: int) -> None:
    rng = np.random.default_rng(seed)
    groups = find_groups(network)
    blocks = find_blocks(network, groups)
    kept = random_kept(groups, rng)
    for block in blocks:
        if rng.random() < 0.5:
            kept[block.inner[0]] = np.array([], dtype=np.int64)
    counts = settled(np.array([len(indices) for indices in kept]), blocks)
    kept = [indices if count else indices[:0] for indices, count in zip(kept, counts, strict=True)]
    plan = counted_plan(PrunableNetwork(network), kept, budget="macs=99%", options=CutOptions(multiple=1))
    slim = prune_by(build(network), Plan.from_json(plan.to_json()))
    counted = cost(slim.network)
    assert (plan.params, plan.macs) == (counted.params, counted.macs)
    assert CostModel(network, groups, blocks=blocks).macs(counts) == counted.macs


def test_blocks_that_matter_least_go_first() -> None:
    model = build(tiny())
    blocks = find_blocks(model.network, find_groups(model.network))
    with torch.no_grad():
        for block in blocks[3:6]:
            model.layers[block.layers[0]].bn.weight.fill_(1e-3)
    plan = plan_for(model, "macs=85%", CutOptions(multiple=1))
    assert plan.blocks_removed == tuple(block.shortcut for block in blocks[3:6])
    assert all(width["after"] == 0 for width in plan.widths if width["layer"] in blocks[3].layers)
    assert plan_for(model, "macs=85%", CutOptions(multiple=1, blocks=False)).blocks_removed == ()
    assert plan_for(model, "channels=15%", CutOptions(multiple=1)).blocks_removed == ()


def test_depth_reaches_budgets_that_width_cannot() -> None:
    model = build(tiny())
    least = "macs=15%"
    with pytest.raises(BudgetError, match=r"or allow .*residual blocks to be removed"):
        plan_for(model, least, CutOptions(blocks=False))
    slim, plan = prune(model, least)
    assert plan.blocks_removed
    assert cost(slim.network).macs == plan.macs <= 0.15 * plan.dense_macs


def test_least_share_keeps_blocks_and_widths() -> None:
    model = build(tiny())
    plan = plan_for(model, "macs=70%", CutOptions(multiple=1, least_share=0.5))
    assert plan.blocks_removed == ()
    assert all(width["after"] >= width["before"] / 2 for width in plan.widths)


def test_a_block_with_a_layer_to_keep_stays() -> None:
    """The squeeze of its gate is a group of the block alone, too: the block must not go by that one."""
    model = build(tiny("se-yolov3@0.25"))
    blocks = find_blocks(model.network, find_groups(model.network))
    plan = plan_for(model, "macs=15%", CutOptions(importance="norm"))
    gone = next(block for block in blocks if block.shortcut in plan.blocks_removed)
    for layer in (gone.layers[0], gone.layers[3]):
        other = plan_for(model, "macs=20%", CutOptions(importance="norm", keep=(layer,)))
        assert gone.shortcut not in other.blocks_removed
        (width,) = [width for width in other.widths if width["layer"] == layer]
        assert width["after"] == width["before"]


def test_a_plan_edited_by_hand() -> None:
    model = build(tiny())
    plan = plan_for(model, "macs=50%", CutOptions(blocks=False))
    blocks = find_blocks(model.network, find_groups(model.network))
    shorter = Plan.from_json(
        plan.to_json().replace('"blocks_removed": []', f'"blocks_removed": [{blocks[4].shortcut}]')
    )
    slim = prune_by(model, shorter)
    assert len(slim.network.layers) == len(model.network.layers) - len(blocks[4].layers)
    true, built = recounted_plan(PrunableNetwork(model.network), shorter), cost(slim.network)
    assert shorter.macs > true.macs
    assert (true.params, true.macs) == (built.params, built.macs)
    assert prune_by(model, true).network == slim.network
    wrong = Plan.from_json(plan.to_json().replace('"blocks_removed": []', '"blocks_removed": [0]'))
    with pytest.raises(PlanError, match="layer 0 ends no removable residual block; they end in"):
        prune_by(model, wrong)
