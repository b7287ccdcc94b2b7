"""Surgery: sliced equals masked, and what the plan predicts is what is built."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers.masking import (
    State,
    largest_difference,
    mask_layers,
    model_of,
    random_kept,
    random_state,
)
from helpers.strategies import networks
from seyolo.darknet.cfg import Network, parse_cfg
from seyolo.darknet.cost import cost
from seyolo.darknet.sections import Cbam, Convolutional, Eca
from seyolo.darknet.weights import tensor_shapes
from seyolo.darknet.zoo import network_from_name
from seyolo.errors import PlanError
from seyolo.pruning.cutting.cut import slice_network
from seyolo.pruning.groups.groups import find_groups, keep_masks
from seyolo.pruning.planning.cost_model import CostModel

ZOO = [
    "yolov3@0.125", "yolov3-spp@0.125", "yolov3-tiny@0.25", "se-yolov3@0.125", "se-yolov3-tiny@0.25",
    "cbam-yolov3@0.125", "cbam-yolov3-tiny@0.25", "eca-yolov3@0.125", "coordatt-yolov3@0.125",
    "simam-yolov3@0.125",
]  # fmt: skip


def check_cut(network: Network, state: State, rng: np.random.Generator) -> None:
    groups = find_groups(network)
    kept = random_kept(groups, rng)
    masks = keep_masks(groups, kept)
    before = {name: array.copy() for name, array in state.items()}
    slim, tensors = slice_network(network, state, masks)

    assert {name: array.shape for name, array in tensors.items()} == tensor_shapes(slim)
    assert all(array.flags.c_contiguous for array in tensors.values())
    assert all(np.array_equal(array, before[name]) for name, array in state.items())
    assert parse_cfg(slim.to_cfg()) == slim
    model, built = CostModel(network, groups), cost(slim)
    counts = np.array([len(indices) for indices in kept])
    assert (model.params(counts), model.macs(counts)) == (built.params, built.macs)
    dense = cost(network)
    assert (model.params(model.widths), model.macs(model.widths)) == (dense.params, dense.macs)

    masked = mask_layers(model_of(network, state), masks)
    assert largest_difference(model_of(slim, tensors), masked, rng) < 1e-9


@settings(max_examples=60)
@given(network=networks(), seed=st.integers(0, 2**16))
def test_sliced_equals_masked_on_any_graph(network: Network, seed: int) -> None:
    rng = np.random.default_rng(seed)
    check_cut(network, random_state(network, rng), rng)


@pytest.mark.parametrize("name", ZOO)
def test_sliced_equals_masked_in_the_zoo(name: str) -> None:
    rng = np.random.default_rng(3)
    network = small(network_from_name(name, 1))
    check_cut(network, random_state(network, rng), rng)


def small(network: Network) -> Network:
    text = network.to_cfg().replace("width=416", "width=64").replace("height=416", "height=64")
    return parse_cfg(text)


GATES = ["[cbam]\nhidden=3\nsize=5", "[eca]\nsize=5\ngain=2", "[coordatt]\nhidden=3", "[simam]\ngain=1.5"]


def with_two_gates(gate: str, join: str) -> Network:
    convolution = "[convolutional]\nbatch_normalize=1\nfilters=8\nsize=3\nstride=1\npad=1\nactivation=leaky\n"
    head = "[convolutional]\nfilters=6\nsize=1\nstride=1\nactivation=linear\n"
    yolo = "[yolo]\nmask=0\nanchors=4,4\nclasses=1\nnum=1\n"
    gate = f"{gate}\njoin={join}\n"
    return parse_cfg("[net]\nwidth=32\nheight=32\n" + convolution + gate + convolution + gate + head + yolo)


@pytest.mark.parametrize("join", ["scale", "add"])
@pytest.mark.parametrize("gate", GATES)
def test_sliced_equals_masked_through_gates(gate: str, join: str) -> None:
    rng = np.random.default_rng(0)
    network = with_two_gates(gate, join)
    check_cut(network, random_state(network, rng), rng)


def test_cbam_tensors_by_hand() -> None:
    # 8 channels, 2 stay: the mean over 8 of which 6 are zero is 2/8 of the mean over the 2.
    network = with_two_gates(GATES[0], "scale")
    state = random_state(network, np.random.default_rng(0))
    masks = [np.ones(width, dtype=bool) for width in (8, 8, 8, 8, 6, 6)]
    masks[0] = masks[1] = np.arange(8) < 2
    slim, tensors = slice_network(network, state, masks)
    assert [layer.floor for layer in slim.layers if isinstance(layer, Cbam)] == [True, False]
    spatial = state["layers.1.spatial.weight"]
    np.testing.assert_allclose(tensors["layers.1.spatial.weight"][:, 0], spatial[:, 0] * 0.25)
    np.testing.assert_array_equal(tensors["layers.1.spatial.weight"][:, 1], spatial[:, 1])
    np.testing.assert_array_equal(tensors["layers.1.squeeze.weight"], state["layers.1.squeeze.weight"][:, :2])
    np.testing.assert_array_equal(tensors["layers.3.spatial.weight"], state["layers.3.spatial.weight"])


def test_eca_positions_by_hand() -> None:
    """A kernel of 5 reaches 2 channels; distances of 3 and more are written as 3."""
    network = with_two_gates("[eca]\nsize=5", "scale")
    state = random_state(network, np.random.default_rng(0))
    for kept, positions in (((0, 1, 4, 7), (0, 1, 4, 7)), ((2, 3, 4, 5), ()), ((1, 7), (0, 3)), ((6,), ())):
        masks = [np.ones(width, dtype=bool) for width in (8, 8, 8, 8, 6, 6)]
        masks[0] = masks[1] = np.isin(np.arange(8), kept)
        slim, tensors = slice_network(network, state, masks)
        assert [layer.positions for layer in slim.layers if isinstance(layer, Eca)] == [positions, ()]
        np.testing.assert_array_equal(tensors["layers.1.conv.weight"], state["layers.1.conv.weight"])


def test_pruning_twice_is_pruning_once() -> None:
    network = with_two_gates("[eca]\nsize=3", "add")
    state = random_state(network, np.random.default_rng(0))
    masks = [np.ones(width, dtype=bool) for width in (8, 8, 8, 8, 6, 6)]
    first, both = np.isin(np.arange(8), (0, 2, 3, 5, 6)), np.isin(np.arange(8), (0, 3, 6))
    once, tensors = slice_network(network, state, [first, first, *masks[2:]])
    again = both[first]
    twice = slice_network(once, tensors, [again, again, *masks[2:]])
    at_once = slice_network(network, state, [both, both, *masks[2:]])
    assert twice[0] == at_once[0]
    assert largest_difference(model_of(*twice), model_of(*at_once), np.random.default_rng(1)) == 0


@settings(max_examples=30)
@given(network=networks(), seed=st.integers(0, 2**16))
def test_removing_silent_channels_changes_nothing(network: Network, seed: int) -> None:
    """Scale and shift zero in front of f(0) = 0; the mean of SE gates sees only zeros, too."""
    rng = np.random.default_rng(seed)
    network = parse_cfg(network.to_cfg().replace("activation=logistic", "activation=leaky"))
    groups = find_groups(network)
    masks = keep_masks(groups, random_kept(groups, rng))
    state = silence(network, random_state(network, rng), masks)
    slim, tensors = slice_network(network, state, masks)
    assert largest_difference(model_of(slim, tensors), model_of(network, state), rng) < 1e-9


def silence(network: Network, state: State, masks: Any) -> State:
    """Zeroes what a removed channel's convolution says: scale and shift, or kernel and bias without them."""
    result = {name: array.copy() for name, array in state.items()}
    for name, array in result.items():
        index, tensor = name.removeprefix("layers.").split(".", 1)
        own = tensor in ("bn.weight", "bn.bias")
        bare = tensor.startswith("conv") and f"layers.{index}.bn.weight" not in state
        if (own or bare) and isinstance(network.layers[int(index)], Convolutional):
            array[~masks[int(index)]] = 0
    return result


