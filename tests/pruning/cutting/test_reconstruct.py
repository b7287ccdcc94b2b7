"""Reconstruction: nothing to repair changes nothing, what is redundant is repaired exactly, bad input."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from helpers.planning import plan_for
from helpers.random_weights import calibrated
from helpers.small_networks import random_images
from seyolo.darknet.edit import set_size
from seyolo.darknet.zoo import network_from_name
from seyolo.errors import DataError, PlanError
from seyolo.options.cut import CutOptions
from seyolo.pruning.cutting import repair as module
from seyolo.pruning.cutting.repair import reconstruct
from seyolo.pruning.groups.groups import Groups, find_groups
from seyolo.pruning.planning.plan import Plan, counted_plan
from seyolo.pruning.planning.prunable import PrunableNetwork
from seyolo.pruning.prune import prune_by
from seyolo.torchnet.build import DarknetModel

SIDE = 64


@pytest.fixture
def dense() -> DarknetModel:
    network = set_size(network_from_name("se-yolov3-tiny@0.5", num_classes=2), SIDE, SIDE)
    return calibrated(network, random_images(SIDE, SIDE, seed=1)).eval()


def several(count: int, seed: int) -> torch.Tensor:
    return torch.cat([random_images(SIDE, SIDE, seed=seed + i) for i in range(count)])


def halves(groups: Groups) -> list[np.ndarray]:
    """Of every free group the first half."""
    return [
        np.arange(group.num_channels if group.fixed else group.num_channels // 2) for group in groups.groups
    ]


def plan_of(model: DarknetModel) -> Plan:
    groups = find_groups(model.network)
    return counted_plan(
        PrunableNetwork(model.network), halves(groups), options=CutOptions(multiple=1), budget="macs=50%"
    )


def output(model: DarknetModel, images: torch.Tensor) -> torch.Tensor:
    with torch.inference_mode():
        return model(images)


def double_up(model: DarknetModel) -> None:
    """Makes the second half of every free channel a copy of the first half, so that half of them will do."""
    with torch.no_grad():
        for index, mask in enumerate(plan_of(model).masks(model.network)):
            state = {
                name: tensor
                for name, tensor in model.layers[index].state_dict().items()
                if tensor.ndim and len(tensor) == len(mask)
            }
            for tensor in state.values() if not mask.all() else ():
                tensor[~torch.from_numpy(mask)] = tensor[torch.from_numpy(mask)].clone()


def test_redundant_channels_are_made_up_for(dense: DarknetModel) -> None:
    double_up(dense)
    plan = plan_of(dense)
    slim, images = prune_by(dense, plan), several(16, seed=20)
    before = (output(slim, images) - output(dense, images)).abs().mean()
    reconstruct(slim, dense, plan, images.split(8))
    after = (output(slim, images) - output(dense, images)).abs().mean()
    assert after < 0.02 * before


def test_where_nothing_is_lost_nothing_changes(dense: DarknetModel) -> None:
    with torch.no_grad():
        for index, mask in enumerate(plan_of(dense).masks(dense.network)):
            bn = getattr(dense.layers[index], "bn", None)
            if isinstance(bn, torch.nn.BatchNorm2d):
                bn.weight[~torch.from_numpy(mask)] = 0.0
                bn.bias[~torch.from_numpy(mask)] = 0.0
    plan = plan_of(dense)
    slim = prune_by(dense, plan)
    expected = output(slim, several(2, seed=20))
    reconstruct(slim, dense, plan, [several(4, seed=40)])
    torch.testing.assert_close(output(slim, several(2, seed=20)), expected, rtol=1e-3, atol=1e-3)


def test_places_with_objects_are_fitted_first(dense: DarknetModel, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of what the dense network is sure of, more is left than where all places count alike."""
    plan, images = plan_of(dense), several(16, seed=20)
    expected = output(dense, images)
    weight = expected[..., 4:5] ** 2
    errors = []
    for alike in (False, True):
        if alike:
            monkeypatch.setattr(
                module, "position_weights", lambda predicted: torch.ones_like(predicted[..., 0, 0])
            )
        slim = prune_by(dense, plan)
        reconstruct(slim, dense, plan, images.split(8))
        errors.append(((output(slim, images)[..., 4:] - expected[..., 4:]).square() * weight).mean().item())
    assert errors[0] < 0.95 * errors[1]


def test_no_images_and_another_network(dense: DarknetModel) -> None:
    plan = plan_for(dense, "macs=60%")
    slim = prune_by(dense, plan)
    with pytest.raises(DataError, match="no images"):
        reconstruct(slim, dense, plan, [])
    with pytest.raises(PlanError, match="another network"):
        reconstruct(slim, slim, plan, [several(1, seed=0)])
