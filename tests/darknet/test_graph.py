"""Wiring, shapes and strides: hand-worked cases, and the message of every wrong wiring."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given

from helpers.strategies import networks
from seyolo.darknet.cfg import Network, parse_cfg
from seyolo.darknet.graph import (
    IMAGE,
    Shape,
    channels,
    consumers,
    detection_layers,
    inputs,
    max_stride,
    num_classes,
    shapes,
    strides,
)
from seyolo.darknet.sections import Route
from seyolo.errors import CfgError

NET = "[net]\nwidth=64\nheight=32\n"
CONV = "[convolutional]\nfilters={}\nsize=3\nstride={}\npad=1\nactivation=linear\n"


def network_of(*sections: str) -> Network:
    return parse_cfg(NET + "".join(sections), "n.cfg")


def test_shapes_by_hand() -> None:
    network = network_of(
        CONV.format(8, 2),  # 0: (32+2-3)//2+1 = 16, (64+2-3)//2+1 = 32
        "[maxpool]\nsize=2\nstride=1\n",  # 1: (16+1-2)//1+1 = 16
        "[maxpool]\nsize=3\nstride=2\n",  # 2: (16+2-3)//2+1 = 8, (32+2-3)//2+1 = 16
        "[upsample]\nstride=2\n",  # 3: 16 x 32
        "[route]\nlayers=-1,0\n",  # 4: 8+8 channels
        "[route]\nlayers=4,-1\ngroups=4\ngroup_id=1\n",  # 5: 16/4 + 16/4 = 8 channels
        "[avgpool]\n",  # 6: 8 x 1 x 1
        "[scale_channels]\nfrom=5\n",  # 7
        "[sam]\nfrom=5\n",  # 8
        "[shortcut]\nfrom=4\n",  # 9: 8 in front + 16 named -> 8
        "[convolutional]\nfilters=4\nsize=3\nstride_x=2\nstride_y=1\ndilation=2\npad=1\n",  # 10: 16 x 16
        "[cbam]\nhidden=2\n",  # 11
    )
    assert shapes(network) == (
        (8, 16, 32), (8, 16, 32), (8, 8, 16), (8, 16, 32), (16, 16, 32), (8, 16, 32), (8, 1, 1),
        (8, 16, 32), (8, 16, 32), (8, 16, 32), (4, 16, 16), (4, 16, 16),
    )  # fmt: skip
    assert inputs(network)[4:10] == ((3, 0), (4, 4), (5,), (6, 5), (7, 5), (8, 4))
    assert consumers(network)[3:6] == ((4,), (5, 9), (6, 7, 8))
    assert strides(network)[:7] == (2, 2, 4, 2, 2, 2, None)
    assert strides(network)[10] == 4
    assert max_stride(network) == 4
    assert shapes(network, 64, 64)[9] == Shape(8, 32, 32)


def test_upsampling_past_the_image_is_a_stride_below_one() -> None:
    network = network_of(CONV.format(4, 1), "[upsample]\nstride=4\n")
    assert strides(network) == (1, Fraction(1, 4))
    assert max_stride(network) == 1
    assert shapes(network)[1] == (4, 128, 256)


def test_convolution_without_padding_shrinks() -> None:
    network = network_of("[convolutional]\nfilters=2\nsize=5\nstride=1\n")
    assert shapes(network) == ((2, 28, 60),)  # 32-5+1, 64-5+1


YOLO = "[yolo]\nmask=0\nanchors=1,1\nnum=1\nclasses={}\n"


def test_detection_layers_and_classes() -> None:
    network = network_of(CONV.format(7, 1), YOLO.format(2), "[route]\nlayers=0\n", YOLO.format(2))
    assert detection_layers(network) == (1, 3)
    assert num_classes(network) == 2
    assert shapes(network)[3] == (7, 32, 64)


def test_classes_that_differ_or_are_absent() -> None:
    network = network_of(CONV.format(7, 1), YOLO.format(2), CONV.format(8, 1), YOLO.format(3))
    with pytest.raises(
        CfgError, match=r"n\.cfg:21: \[yolo\] \(layer 3\): classes=3, but layer 1 has classes=2"
    ):
        num_classes(network)
    with pytest.raises(CfgError, match=r"n\.cfg: the network has no \[yolo\]"):
        num_classes(network_of(CONV.format(8, 1)))


@pytest.mark.parametrize(
    ("sections", "line", "text"),
    [
        (
            (CONV.format(8, 1), CONV.format(8, 2), "[route]\nlayers=-1,0\n"),
            16,
            "[route] (layer 2): joins layer 1 of 32x16 with layer 0 of 64x32 (width x height)",
        ),
        (
            (CONV.format(8, 1), CONV.format(8, 2), "[shortcut]\nfrom=0,0\n"),
            16,
            "[shortcut] (layer 2): joins layer 1 of 32x16 with layer 0 of 64x32",
        ),
        (
            (CONV.format(8, 1), CONV.format(8, 2), "[sam]\nfrom=0\n"),
            16,
            "[sam] (layer 2): joins layer 1 of 32x16 with layer 0 of 64x32",
        ),
        (
            (CONV.format(9, 1), "[route]\nlayers=-1\ngroups=2\n"),
            10,
            "[route] (layer 1): groups=2 does not divide the 9 channels of layer 0",
        ),
        (
            (CONV.format(9, 1), CONV.format(4, 1) + "groups=2\n"),
            10,
            "[convolutional] (layer 1): groups=2 must divide the 9 channels it reads and filters=4",
        ),
        (
            (CONV.format(8, 1), CONV.format(9, 1) + "groups=2\n"),
            10,
            "groups=2 must divide the 8 channels it reads and filters=9",
        ),
        (
            (CONV.format(21, 1), YOLO.format(1)),
            10,
            "1 anchors and classes=1 need 6 channels in front (1·(5+1)), got 21: set filters=6 there",
        ),
        (
            (CONV.format(8, 1), CONV.format(4, 1), "[avgpool]\n", "[scale_channels]\nfrom=0\n"),
            17,
            "multiplies 8 channels of layer 0 with 4 of the layer in front; they must be equal",
        ),
        (
            (CONV.format(8, 1), CONV.format(8, 1), "[scale_channels]\nfrom=0\n"),
            16,
            "needs 1x1 factors in front, got 64x32",
        ),
        ((CONV.format(6, 1), YOLO.format(1), CONV.format(8, 1)), 15, "reads layer 1, a [yolo]"),
        (
            ("[convolutional]\nfilters=1\nsize=33\n",),
            4,
            "[convolutional] (layer 0): nothing is left of the 64x32 in front",
        ),
    ],
)
def test_wrong_wiring_names_file_and_line(sections: tuple[str, ...], line: int, text: str) -> None:
    with pytest.raises(CfgError) as caught:
        shapes(network_of(*sections))
    assert str(caught.value).startswith(f"n.cfg:{line}: ")
    assert text in str(caught.value)


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (
            (30, 64),
            "an image height of 30 is no multiple of 4, the largest stride of the network; take 28 or 32",
        ),
        ((32, 2), "an image width of 2 is no multiple of 4, the largest stride of the network; take 4"),
        ((0, 64), "an image height of 0"),
        ((-4, 64), "an image height of -4"),
    ],
)
def test_image_sizes_that_do_not_fit(size: tuple[int, int], text: str) -> None:
    with pytest.raises(CfgError) as caught:
        shapes(network_of(CONV.format(4, 2), CONV.format(4, 2)), *size)
    assert text in str(caught.value)


@pytest.mark.parametrize(
    ("sections", "text"),
    [
        (("[upsample]\nstride=4096\n" * 2,), "layer 1): the stride of the network passes 65536 here"),
        (("[upsample]\nstride=4096\n",), "layer 0): the network needs more than 32 GiB for one image"),
        (("[convolutional]\nfilters=16777216\n" * 2,), "layer 0): more than 1048576 channels"),
        (("[maxpool]\nstride=16777216\n",), "layer 0): the stride of the network passes 65536 here"),
        ((CONV.format(8, 1), "[route]\nlayers=-1,-1\n" * 60), "layer 18): more than 1048576 channels"),
        (
            (CONV.format(8, 1), ("[route]\nlayers=" + "-1," * 255 + "-1\n") * 100),
            "layer 3): more than 1048576 channels",
        ),
    ],
)
def test_networks_of_terabytes_are_refused(sections: tuple[str, ...], text: str) -> None:
    with pytest.raises(CfgError) as caught:
        shapes(network_of(*sections))
    assert text in str(caught.value)


@given(networks())
def test_random_networks_wire_up(network: Network) -> None:
    outputs = shapes(network)
    assert tuple(shape.channels for shape in outputs) == channels(network)
    for shape, span in zip(outputs, strides(network), strict=True):
        if span is not None:
            assert (shape.height * span, shape.width * span) == (network.net.height, network.net.width)
    for source, readers in enumerate(consumers(network)):
        assert all(source in inputs(network)[reader] for reader in readers)
        assert readers or source in detection_layers(network)
    for index, sources in enumerate(inputs(network)):
        assert all(IMAGE <= source < index for source in sources)
        if not isinstance(network.layers[index], Route):
            assert sources[0] == index - 1
