"""The zoo: layer counts and wiring as published, the width multiplier, and names."""

from __future__ import annotations

import pytest

from seyolo.darknet.cfg import parse_cfg
from seyolo.darknet.graph import detection_layers, inputs, shapes
from seyolo.darknet.sections import Convolutional, Yolo
from seyolo.darknet.zoo import (
    is_zoo_name,
    network_from_name,
    yolov3,
    yolov3_spp,
    yolov3_tiny,
    zoo_names,
)
from seyolo.errors import ModelError


def test_layer_counts_and_heads_as_published() -> None:
    for network, count, heads in (
        (yolov3(), 107, {82: (255, 13, 13), 94: (255, 26, 26), 106: (255, 52, 52)}),
        (yolov3_spp(), 114, {89: (255, 13, 13), 101: (255, 26, 26), 113: (255, 52, 52)}),
        (yolov3_tiny(), 24, {16: (255, 13, 13), 23: (255, 26, 26)}),
    ):
        assert len(network.layers) == count
        outputs = shapes(network)
        assert {index: outputs[index] for index in detection_layers(network)} == heads


def test_wiring_as_published() -> None:
    wiring = inputs(yolov3())
    assert {i: wiring[i] for i in (4, 83, 86, 95, 98)} == {
        4: (3, 1),  # the first shortcut
        83: (79,),
        86: (85, 61),
        95: (91,),
        98: (97, 36),
    }
    assert inputs(yolov3_spp())[83] == (82, 80, 78, 77)
    assert inputs(yolov3_tiny())[20] == (19, 8)


def test_anchors_and_size() -> None:
    heads = [section for section in yolov3().layers if isinstance(section, Yolo)]
    assert [head.masked_anchors[0] for head in heads] == [(116, 90), (30, 61), (10, 13)]
    heads = [section for section in yolov3_tiny(scale_x_y=1.05).layers if isinstance(section, Yolo)]
    assert [head.masked_anchors[0] for head in heads] == [(81, 82), (10, 14)]
    assert {head.scale_x_y for head in heads} == {1.05}
    net = yolov3().net
    assert (net.height, net.width, net.channels, net.letter_box) == (416, 416, 3, True)


def test_width_rounds_to_multiples_of_eight() -> None:
    def filters(width: float) -> list[int]:
        layers = yolov3_tiny(1, width).layers
        return [section.filters for section in layers if isinstance(section, Convolutional)]

    assert filters(1)[:3] == [16, 32, 64]
    assert filters(0.25)[:5] == [8, 8, 16, 32, 64]
    assert filters(0.375)[:5] == [8, 16, 24, 48, 96]  # 32 * 0.375 = 12 is halfway: up to 16
    assert filters(0.01)[-2:] == [8, 18]  # never below 8, and 3 * (5 + 1) in front of [yolo]


@pytest.mark.parametrize("name", [*zoo_names(), "yolov3@0.5", "se-yolov3-spp@.25"])
def test_every_name_prints_and_wires_up(name: str) -> None:
    assert is_zoo_name(name)
    network = network_from_name(name, 3)
    assert network.source == name
    assert parse_cfg(network.to_cfg()) == network
    assert {shapes(network)[index].channels for index in detection_layers(network)} == {24}


@pytest.mark.parametrize(
    ("name", "close"), [("yolo3", "yolov3"), ("yolov3-smp", "yolov3-spp"), ("se_yolov3@0.5", "se-yolov3")]
)
def test_unknown_names_get_close_ones(name: str, close: str) -> None:
    assert not is_zoo_name(name)
    with pytest.raises(ModelError, match=f"there is no network '{name}'; close names are .*{close}"):
        network_from_name(name)


@pytest.mark.parametrize(
    ("name", "num_classes", "message"),
    [("yolov3@0", 1, "above 0"), ("yolov3@99", 1, "at most 8"), ("yolov3", 0, "at least one class")],
)
def test_numbers_that_make_no_sense(name: str, num_classes: int, message: str) -> None:
    with pytest.raises(ModelError, match=message):
        network_from_name(name, num_classes)
