"""Weights of another size: the refusal says what they would fit."""

from __future__ import annotations

import struct
from math import prod
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from helpers.small_networks import CONVOLUTION, small_network
from seyolo.darknet.cfg import Network, parse_cfg, read_cfg
from seyolo.darknet.edit import set_classes
from seyolo.darknet.weights import read_weights, tensor_shapes
from seyolo.darknet.zoo import network_from_name
from seyolo.errors import WeightsError

SMALL = small_network(CONVOLUTION * 2)


def num_numbers(network: Network) -> int:
    return sum(prod(shape) for shape in tensor_shapes(network).values())


def refusal(network: Network, count: int, path: Path) -> str:
    path.write_bytes(struct.pack("<3iQ", 0, 2, 5, 0) + bytes(4 * count))
    with pytest.raises(WeightsError) as caught:
        read_weights(path, network)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("name", ["yolov3-tiny@0.25", "yolov4@0.125", "yolov2@0.125", "se-yolov3@0.125"])
@pytest.mark.parametrize("classes", [1, 3, 20, 79, 365])
def test_another_number_of_classes_is_named(name: str, classes: int, tmp_path: Path) -> None:
    network = network_from_name(name)
    other = set_classes(network, classes)
    text = refusal(network, num_numbers(other), tmp_path / "x.weights")
    noun = "1 class" if classes == 1 else f"{classes} classes"
    filters = (5 if "v2" in name else 3) * (5 + classes)
    assert text.endswith(
        f"; it fits {noun}: set classes={classes}, and filters={filters} in front of each detection"
    )


@given(st.integers(1, 400), st.integers(1, 400))
def test_every_pair_of_classes(tmp_path_factory: pytest.TempPathFactory, ours: int, theirs: int) -> None:
    network, other = set_classes(SMALL, ours), set_classes(SMALL, theirs)
    if ours != theirs:
        path = tmp_path_factory.getbasetemp() / "pair.weights"
        assert f"set classes={theirs}, and filters={2 * (5 + theirs)} " in refusal(
            network, num_numbers(other), path
        )


def test_other_anchors_are_named_by_their_filters(tmp_path: Path) -> None:
    three = small_network(
        CONVOLUTION * 2, num_anchors=3, classes=2
    )  # 21 filters; no number of pairs gives that
    text = refusal(SMALL, num_numbers(three), tmp_path / "x.weights")
    assert text.endswith("; it fits filters=21 in front of each detection: other classes and anchors")


def test_a_backbone_says_how_it_is_called(tmp_path: Path) -> None:
    network = network_from_name("yolov3-tiny@0.25", 2)
    shapes = tensor_shapes(network).items()
    backbone = sum(prod(shape) for name, shape in shapes if int(name.split(".")[1]) < 14)
    text = refusal(network, backbone, tmp_path / "x.weights")
    assert text.endswith(
        "; it holds the layers before 14: call it NAME.conv.14, and training starts from them"
    )
    (tmp_path / "x.weights").rename(tmp_path / "x.conv.14")
    assert all(int(name.split(".")[1]) < 14 for name in read_weights(tmp_path / "x.conv.14", network))
    for count in (backbone - 1, backbone + 1):
        assert "; it " not in refusal(network, count, tmp_path / "x.weights")


def test_any_other_length_says_only_the_two_numbers(tmp_path: Path) -> None:
    needed = num_numbers(SMALL)
    text = refusal(SMALL, needed + 1, tmp_path / "x.weights")
    assert text.endswith(f"the network needs {needed:,} numbers, the file has {needed + 1:,}")
    backbone = parse_cfg("[net]\n" + CONVOLUTION)
    assert "; it " not in refusal(backbone, 7, tmp_path / "x.weights")
    (tmp_path / "x.weights").write_bytes(bytes(20 + 4 * needed + 2))
    with pytest.raises(WeightsError, match=r"\.5$"):
        read_weights(tmp_path / "x.weights", SMALL)


def test_weights_of_the_cases_say_two_classes(shared_cases: Path) -> None:
    folder = shared_cases / "darknet" / "class_count_mismatch"
    for name in ("one_class.cfg", "three_classes.cfg"):
        with pytest.raises(WeightsError, match="it fits 2 classes: set classes=2, and filters=14"):
            read_weights(folder / "two_classes.weights", read_cfg(folder / name))
    text = (
        (folder / "one_class.cfg")
        .read_text()
        .replace("classes=1", "classes=2")
        .replace("filters=12\nact", "filters=14\nact")
    )
    state = read_weights(folder / "two_classes.weights", parse_cfg(text))
    assert all(np.isfinite(array).all() for array in state.values())
