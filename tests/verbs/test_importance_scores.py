"""Scores of channels for users: those that the plan ranks by, and scales as they are."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch

import seyolo
from seyolo.errors import UsageError
from seyolo.pruning.groups.atoms import FloatArray
from seyolo.pruning.groups.groups import Groups
from seyolo.torchnet.build import DarknetModel
from seyolo.training.sparsity import sparse_scales


@pytest.fixture
def model() -> DarknetModel:
    model = seyolo.load("yolov3@0.125", num_classes=1)
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for bn in sparse_scales(model).values():
            bn.weight.copy_(torch.randn(bn.weight.shape, generator=generator))
    return seyolo.api.resized(model, 64)


def test_scales_are_read_with_their_signs(model: DarknetModel) -> None:
    scales = seyolo.api.bn_scales(model)
    assert len(scales) == len(sparse_scales(model))
    np.testing.assert_array_equal(scales[0], model.layers[0].bn.weight.detach().numpy())
    assert (scales[0] < 0).any()
    scales[0][:] = 7.0
    assert (model.layers[0].bn.weight != 7).all()


def test_tied_channels_share_the_mean_of_their_scales(model: DarknetModel) -> None:
    found, scales = seyolo.api.importance_scores(model), seyolo.api.bn_scales(model)
    assert (found.importance, found.per_cost) == ("bn", False)
    several = next(group for group in found.groups if len(group.layers) > 1)
    means = np.mean([np.abs(scales[layer]) for layer in several.layers], axis=0)
    np.testing.assert_allclose(several.scores, means, rtol=1e-6)
    for layer in several.layers:
        np.testing.assert_array_equal(found.layers[layer], several.scores)


@pytest.mark.parametrize("importance", ["obs", "taylor"])
def test_a_plan_keeps_the_channels_of_the_highest_scores(
    importance: str, model: DarknetModel, tiny_hands: Path
) -> None:
    found = seyolo.api.importance_scores(model, importance, data=tiny_hands)
    measured = {layer: scores for layer, scores in found.layers.items() if np.isfinite(scores).all()}
    _, plan = seyolo.prune(model, "macs=70%", importance=importance, measured=measured, multiple=1)
    assert [tuple(cut["layers"]) for cut in plan.groups] == [group.layers for group in found.groups]
    ranked = 0
    for cut, group in zip(plan.groups, found.groups, strict=True):
        if cut["kept"] and cut["removed"] and np.isfinite(group.scores).all():
            by_channel = dict(zip(group.channels.tolist(), group.scores.tolist(), strict=True))
            kept, removed = ([by_channel[channel] for channel in cut[way]] for way in ("kept", "removed"))
            assert min(kept) >= max(removed)
            ranked += 1
    assert ranked > 5


class Ones:
    """All alike."""

    name, per_cost = "ones", True

    def scores(self, _: DarknetModel, groups: Groups) -> Sequence[FloatArray]:
        return [np.ones(group.num_channels) for group in groups.groups]


def test_an_importance_of_the_user(model: DarknetModel, tiny_hands: Path) -> None:
    found = seyolo.api.importance_scores(model, Ones())
    assert repr(found).startswith("<ImportanceScores: ones; ")
    assert found.per_cost
    assert all((group.scores == 1).all() for group in found.groups)
    with pytest.raises(UsageError, match="data and tied are for built-in importances"):
        seyolo.api.importance_scores(model, Ones(), data=tiny_hands)


def test_what_is_measured_needs_images(model: DarknetModel) -> None:
    with pytest.raises(UsageError, match="importance 'obs' is measured on images; give --data"):
        seyolo.api.importance_scores(model, "obs")
