"""`.weights`: the order of the numbers, both headers, every way not to fit, and OpenCV as a second reader."""

from __future__ import annotations

import struct
from math import prod
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from helpers.strategies import networks
from seyolo.darknet.cfg import Network, parse_cfg, read_cfg
from seyolo.darknet.weights import read_weights, tensor_shapes, write_weights
from seyolo.darknet.zoo import network_from_name
from seyolo.errors import ExportError, WeightsError

TWO = parse_cfg(
    "[net]\nwidth=4\nheight=4\nchannels=1\n"
    "[convolutional]\nbatch_normalize=1\nfilters=2\nsize=1\n"
    "[maxpool]\nsize=2\n"
    "[convolutional]\nfilters=1\nsize=1\n",
    "two.cfg",
)
HEADER = struct.pack("<3iQ", 0, 2, 5, 64)


def floats(*values: float) -> bytes:
    return struct.pack(f"<{len(values)}f", *values)


def random_state(network: Network, seed: int = 0) -> dict[str, np.ndarray]:
    generator = np.random.default_rng(seed)
    return {
        name: generator.uniform(0.1, 1.0, shape).astype(np.float32)
        for name, shape in tensor_shapes(network).items()
    }


def test_order_of_the_numbers_and_both_headers(tmp_path: Path) -> None:
    numbers = floats(*range(1, 14))  # 2 biases, scales, means, variances, kernels; then 1 bias, 2 kernels
    for header in (HEADER, struct.pack("<3ii", 0, 1, 0, 64)):
        path = tmp_path / "two.weights"
        path.write_bytes(header + numbers)
        state = read_weights(path, TWO)
        assert {name: values.ravel().tolist() for name, values in state.items()} == {
            "layers.0.bn.bias": [1, 2],
            "layers.0.bn.weight": [3, 4],
            "layers.0.bn.running_mean": [5, 6],
            "layers.0.bn.running_var": [7, 8],
            "layers.0.conv.weight": [9, 10],
            "layers.2.conv.bias": [11],
            "layers.2.conv.weight": [12, 13],
        }
        assert {name: values.shape for name, values in state.items()} == tensor_shapes(TWO)
    write_weights(path, TWO, state, seen=64)
    assert path.read_bytes() == HEADER + numbers


@given(network=networks(only_darknet=True), seed=st.integers(0, 99))
def test_round_trip(tmp_path_factory: pytest.TempPathFactory, network: Network, seed: int) -> None:
    path = tmp_path_factory.getbasetemp() / "round.weights"
    state = random_state(network, seed)
    write_weights(path, network, state)
    again = read_weights(path, network)
    assert again.keys() == state.keys() == tensor_shapes(network).keys()
    assert all(np.array_equal(again[name], state[name]) for name in state)


def test_every_truncation_is_named(tmp_path: Path) -> None:
    path = tmp_path / "two.weights"
    whole = HEADER + floats(*range(1, 14))
    for size in range(len(whole)):
        path.write_bytes(whole[:size])
        with pytest.raises(WeightsError) as caught:
            read_weights(path, TWO)
        if size < 12:
            assert f"{size} bytes are no Darknet weights" in str(caught.value)
            continue
        layer = "(layer 0, two.cfg:5)" if size < 20 + 4 * 10 else "(layer 2, two.cfg:11)"
        assert f"{path}: ends inside [convolutional] {layer}: the network needs 13 numbers" in str(
            caught.value
        )
    path.write_bytes(whole[: 20 + 4 * 11])
    with pytest.raises(WeightsError, match=r"the file has 11$"):
        read_weights(path, TWO)


@pytest.mark.parametrize("more", [1, 4, 8])
def test_excess_is_named(tmp_path: Path, more: int) -> None:
    path = tmp_path / "two.weights"
    path.write_bytes(HEADER + floats(*range(13)) + bytes(more))
    message = r"goes on after \[convolutional\] \(layer 2, two.cfg:11\), the last with weights: .* needs 13"
    with pytest.raises(WeightsError, match=message):
        read_weights(path, TWO)


def test_partial_files(tmp_path: Path) -> None:
    backbone = {name for name in tensor_shapes(TWO) if name.startswith("layers.0.")}
    partial = tmp_path / "two.conv.2"
    partial.write_bytes(HEADER + floats(*range(10)))
    assert read_weights(partial, TWO).keys() == backbone
    partial.write_bytes(HEADER + floats(*range(13)))
    with pytest.raises(WeightsError, match="goes on after"):
        read_weights(partial, TWO)


