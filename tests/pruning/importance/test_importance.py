"""Importance: hand-worked scores."""

from __future__ import annotations

import doctest
from collections.abc import Sequence
from importlib import import_module
from typing import Any, get_args

import numpy as np
import pytest
import torch

import seyolo
from helpers.masking import random_state
from helpers.small_graphs import conv, network_of
from seyolo.errors import UsageError
from seyolo.options.cut import Importance as Name
from seyolo.pruning.groups.atoms import FloatArray
from seyolo.pruning.groups.groups import Groups, find_groups
from seyolo.pruning.importance.built_in import IMPORTANCES, Material, named_importance
from seyolo.pruning.importance.importance import Importance
from seyolo.torchnet.build import DarknetModel, build

NETWORK = network_of(conv(2), conv(2), "[shortcut]\nfrom=0\nactivation=linear\n")
GROUPS = find_groups(NETWORK)  # the image, (0, 1), and the head


def scores(state: dict[str, np.ndarray], name: Name, **material: Any) -> Sequence[FloatArray]:  # type: ignore[type-arg]
    model = build(NETWORK).double()
    model.load_state_dict({key: torch.from_numpy(array) for key, array in state.items()})
    return named_importance(name, Material(**material)).scores(model, GROUPS)


def scaled_state() -> dict[str, np.ndarray]:  # type: ignore[type-arg]
    state = random_state(NETWORK, np.random.default_rng(0))
    state["layers.0.bn.weight"] = np.array([-3.0, 1.0])
    state["layers.1.bn.weight"] = np.array([1.0, 2.0])
    return state


def test_bn_takes_the_mean_or_the_largest_of_tied_scales() -> None:
    image, tied, head = scores(scaled_state(), "bn")
    np.testing.assert_array_equal(tied, [2, 1.5])
    np.testing.assert_array_equal(scores(scaled_state(), "bn", tied="max")[1], [3, 2])
    assert np.isinf(image).all()
    assert np.isinf(head).all()  # no batch normalisation, so no score: stays whole


def test_norm_is_the_length_of_the_kernel() -> None:
    state = scaled_state()
    state["layers.0.conv.weight"][:] = 1.0  # 3 inputs x 9: sqrt(27)
    state["layers.1.conv.weight"][:] = 0.5  # 2 inputs x 9 / 4: sqrt(4.5)
    np.testing.assert_allclose(scores(state, "norm", tied="max")[1], np.sqrt([27, 27]))


def test_random_is_seeded() -> None:
    one, two = (scores(scaled_state(), "random", generator=np.random.default_rng(5)) for _ in range(2))
    np.testing.assert_array_equal(one[1], two[1])
    with pytest.raises(UsageError, match="generator"):
        named_importance("random", Material())


def test_unknown_name() -> None:
    with pytest.raises(UsageError, match="bn, norm, group, taylor, obs, uniform, random"):
        named_importance("magic", Material())  # type: ignore[arg-type]


def test_every_name_of_the_option_is_built_in() -> None:
    assert set(IMPORTANCES) == set(get_args(Name))
    material = Material(generator=np.random.default_rng(0), measured={})
    for name in IMPORTANCES:
        found = named_importance(name, material)
        assert isinstance(found, Importance)
        assert found.name == name
        assert found.per_cost == (name == "obs")
    assert named_importance(None, Material()).name == "bn"


def test_group_length_adds_up_what_is_tied() -> None:
    state = scaled_state()
    state["layers.0.conv.weight"][:] = 1.0  # sqrt(27)
    state["layers.1.conv.weight"][:] = 0.5  # sqrt(4.5)
    state["layers.0.bn.running_var"][:], state["layers.1.bn.running_var"][:] = 9.0, 1.0
    expected = [np.sqrt(27 * 9 / 9 + 4.5 * 1), np.sqrt(27 * 1 / 9 + 4.5 * 4)]
    np.testing.assert_allclose(scores(state, "group")[1], expected, rtol=1e-5)


def test_uniform_ranks_all_channels_alike() -> None:
    assert all((ones == 1).all() for ones in scores(scaled_state(), "uniform"))


def test_measured_scores_and_their_absence() -> None:
    measured = {0: np.array([3.0, 1.0]), 1: np.array([4.0, 0.0])}
    np.testing.assert_allclose(scores(scaled_state(), "taylor", measured=measured)[1], [5, 1])
    with pytest.raises(UsageError, match="give --data"):
        named_importance("taylor", Material())


class First:
    """Ranks channels by their position, the first highest."""

    name, per_cost = "first", False

    def scores(self, model: DarknetModel, groups: Groups) -> list[FloatArray]:
        del model
        return [-np.arange(float(group.num_channels)) for group in groups.groups]


def test_an_importance_of_a_user() -> None:
    model = build(network_of(conv(16), conv(16)))
    slim, plan = seyolo.prune(model, "channels=50%", importance=First(), multiple=4)
    assert plan.importance == "first"
    assert [cut["kept"] for cut in plan.groups] == [list(range(8)), list(range(8))]
    assert slim.network.layers[0].filters == 8  # type: ignore[attr-defined]
    with pytest.raises(UsageError, match="importance must be"):
        seyolo.prune(model, "channels=50%", importance=3)  # type: ignore[arg-type]


@pytest.mark.parametrize("module", ["importance.importance", "planning.plan", "prune"])
def test_the_examples_of_the_docstrings_run(module: str) -> None:
    failed, attempted = doctest.testmod(
        import_module(f"seyolo.pruning.{module}"), extraglobs={"seyolo": seyolo}
    )
    assert failed == 0 < attempted
