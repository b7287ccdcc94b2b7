"""Channel groups: hand-worked graphs, and what holds for every graph."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers.masking import random_kept
from helpers.small_graphs import conv, group_of, network_of
from helpers.strategies import networks
from seyolo.darknet.cfg import Network, parse_cfg
from seyolo.darknet.graph import inputs
from seyolo.darknet.sections import Convolutional, Route
from seyolo.darknet.zoo import network_from_name
from seyolo.pruning.groups.groups import Groups, find_groups, keep_masks, tied_scales


def summary(groups: Groups) -> list[tuple[tuple[int, ...], int, bool]]:
    """(layers, width, fixed) of all groups but the image's."""
    return [(group.layers, group.num_channels, group.fixed) for group in groups.groups if group.layers]


def test_five_layers_by_hand() -> None:
    # 0 conv 8 and 2 conv 8 meet in 3; 1 conv 4 is free; 4 in front of [yolo] is fixed.
    network = network_of(conv(8), conv(4), conv(8), "[shortcut]\nfrom=-3\nactivation=linear\n")
    groups = find_groups(network)
    assert summary(groups) == [((0, 2), 8, False), ((1,), 4, False), ((4,), 6, True)]
    assert groups.groups[0].layers == ()
    assert groups.groups[0].fixed
    tied = group_of(groups, 0, 2)
    assert tied.in_shortcut
    assert not group_of(groups, 1).in_shortcut
    np.testing.assert_array_equal(tied.members, [range(8), range(8)])
    np.testing.assert_array_equal(groups.slots[3], groups.slots[0])


def test_uneven_shortcut_ties_only_the_first_channels() -> None:
    network = network_of(conv(12), conv(8), "[shortcut]\nfrom=0\nactivation=linear\n")
    groups = find_groups(network)
    assert summary(groups) == [((0, 1), 8, False), ((0,), 4, False), ((3,), 6, True)]
    np.testing.assert_array_equal(group_of(groups, 0).members, [[8, 9, 10, 11]])


def test_concatenation_in_a_shortcut_ties_by_position() -> None:
    # 0 conv 4, 1 conv 6, 2 concatenates both (1 first), 3 conv 10, 4 adds 2 to 3.
    network = network_of(
        conv(4), conv(6), "[route]\nlayers=1,0\n", conv(10), "[shortcut]\nfrom=2\nactivation=linear\n"
    )
    groups = find_groups(network)
    assert summary(groups) == [((0, 3), 4, False), ((1, 3), 6, False), ((5,), 6, True)]
    np.testing.assert_array_equal(group_of(groups, 0, 3).members, [range(4), range(6, 10)])
    np.testing.assert_array_equal(group_of(groups, 1, 3).members, [range(6), range(6)])


def test_depthwise_ties_its_output_to_its_input() -> None:
    groups = find_groups(network_of(conv(8), conv(8, groups=8), conv(4), conv(8, groups=4)))
    # 3 has two outputs per input: channel k of 2 owns 2k and 2k+1 of 3.
    assert summary(groups)[:2] == [((0, 1), 8, False), ((2, 3, 3), 4, False)]
    np.testing.assert_array_equal(
        group_of(groups, 2, 3, 3).members, [range(4), range(0, 8, 2), range(1, 8, 2)]
    )


def test_grouped_convolution_keeps_its_parts_equal() -> None:
    groups = find_groups(network_of(conv(8), conv(12, groups=2)))
    np.testing.assert_array_equal(group_of(groups, 0).parts, [0] * 4 + [1] * 4)
    np.testing.assert_array_equal(group_of(groups, 1).parts, [0] * 6 + [1] * 6)


def test_split_of_one_convolution_leaves_the_choice_in_each_part() -> None:
    groups = find_groups(network_of(conv(8), "[route]\nlayers=-1\ngroups=2\ngroup_id=1\n", conv(4)))
    assert group_of(groups, 0).num_parts == 2
    np.testing.assert_array_equal(groups.slots[1], group_of(groups, 0).slots[4:])


def test_split_across_convolutions_is_tied_by_position() -> None:
    # 2 holds 4 channels of 1 and 8 of 0; halves of six: 1:0-3 and 0:0-1 against 0:2-7.
    # Position i of both halves goes together, so 0:0 ~ 0:6 and 0:1 ~ 0:7, and 1:i ~ 0:i+2.
    network = network_of(
        conv(8), conv(4), "[route]\nlayers=1,0\n", "[route]\nlayers=-1\ngroups=2\ngroup_id=0\n", conv(4)
    )
    groups = find_groups(network)
    assert summary(groups)[:2] == [((0, 0), 2, False), ((0, 1), 4, False)]
    np.testing.assert_array_equal(group_of(groups, 0, 0).members, [[0, 1], [6, 7]])
    np.testing.assert_array_equal(group_of(groups, 0, 1).members, [[2, 3, 4, 5], [0, 1, 2, 3]])


