"""The checkpoint file: there and back, and everything that is not one."""

from __future__ import annotations

import json
import pickle
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors import safe_open
from safetensors.numpy import load_file, save_file

from helpers.small_networks import CONVOLUTION, small_network
from seyolo.checkpoint import Checkpoint, read_checkpoint, write_checkpoint, write_tensors
from seyolo.darknet.weights import tensor_shapes
from seyolo.errors import ModelError, SeyoloError


@pytest.fixture
def model_file() -> Checkpoint:
    network = small_network(CONVOLUTION)
    generator = np.random.default_rng(0)
    state = {
        name: generator.random(shape, dtype=np.float32) for name, shape in tensor_shapes(network).items()
    }
    return Checkpoint(network, state, ("hand — 手",), {"epoch": 3, "data": ["a", None]})


@pytest.fixture
def path(tmp_path: Path, model_file: Checkpoint) -> Path:
    write_checkpoint(tmp_path / "x.safetensors", model_file)
    return tmp_path / "x.safetensors"


def test_there_and_back(path: Path, model_file: Checkpoint) -> None:
    again = read_checkpoint(path)
    assert (again.network, again.names, again.provenance) == (
        model_file.network,
        model_file.names,
        model_file.provenance,
    )
    assert again.state.keys() == model_file.state.keys()
    assert all(np.array_equal(again.state[name], model_file.state[name]) for name in again.state)


def test_anyone_can_read_the_metadata(path: Path, model_file: Checkpoint) -> None:
    with safe_open(path, framework="numpy") as file:
        metadata = file.metadata()
    assert metadata.keys() == {"format", "format_version", "cfg", "names", "provenance", "checksum"}
    assert (metadata["format"], metadata["format_version"]) == ("seyolo", "1")
    assert metadata["cfg"] == model_file.network.to_cfg()
    assert json.loads(metadata["names"]) == ["hand — 手"]


def test_kernels_in_16_bits_are_widened_again(tmp_path: Path, model_file: Checkpoint) -> None:
    """2049 lies between the 16-bit numbers 2048 and 2050; running statistics and biases keep it."""
    state = {name: np.full_like(array, 2049) for name, array in model_file.state.items()}
    write_checkpoint(tmp_path / "half.safetensors", replace(model_file, state=state), half=True)
    again = read_checkpoint(tmp_path / "half.safetensors").state
    assert {array.dtype for array in again.values()} == {np.dtype(np.float32)}
    assert {name: set(array.ravel()) for name, array in again.items()} == {
        name: {2048.0 if array.ndim > 1 else 2049.0} for name, array in state.items()
    }
    with safe_open(tmp_path / "half.safetensors", framework="numpy") as file:
        kinds = {name: file.get_slice(name).get_dtype() for name in state}
    assert kinds == {name: "F16" if array.ndim > 1 else "F32" for name, array in state.items()}


def test_a_kernel_that_16_bits_cannot_hold_is_refused(tmp_path: Path, model_file: Checkpoint) -> None:
    state = {name: np.full_like(array, 65600) for name, array in model_file.state.items()}
    with pytest.raises(ModelError, match=r"tensor layers\.\d+\.conv\.weight: 65600 is above 65504"):
        write_checkpoint(tmp_path / "half.safetensors", replace(model_file, state=state), half=True)
    assert not (tmp_path / "half.safetensors").exists()


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(share=st.floats(0, 1, exclude_max=True))
def test_every_truncation_is_named(path: Path, share: float) -> None:
    whole = path.read_bytes()
    cut = path.with_name("cut.safetensors")
    cut.write_bytes(whole[: int(share * len(whole))])
    with pytest.raises(ModelError, match=r"cut\.safetensors"):
        read_checkpoint(cut)


def test_a_truncated_file_is_called_so(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(ModelError, match="truncated or damaged checkpoint of"):
        read_checkpoint(path)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "an empty file"),
        (pickle.dumps({"a": 1}, protocol=2), "pickled PyTorch file"),
        (b"PK\x03\x04 and so on, an archive", "pickled PyTorch file"),
        (b"[net]\nwidth=32\nheight=32\n", "a cfg"),
        (b"\x89PNG\r\n\x1a\n and an image behind it", "not a safetensors checkpoint"),
    ],
)
def test_other_files_are_called_what_they_are(tmp_path: Path, content: bytes, said: str) -> None:
    path = tmp_path / "x.safetensors"
    path.write_bytes(content)
    with pytest.raises(ModelError, match=said):
        read_checkpoint(path)


def test_a_missing_file_and_a_folder_are_named(tmp_path: Path) -> None:
    for path in (tmp_path / "none.safetensors", tmp_path):
        with pytest.raises(ModelError, match="no such checkpoint"):
            read_checkpoint(path)