def test_bad_numbers(tmp_path: Path) -> None:
    path = tmp_path / "two.weights"
    path.write_bytes(HEADER + floats(1, 1, 1, 1, 1, 1, -0.5, 2, *range(5)))
    assert read_weights(path, TWO)["layers.0.bn.running_var"].tolist() == [0, 2]
    path.write_bytes(HEADER + floats(*range(10), float("nan"), 1, 1))
    with pytest.raises(
        WeightsError, match=r"\[convolutional\] \(layer 2, two.cfg:11\) holds values that are not"
    ):
        read_weights(path, TWO)


def test_files_that_are_no_weights(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="there is no such file"):
        read_weights(tmp_path / "absent.weights", TWO)
    with pytest.raises(WeightsError, match="cannot be read"):
        read_weights(tmp_path, TWO)
    (tmp_path / "text.weights").write_text("PK\x03\x04 something else")
    with pytest.raises(WeightsError, match=r"is it a \.weights file"):
        read_weights(tmp_path / "text.weights", TWO)


def test_cbam_has_no_form_in_darknet(tmp_path: Path) -> None:
    network = network_from_name("cbam-yolov3-tiny@0.25", 1)
    path = tmp_path / "cbam.weights"
    with pytest.raises(ExportError, match=r"the attached CBAM gate at layer 21 .*ONNX"):
        write_weights(path, network, random_state(network))
    assert not path.exists()
    path.write_bytes(HEADER)
    with pytest.raises(WeightsError, match="read it, then attach CBAM"):
        read_weights(path, network)


def test_states_that_do_not_fit(tmp_path: Path) -> None:
    path = tmp_path / "two.weights"
    path.write_bytes(b"old")
    state = random_state(TWO)
    for changed, message in (
        (
            state | {"layers.2.conv.bias": np.zeros(2)},
            r"layers.2.conv.bias: the network needs the shape \(1,\), got \(2,\)",
        ),
        ({name: state[name] for name in list(state)[1:]}, "layers.0.conv.weight: .* got nothing"),
        (state | {"layers.9.conv.bias": np.zeros(2)}, r"no tensor layers.9.conv.bias \(1 left over\)"),
    ):
        with pytest.raises(WeightsError, match=message):
            write_weights(path, TWO, changed)
    assert [entry.name for entry in tmp_path.iterdir()] == ["two.weights"]
    assert path.read_bytes() == b"old"


def test_sizes_of_the_published_files() -> None:
    def num_bytes(name: str, before: int) -> int:
        tensors = tensor_shapes(network_from_name(name)).items()
        return 20 + 4 * sum(prod(shape) for key, shape in tensors if int(key.split(".")[1]) < before)

    assert num_bytes("yolov3", 107) == 248_007_048  # yolov3.weights
    assert num_bytes("yolov3", 74) == 162_482_580  # darknet53.conv.74
    assert num_bytes("yolov3-spp", 114) == 252_209_544  # yolov3-spp.weights
    assert num_bytes("yolov3-tiny", 24) == 35_434_956  # yolov3-tiny.weights


def test_real_files_survive_rewriting(shared_data: Path, tmp_path: Path) -> None:
    paths = sorted((shared_data / "darknet").glob("*.weights"))
    assert len(paths) == 5
    for path in paths:
        network = read_cfg(path.with_suffix(".cfg"))
        write_weights(tmp_path / "again.weights", network, read_weights(path, network))
        assert (tmp_path / "again.weights").read_bytes()[20:] == path.read_bytes()[20:]


@pytest.mark.parametrize("name", ["yolov3@0.125", "yolov3-spp@0.125", "yolov3-tiny@0.25", "se-yolov3@0.125"])
def test_opencv_reads_the_same_kernels(name: str, tmp_path: Path) -> None:
    network = network_from_name(name, 2)
    state = random_state(network)
    (tmp_path / "net.cfg").write_text(network.to_cfg())
    write_weights(tmp_path / "net.weights", network, state)
    reader = cv2.dnn.readNetFromDarknet(str(tmp_path / "net.cfg"), str(tmp_path / "net.weights"))
    kernels = [key for key in state if key.endswith("conv.weight")]
    assert len(kernels) > 10
    for key in kernels:
        layer = reader.getLayer(f"conv_{key.split('.')[1]}")
        assert np.array_equal(layer.blobs[0], state[key]), key
    reader.setInput(np.zeros((1, 3, 64, 64), np.float32))
    outputs = reader.forward(reader.getUnconnectedOutLayersNames())
    assert sorted(len(output) for output in outputs)[:2] == [3 * 4, 3 * 16]