def test_grouped_and_depthwise_kernels_by_hand() -> None:
    text = (
        "[net]\nwidth=32\nheight=32\n"
        "[convolutional]\nfilters=4\nsize=1\nactivation=linear\n"
        "[convolutional]\nfilters=4\ngroups=2\nsize=1\nactivation=linear\n"
        "[convolutional]\nfilters=4\ngroups=4\nsize=1\nactivation=linear\n"
    )
    network = parse_cfg(text)
    state = random_state(network, np.random.default_rng(0))
    state["layers.1.conv.weight"] = np.arange(8.0).reshape(4, 2, 1, 1)
    first = np.array([True, False, False, True])
    second = np.array([False, True, True, False])
    slim, tensors = slice_network(network, state, [first, second, second])
    # Part 0 keeps input 0 and row 1, part 1 keeps its input 1 and row 2: entries [1, 0] = 2 and [2, 1] = 5.
    np.testing.assert_array_equal(tensors["layers.1.conv.weight"].ravel(), [2, 5])
    assert [(layer.filters, layer.groups) for layer in slim.layers] == [(2, 1), (2, 2), (2, 2)]  # type: ignore[attr-defined]
    np.testing.assert_array_equal(tensors["layers.2.conv.weight"], state["layers.2.conv.weight"][[1, 2]])


def test_a_layer_never_loses_every_channel() -> None:
    network = parse_cfg(
        "[net]\nwidth=32\nheight=32\n[convolutional]\nfilters=4\nsize=1\nactivation=linear\n" * 1
    )
    state = random_state(network, np.random.default_rng(0))
    with pytest.raises(PlanError, match=r"layer 0 would lose all of its channels \(4\)"):
        slice_network(network, state, [np.zeros(4, dtype=bool)])
