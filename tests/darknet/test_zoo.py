"""The zoo: YOLOv3's layer counts and wiring as published, the width multiplier, gates, and names."""

from __future__ import annotations

import pytest

from seyolo.darknet.cfg import Network, parse_cfg
from seyolo.darknet.graph import channels, detection_layers, inputs, num_classes, shapes
from seyolo.darknet.sections import Cbam, Convolutional, Detection, Eca, Route, ScaleChannels, Section, Yolo
from seyolo.darknet.zoo import (
    ZOO,
    csresnext50_panet_spp,
    enetb0_coco,
    is_zoo_name,
    network_from_name,
    yolo_fastest_1_1,
    yolov3,
    yolov3_spp,
    yolov3_tiny,
    yolov4_tiny,
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


def test_width_keeps_published_filters_below_eight() -> None:
    def first(width: float) -> list[int]:
        layers = yolo_fastest_1_1(1, width).layers[:7]
        return [section.filters for section in layers if isinstance(section, Convolutional)]

    assert first(1) == [8, 8, 8, 4, 8, 8, 4]
    assert first(0.5) == [8, 8, 8, 4, 8, 8, 4]
    assert first(2) == [16, 16, 16, 8, 16, 16, 8]


def test_gates_groups_and_halves_follow_the_width() -> None:
    def convolutions(network: Network) -> list[Convolutional]:
        return [section for section in network.layers if isinstance(section, Convolutional)]

    def squeeze_and_depthwise(width: float) -> list[tuple[int, int]]:
        return [(section.filters, section.groups) for section in convolutions(enetb0_coco(1, width))[6:11]]

    assert squeeze_and_depthwise(1) == [(96, 1), (96, 96), (16, 1), (96, 1), (24, 1)]
    assert squeeze_and_depthwise(0.5) == [(48, 1), (48, 48), (8, 1), (48, 1), (16, 1)]
    # 128 * 0.375 = 48 filters: the most groups, out of 32, that divide them are 16
    grouped = [section for section in convolutions(csresnext50_panet_spp(1, 0.375)) if section.groups > 1]
    assert (grouped[0].filters, grouped[0].groups) == (48, 16)
    assert (grouped[-1].filters, grouped[-1].groups) == (384, 32)
    halved = yolov4_tiny(1, 0.25)
    half = halved.layers[3]
    assert isinstance(half, Route)
    assert (half.groups, half.group_id) == (2, 1)
    assert channels(halved)[2:4] == (16, 8)


@pytest.mark.parametrize("name", [*zoo_names(), "yolov3@0.5", "se-yolov3-spp@.25"])
def test_every_name_prints_and_wires_up(name: str) -> None:
    assert is_zoo_name(name)
    network = network_from_name(name, 3)
    assert network.source == name
    assert parse_cfg(network.to_cfg()) == network
    outputs = shapes(network)
    for index in detection_layers(network):
        section = network.layers[index]
        assert isinstance(section, Detection)
        assert outputs[index].channels == len(section.masked_anchors) * (5 + 3)


@pytest.mark.parametrize("width", [0.25, 0.375])
@pytest.mark.parametrize("name", ZOO)
def test_every_width_wires_up(name: str, width: float) -> None:
    network = ZOO[name](num_classes=1, width=width)
    shapes(network)
    heads = [index - 1 for index in detection_layers(network)]
    for index, section in enumerate(network.layers):
        if isinstance(section, Convolutional) and index not in heads:
            # yolo-fastest-1.1 publishes 4 filters
            assert section.filters % 8 == 0 or (name, section.filters) == ("yolo-fastest-1.1", 4)


@pytest.mark.parametrize(
    "name", ["yolov2", "csresnext50-panet-spp", "enetb0-coco", "mobilenetv2-yolov3-lite"]
)
def test_the_narrowest_has_the_same_layers(name: str) -> None:
    """All its filters are equal, but an inverted residual adds only where the published one does."""
    network = ZOO[name](num_classes=1, width=0.01)
    shapes(network)
    assert [section.kind for section in network.layers] == [section.kind for section in ZOO[name]().layers]


def test_classes_are_those_of_the_published_network_unless_told() -> None:
    assert num_classes(network_from_name("yolov4-tiny")) == 80
    assert num_classes(network_from_name("yolov2-voc")) == 20
    assert num_classes(network_from_name("yolov2-tiny-voc@0.5")) == 20
    assert num_classes(network_from_name("yolov2-voc", 80)) == 80


@pytest.mark.parametrize(
    ("name", "count"),
    [
        ("yolov4", 23),  # residual branches
        ("yolov7", 8),  # concatenations of its neck: two each way, four ELAN blocks
        ("yolov2-tiny", 1),  # the head
    ],
)
def test_prefixes_gate_whatever_the_network_has(name: str, count: int) -> None:
    def gates(prefix: str, kind: type[Section]) -> int:
        return sum(isinstance(section, kind) for section in network_from_name(prefix + name).layers)

    assert gates("", ScaleChannels) == gates("", Cbam) == 0
    assert gates("se-", ScaleChannels) == gates("cbam-", Cbam) == gates("eca-", Eca) == count


@pytest.mark.parametrize(
    ("name", "close"),
    [
        ("yolo3", "yolov3"),
        ("yolov3-smp", "yolov3-spp"),
        ("se_yolov3@0.5", "se-yolov3"),
        ("yolov4_csp", "yolov4-csp"),
    ],
)
def test_unknown_names_get_close_ones(name: str, close: str) -> None:
    assert not is_zoo_name(name)
    with pytest.raises(ModelError, match=f"there is no network '{name}'; close names are .*{close}"):
        network_from_name(name)


@pytest.mark.parametrize(
    ("name", "is_other"),
    [("yolov8n", True), ("yolo11n", True), ("YOLOv5s-seg", True), ("yolov9@0.5", True), ("yolo3", False),
     ("yolov81", False), ("yolov", False)],
)  # fmt: skip
def test_names_of_other_families_get_networks_of_ours(name: str, is_other: bool) -> None:
    with pytest.raises(ModelError) as caught:
        network_from_name(name)
    part = "YOLOv8 and later are no Darknet networks; take yolov3@0.25, or yolov3-tiny@0.5 where"
    assert (part in str(caught.value)) == is_other


@pytest.mark.parametrize(
    ("name", "num_classes", "message"),
    [("yolov3@0", 1, "above 0"), ("yolov3@99", 1, "at most 8"), ("yolov3", 0, "at least one class")],
)
def test_numbers_that_make_no_sense(name: str, num_classes: int, message: str) -> None:
    with pytest.raises(ModelError, match=message):
        network_from_name(name, num_classes)