def test_someone_elses_safetensors_are_refused(tmp_path: Path) -> None:
    save_file({"bert.weight": np.zeros(2, np.float32)}, tmp_path / "x.safetensors")
    with pytest.raises(ModelError, match=r"not a seyolo checkpoint \(its tensors: bert\.weight"):
        read_checkpoint(tmp_path / "x.safetensors")


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("format_version", "9", "format 9, this seyolo reads 1"),
        ("names", "[1]", "metadata is damaged"),
        ("names", '["a", "b"]', "metadata is damaged"),
        ("names", "{", "metadata is damaged"),
        ("provenance", "[]", "metadata is damaged"),
        ("cfg", None, "metadata lacks cfg"),
    ],
)
def test_damaged_metadata_is_refused(
    path: Path, model_file: Checkpoint, key: str, value: str | None, said: str
) -> None:
    with safe_open(path, framework="numpy") as file:
        metadata = dict(file.metadata())
    del metadata[key], metadata["checksum"]  # as in version 0.1.0
    save_file(model_file.state, path, metadata | ({key: value} if value is not None else {}))
    with pytest.raises(ModelError, match=said):
        read_checkpoint(path)


def test_a_state_that_does_not_fit_is_refused_and_nothing_is_written(
    tmp_path: Path, model_file: Checkpoint
) -> None:
    name = "layers.0.bn.bias"
    states = {
        "missing": {key: value for key, value in model_file.state.items() if key != name},
        "has shape": model_file.state | {name: np.zeros(9, np.float32)},
        "no layer": model_file.state | {"layers.9.conv.weight": np.zeros(1, np.float32)},
    }
    for said, state in states.items():
        with pytest.raises(ModelError, match=said):
            write_checkpoint(tmp_path / "bad.safetensors", replace(model_file, state=state))
    assert list(tmp_path.iterdir()) == []


def test_a_flipped_bit_anywhere_is_noticed(path: Path, model_file: Checkpoint) -> None:
    whole = path.read_bytes()
    start = 8 + int.from_bytes(whole[:8], "little")
    rng = np.random.default_rng(0)
    silent = []
    for position in [start, len(whole) - 1, *rng.integers(8, len(whole), 300).tolist()]:
        damaged = bytearray(whole)
        damaged[position] ^= 1 << int(rng.integers(8))
        path.write_bytes(damaged)
        try:
            found = read_checkpoint(path)
        except SeyoloError as error:
            assert str(path) in str(error)  # noqa: PT017
        else:  # the checksum's own key, or white space
            silent.append(position)
            assert all(np.array_equal(found.state[name], model_file.state[name]) for name in found.state)
    assert len(silent) < 6
    assert all(position < start for position in silent)


def test_a_damaged_checkpoint_is_refused_by_name(path: Path) -> None:
    whole = bytearray(path.read_bytes())
    whole[-1] ^= 1
    path.write_bytes(whole)
    with pytest.raises(ModelError, match=r"x\.safetensors: damaged: its checksum is \w{8}, its content has"):
        read_checkpoint(path)


def test_a_checkpoint_of_version_0_1_0_has_no_checksum(path: Path, model_file: Checkpoint) -> None:
    with safe_open(path, framework="numpy") as file:
        metadata = file.metadata()
    del metadata["checksum"]
    save_file(model_file.state, path, metadata=metadata)
    assert read_checkpoint(path).names == model_file.names


def test_the_same_content_has_the_same_bytes(path: Path, model_file: Checkpoint, tmp_path: Path) -> None:
    for _ in range(5):  # safetensors orders metadata at random
        write_checkpoint(tmp_path / "again.safetensors", model_file)
        assert (tmp_path / "again.safetensors").read_bytes() == path.read_bytes()


def test_the_layout_is_that_of_the_library(path: Path, model_file: Checkpoint, tmp_path: Path) -> None:
    with safe_open(path, framework="numpy") as file:
        metadata = file.metadata()
    save_file(model_file.state, tmp_path / "theirs.safetensors", metadata=metadata)
    heads = []
    for name in (path, tmp_path / "theirs.safetensors"):
        data = name.read_bytes()
        end = 8 + int.from_bytes(data[:8], "little")
        heads.append((end, json.loads(data[8:end]), data[end:]))
    assert heads[0] == heads[1]


def test_arrays_of_all_kinds_come_back(tmp_path: Path) -> None:
    arrays = {
        "a": np.zeros((0, 3), np.float32),
        "b": np.array(0.5),
        "c": np.array([True, False]),
        "d": np.arange(6, dtype=np.int64).reshape(2, 3).T,
        "e": np.float32([[1, 2], [3, 4]]),
    }
    write_tensors(tmp_path / "x.safetensors", arrays, {"format": "test"})
    found = load_file(tmp_path / "x.safetensors")
    assert found.keys() == arrays.keys()
    for name, array in arrays.items():
        assert found[name].dtype == array.dtype, name
        assert np.array_equal(found[name], array.reshape(found[name].shape)), name
        assert found[name].shape == array.shape, name
