"""Parameters and MACs: worked by hand, and Darknet's own figures for the published networks."""

from __future__ import annotations

from math import prod

import pytest
from hypothesis import given

from helpers.strategies import networks
from seyolo.darknet.cfg import Network, parse_cfg
from seyolo.darknet.cost import cost
from seyolo.darknet.weights import tensor_shapes
from seyolo.darknet.zoo import network_from_name
from seyolo.errors import CfgError


def test_cost_by_hand() -> None:
    network = parse_cfg(
        "[net]\nwidth=8\nheight=4\n"
        "[convolutional]\nfilters=6\nsize=3\nstride=2\npad=1\nbatch_normalize=1\n"
        "[convolutional]\nfilters=4\nsize=1\ngroups=2\n"
        "[cbam]\nhidden=2\nsize=3\n"
        "[maxpool]\nsize=2\nstride=2\n"
        "[eca]\nsize=3\n"
        "[coordatt]\nhidden=5\n"
        "[simam]\n"
    )
    result = cost(network)
    assert [layer.params for layer in result.layers] == [
        6 * 3 * 9 + 2 * 6,  # kernel, BN scale and bias
        4 * 3 + 4,  # each of two groups sees 3 of 6 channels; bias
        (2 * 4 + 2) + (4 * 2 + 4) + 2 * 9,  # squeeze, excite, spatial
        0,
        3,
        (5 * 4 + 2 * 5) + 2 * (4 * 5 + 4),  # a convolution with normalisation, and two with biases
        0,
    ]
    assert [layer.macs for layer in result.layers] == [
        2 * 4 * 6 * 3 * 9,  # 2x4 cells
        2 * 4 * 4 * 3,
        2 * (4 * 2 + 2 * 4) + 2 * 4 * 2 * 9,  # the MLP twice, then 2 -> 1 over 3x3 on 2x4 cells
        0,
        4 * 3,
        (1 + 2) * (5 * 4 + 4 * 5),  # 1x2 cells: one row and two columns, to 5 channels and back
        0,
    ]
    assert result.params == 174 + 16 + 40 + 3 + 78
    assert result.macs == 1296 + 96 + 176 + 12 + 120
    assert [layer.kind for layer in result.layers] == [
        "convolutional", "convolutional", "cbam", "maxpool", "eca", "coordatt", "simam",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "classes", "params", "macs"),
    [
        ("yolov3", 80, 61_949_149, 32_932_037_632),  # Darknet prints 65.86 BFLOPs = 2 MACs
        ("yolov3", 1, 61_523_734, 32_644_937_728),
        ("yolov3-spp", 80, 62_998_749, 33_109_246_976),
        ("yolov3-tiny", 80, 8_852_366, 2_782_480_896),  # 5.56 BFLOPs
    ],
)
def test_published_networks_at_416(name: str, classes: int, params: int, macs: int) -> None:
    result = cost(network_from_name(name, classes), 416, 416)
    assert (result.params, result.macs) == (params, macs)


def test_macs_grow_with_the_image() -> None:
    network = network_from_name("yolov3@0.25", 1)
    assert 4 * cost(network, 160, 320).macs == cost(network, 320, 640).macs
    assert cost(network, 160, 320).params == cost(network, 320, 640).params


@given(networks())
def test_parameters_are_the_tensors_that_training_learns(network: Network) -> None:
    learned = [prod(shape) for name, shape in tensor_shapes(network).items() if ".running_" not in name]
    result = cost(network)
    assert result.params == sum(learned)
    assert result.macs == sum(layer.macs for layer in result.layers)


def test_weights_of_terabytes_are_refused() -> None:
    wide = "[convolutional]\nfilters=1000000\nsize=1\n"
    network = parse_cfg("[net]\nwidth=1\nheight=1\n" + 2 * wide, "wide.cfg")
    with pytest.raises(CfgError, match=r"wide\.cfg:7: \[convolutional\] \(layer 1\): the weights pass 4 GiB"):
        cost(network)
