"""Importance: hand-worked scores."""

from __future__ import annotations

import numpy as np
import pytest

from helpers.masking import random_state
from helpers.small_graphs import conv, network_of
from seyolo.errors import UsageError
from seyolo.pruning.groups.groups import find_groups
from seyolo.pruning.importance.scores import importance

NETWORK = network_of(conv(2), conv(2), "[shortcut]\nfrom=0\nactivation=linear\n")
GROUPS = find_groups(NETWORK)  # the image, (0, 1), and the head


def scaled_state() -> dict[str, np.ndarray]:  # type: ignore[type-arg]
    state = random_state(NETWORK, np.random.default_rng(0))
    state["layers.0.bn.weight"] = np.array([-3.0, 1.0])
    state["layers.1.bn.weight"] = np.array([1.0, 2.0])
    return state


def test_bn_takes_the_mean_or_the_largest_of_tied_scales() -> None:
    image, tied, head = importance(GROUPS, scaled_state())
    np.testing.assert_array_equal(tied, [2, 1.5])
    np.testing.assert_array_equal(importance(GROUPS, scaled_state(), tied="max")[1], [3, 2])
    assert np.isinf(image).all()
    assert np.isinf(head).all()  # no batch normalisation, so no score: stays whole


def test_per_layer_scores_have_mean_one() -> None:
    # Layer 0 has mean 2: 1.5 and 0.5; layer 1 has mean 1.5: 2/3 and 4/3.
    scores = importance(GROUPS, scaled_state(), per_layer=True, tied="max")
    np.testing.assert_allclose(scores[1], [1.5, 4 / 3])


def test_norm_is_the_length_of_the_kernel() -> None:
    state = scaled_state()
    state["layers.0.conv.weight"][:] = 1.0  # 3 inputs x 9: sqrt(27)
    state["layers.1.conv.weight"][:] = 0.5  # 2 inputs x 9 / 4: sqrt(4.5)
    np.testing.assert_allclose(importance(GROUPS, state, "norm", tied="max")[1], np.sqrt([27, 27]))


def test_random_is_seeded() -> None:
    one, two = (importance(GROUPS, {}, "random", generator=np.random.default_rng(5)) for _ in range(2))
    np.testing.assert_array_equal(one[1], two[1])
    with pytest.raises(UsageError, match="generator"):
        importance(GROUPS, {}, "random")


def test_unknown_method() -> None:
    with pytest.raises(UsageError, match="bn, norm, group, taylor, obs, uniform, random"):
        importance(GROUPS, {}, "magic")  # type: ignore[arg-type]


def test_group_length_adds_up_what_is_tied() -> None:
    state = scaled_state()
    state["layers.0.conv.weight"][:] = 1.0  # sqrt(27)
    state["layers.1.conv.weight"][:] = 0.5  # sqrt(4.5)
    state["layers.0.bn.running_var"][:], state["layers.1.bn.running_var"][:] = 9.0, 1.0
    expected = [np.sqrt(27 * 9 / 9 + 4.5 * 1), np.sqrt(27 * 1 / 9 + 4.5 * 4)]
    np.testing.assert_allclose(importance(GROUPS, state, "group")[1], expected, rtol=1e-5)


def test_uniform_leaves_no_channel_behind() -> None:
    assert all((scores == 1).all() for scores in importance(GROUPS, {}, "uniform"))


def test_measured_scores_and_their_absence() -> None:
    measured = {0: np.array([3.0, 1.0]), 1: np.array([4.0, 0.0])}
    np.testing.assert_allclose(importance(GROUPS, {}, "taylor", measured=measured)[1], [5, 1])
    with pytest.raises(UsageError, match="give a data set"):
        importance(GROUPS, {}, "taylor")
