"""Folding: the slim network answers what the dense one does when removed scales are zero."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers.masking import State, model_of, random_kept, random_state
from helpers.small_graphs import network_of
from helpers.strategies import networks
from seyolo.darknet.cfg import Network
from seyolo.darknet.sections import Convolutional, Sam, ScaleChannels
from seyolo.pruning.cutting.cut import activate, constants_of, fold_constants, slice_network
from seyolo.pruning.groups.groups import Group, Groups, find_groups, keep_masks
from seyolo.torchnet.activations import make_activation

ACTIVATIONS = (
    "linear", "leaky", "relu", "relu6", "logistic", "swish", "mish", "hard_mish", "hardtan", "tanh", "elu",
)  # fmt: skip


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_activations_agree_with_the_network(name: str) -> None:
    x = np.linspace(-8, 8, 161)
    expected = make_activation(name)(torch.from_numpy(x.copy())).numpy()  # type: ignore[arg-type]
    np.testing.assert_allclose(activate(name, x), expected, atol=1e-12)  # type: ignore[arg-type]


def conv(filters: int, size: int = 1, activation: str = "leaky") -> str:
    return (
        f"[convolutional]\nbatch_normalize=1\nfilters={filters}\nsize={size}\nstride=1\n"
        f"activation={activation}\n"
    )


def test_constants_and_means_by_hand() -> None:
    # Layer 0 loses channel 1 with shift -2: it always says leaky(-2) = -0.2.
    # Layer 1 reads it with kernel 3, so its running mean falls by 3 * -0.2 = -0.6, from 0.5 to 1.1.
    network = network_of(conv(2), conv(1))
    state = random_state(network, np.random.default_rng(0))
    state["layers.0.bn.bias"] = np.array([7.0, -2.0])
    state["layers.1.conv.weight"] = np.array([[[[5.0]], [[3.0]]]])
    state["layers.1.bn.running_mean"] = np.array([0.5])
    masks = [np.array([True, False]), *(np.ones(width, dtype=bool) for width in (1, 6, 6))]
    np.testing.assert_allclose(constants_of(network, state, masks)[0], [0, -0.2])
    folded = fold_constants(network, state, masks)
    np.testing.assert_allclose(folded["layers.1.bn.running_mean"], [1.1])
    assert state["layers.1.bn.running_mean"][0] == 0.5
    assert folded["layers.2.conv.bias"] is state["layers.2.conv.bias"]


def test_constants_add_in_a_shortcut_and_reach_the_bias_of_the_head() -> None:
    # Shifts 1 and 3 add to 4 in the shortcut, upsampling passes it on, the head has kernel 2: bias + 8.
    network = network_of(
        conv(2), conv(2), "[shortcut]\nfrom=0\nactivation=linear\n", "[upsample]\nstride=2\n"
    )
    state = random_state(network, np.random.default_rng(0))
    state["layers.0.bn.bias"], state["layers.1.bn.bias"] = np.array([1.0, 1.0]), np.array([3.0, 3.0])
    state["layers.4.conv.weight"][:, 0] = 2
    masks = [np.array([False, True])] * 4 + [np.ones(6, dtype=bool)] * 2
    constants = constants_of(network, state, masks)
    np.testing.assert_allclose(constants[3], [4, 0])
    folded = fold_constants(network, state, masks)
    np.testing.assert_allclose(folded["layers.4.conv.bias"], state["layers.4.conv.bias"] + 8)


def test_constants_stop_at_a_gate_but_reach_its_squeeze() -> None:
    network = network_of(
        conv(2),
        "[avgpool]\n[convolutional]\nfilters=1\nsize=1\nactivation=relu\n",
        "[convolutional]\nfilters=2\nsize=1\nactivation=logistic\n[scale_channels]\nfrom=0\n",
    )
    state = random_state(network, np.random.default_rng(0))
    state["layers.0.bn.bias"] = np.array([5.0, 5.0])
    masks = [np.array([True, False])] * 2 + [np.ones(1, dtype=bool)]
    masks += [np.array([True, False])] * 2 + [np.ones(6, dtype=bool)] * 2
    assert not constants_of(network, state, masks)[4].any()
    folded = fold_constants(network, state, masks)
    added = state["layers.2.conv.weight"][0, 1, 0, 0] * 5
    np.testing.assert_allclose(folded["layers.2.conv.bias"], state["layers.2.conv.bias"] + added)
    assert folded["layers.5.conv.bias"] is state["layers.5.conv.bias"]


def test_cbam_squeeze_gets_the_constant() -> None:
    network = network_of(conv(2), "[cbam]\nhidden=1\nsize=3\n")
    state = random_state(network, np.random.default_rng(0))
    state["layers.0.bn.bias"] = np.array([5.0, 5.0])
    masks = [np.array([True, False])] * 2 + [np.ones(6, dtype=bool)] * 2
    folded = fold_constants(network, state, masks)
    added = state["layers.1.squeeze.weight"][0, 1, 0, 0] * 5
    np.testing.assert_allclose(folded["layers.1.squeeze.bias"], state["layers.1.squeeze.bias"] + added)
    assert folded["layers.2.conv.bias"] is state["layers.2.conv.bias"]


def test_coordatt_gets_the_constant_and_eca_does_not() -> None:
    for gate, changed in (("[coordatt]\nhidden=2\n", "layers.1.bn.running_mean"), ("[eca]\n", None)):
        network = network_of(conv(2), gate)
        state = random_state(network, np.random.default_rng(0))
        state["layers.0.bn.bias"] = np.array([5.0, 5.0])
        masks = [np.array([True, False])] * 2 + [np.ones(6, dtype=bool)] * 2
        folded = fold_constants(network, state, masks)
        assert {name for name in state if folded[name] is not state[name]} == ({changed} - {None})
        if changed:
            added = state["layers.1.conv.weight"][:, 1, 0, 0] * 5
            np.testing.assert_allclose(folded[changed], state[changed] - added)


@pytest.mark.parametrize("gate", ["[simam]\ngain=1.5\n", "[simam]\njoin=add\n"])
def test_constants_pass_simam(gate: str) -> None:
    network = network_of(conv(6), gate, conv(5))
    rng = np.random.default_rng(2)
    state = random_state(network, rng)
    kept = np.arange(6) < 3
    masks = [kept, kept, np.ones(5, dtype=bool), *[np.ones(6, dtype=bool)] * 2]
    dense = model_of(network, without_scale(state, masks))
    slim = model_of(*slice_network(network, fold_constants(network, state, masks), masks))
    image = torch.from_numpy(rng.random((1, 3, 32, 64)))
    with torch.no_grad():
        difference = (dense.forward_heads(image)[0] - slim.forward_heads(image)[0]).abs().max()
    assert difference < 1e-9


@pytest.mark.parametrize("section", ["reorg", "reorg3d"])
def test_constants_behind_a_reorganisation(section: str) -> None:
    """The four channels that a `[reorg]` mixes are removed together and have a constant each."""
    network = network_of(conv(8), f"[{section}]\nstride=2\n", conv(3))
    rng = np.random.default_rng(0)
    state = random_state(network, rng)
    kept = np.arange(8) >= 4
    masks = [kept, np.tile(kept, 4), np.ones(3, dtype=bool), *[np.ones(6, dtype=bool)] * 2]
    constants = constants_of(network, state, masks)
    np.testing.assert_allclose(constants[1].reshape(4, 8), np.tile(constants[0], (4, 1)))
    assert len(np.unique(constants[0])) == 5  # four removed channels, and 0
    dense = model_of(network, without_scale(state, masks))
    slim = model_of(*slice_network(network, fold_constants(network, state, masks), masks))
    image = torch.from_numpy(rng.random((1, 3, 32, 64)))
    with torch.no_grad():
        torch.testing.assert_close(dense.forward_heads(image), slim.forward_heads(image), rtol=0, atol=1e-9)


def without_scale(state: State, masks: list[np.ndarray]) -> State:  # type: ignore[type-arg]
    result = dict(state)
    for index, mask in enumerate(masks):
        name = f"layers.{index}.bn.weight"
        if name in state:
            result[name] = np.where(mask, state[name], 0)
    return result


def unpadded(network: Network) -> Network:
    """The same graph with 1x1 kernels."""
    return replace(
        network,
        layers=tuple(
            replace(section, size=1, dilation=1) if isinstance(section, Convolutional) else section
            for section in network.layers
        ),
    )


def always_says_the_same(network: Network, groups: Groups, group: Group) -> bool:
    """Whether a channel without scale is constant wherever it is read: normalised and behind no gate."""
    gated = [
        groups.slots[index]
        for index, section in enumerate(network.layers)
        if isinstance(section, ScaleChannels | Sam)
    ]
    normalised = all(getattr(network.layers[layer], "batch_normalize", 0) for layer in group.layers)
    return normalised and not any(np.isin(group.slots, slots).any() for slots in gated)


@settings(max_examples=40)
@given(network=networks(only_darknet=True), seed=st.integers(0, 2**16))
def test_sliced_and_folded_equals_dense_without_scale(network: Network, seed: int) -> None:
    """Exact wherever no gate and no padded kernel is in the way."""
    plain = unpadded(network)
    rng = np.random.default_rng(seed)
    groups = find_groups(plain)
    kept = [
        indices if always_says_the_same(plain, groups, group) else np.arange(group.num_channels)
        for group, indices in zip(groups.groups, random_kept(groups, rng), strict=True)
    ]
    masks = list(keep_masks(groups, kept))
    state = random_state(plain, rng)
    dense = model_of(plain, without_scale(state, masks))
    slim = model_of(*slice_network(plain, fold_constants(plain, state, masks), masks))
    image = torch.from_numpy(rng.random((1, 3, plain.net.height, plain.net.width)))
    with torch.no_grad():
        for one, other in zip(dense.forward_heads(image), slim.forward_heads(image), strict=True):
            torch.testing.assert_close(one, other, rtol=0, atol=1e-9)


def test_padded_kernels_are_exact_inside() -> None:
    """One padded 3x3 reads constants: only the outermost ring of cells may differ, and does."""
    padded = conv(5, 3).replace("stride=1\n", "stride=1\npad=1\n")
    network = network_of(conv(4), padded)
    rng = np.random.default_rng(1)
    state = random_state(network, rng)
    masks = [np.array([True, False, True, False]), np.ones(5, dtype=bool), *[np.ones(6, dtype=bool)] * 2]
    dense = model_of(network, without_scale(state, masks))
    slim = model_of(*slice_network(network, fold_constants(network, state, masks), masks))
    image = torch.from_numpy(rng.random((1, 3, 32, 32)))
    with torch.no_grad():
        difference = (dense.forward_heads(image)[0] - slim.forward_heads(image)[0]).abs()
    assert difference[:, 1:-1, 1:-1].max() < 1e-9
    assert difference[:, 0].max() > 1e-3