def test_two_ways_to_split_one_convolution() -> None:
    # Halves and quarters of 8 channels at once: the quarters are tied, the halves are then balanced.
    halves, quarters = (f"[route]\nlayers=0\ngroups={n}\ngroup_id=0\n" for n in (2, 4))
    groups = find_groups(network_of(conv(8), halves, conv(4), quarters, conv(4)))
    for group in groups.groups:
        if 0 in group.layers:
            assert group.layers == (0, 0, 0, 0)
            np.testing.assert_array_equal(group.members[:, 0], [0, 2, 4, 6])


def test_se_gate() -> None:
    # 0 conv, 1 avgpool, 2 squeeze, 3 excite, 4 scale: the excite belongs to the map, the squeeze is its own.
    gate = (
        "[avgpool]\n[convolutional]\nfilters=4\nsize=1\nactivation=relu\n"
        "[convolutional]\nfilters=8\nsize=1\nactivation=logistic\n[scale_channels]\nfrom=0\n"
    )
    groups = find_groups(network_of(conv(8), gate))
    assert summary(groups) == [((0, 3), 8, False), ((2,), 4, False), ((5,), 6, True)]


def test_cbam_and_pooling_pass_channels_on() -> None:
    network = network_of(
        conv(8),
        "[cbam]\nhidden=2\n",
        "[maxpool]\nsize=3\nstride=1\n",
        "[upsample]\nstride=2\n",
        "[dropout]\n",
    )
    groups = find_groups(network)
    for layer in range(1, 5):
        np.testing.assert_array_equal(groups.slots[layer], groups.slots[0])


def test_end_of_a_network_without_yolo_is_fixed() -> None:
    groups = find_groups(parse_cfg("[net]\nwidth=32\nheight=32\n" + conv(8) + conv(4)))
    assert summary(groups) == [((0,), 8, False), ((1,), 4, True)]


def test_shortcut_with_the_image_is_fixed() -> None:
    text = "[net]\nwidth=32\nheight=32\n[route]\nlayers=-1\n"
    with pytest.raises(Exception, match="route"):
        parse_cfg(text)
    groups = find_groups(network_of("[dropout]\n", conv(5), "[shortcut]\nfrom=0\nactivation=linear\n"))
    assert summary(groups)[:2] == [((1,), 3, True), ((1,), 2, False)]


@pytest.mark.parametrize(("name", "num_residual"), [("yolov3@0.25", 5), ("yolov3-tiny@0.25", 0)])
def test_yolov3_groups(name: str, num_residual: int) -> None:
    # Darknet-53 has five stages, each one group of its downsampling and its residual convolutions.
    groups = find_groups(network_from_name(name, 1))
    stages = [len(group.layers) for group in groups.groups if group.in_shortcut]
    assert stages == [2, 3, 9, 9, 5][:num_residual]
    assert sum(group.fixed for group in groups.groups if group.layers) == (3 if num_residual else 2)


@settings(max_examples=60)
@given(network=networks(), seed=st.integers(0, 2**16))
def test_any_legal_choice_leaves_a_network_that_wires_up(network: Network, seed: int) -> None:
    groups = find_groups(network)
    covered = np.concatenate([group.slots for group in groups.groups])
    assert sorted(covered.tolist()) == list(range(groups.num_slots))
    masks = keep_masks(groups, random_kept(groups, np.random.default_rng(seed)))
    for index, (section, sources) in enumerate(zip(network.layers, inputs(network), strict=True)):
        divisor = section.groups if isinstance(section, Convolutional | Route) else 1
        if divisor > 1 and sources[0] >= 0 and divisor < len(masks[sources[0]]):
            parts = [part.sum() for part in np.split(masks[sources[0]], divisor)]
            assert len(set(parts)) == 1, index


def test_tied_scales_are_those_of_the_groups() -> None:
    network = network_from_name("se-yolov3-tiny@0.25", num_classes=1)
    ties = tied_scales(network)
    with_bn = [i for i, s in enumerate(network.layers) if isinstance(s, Convolutional) and s.batch_normalize]
    assert sorted(int(name.split(".")[1]) for group in ties for name, _ in group) == with_bn
    residual = tied_scales(network_from_name("yolov3@0.125", num_classes=1))
    assert max(len(group) for group in residual) == 9  # a stage's trunk: one convolution and eight blocks
