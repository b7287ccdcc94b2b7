"""PyTorch as a backend: checkpoints, devices, names."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from seyolo.checkpoint import write_checkpoint
from seyolo.darknet.cfg import parse_cfg
from seyolo.errors import BackendError, ModelError
from seyolo.opening.network import save
from seyolo.runtime.choice import open_backend
from seyolo.runtime.protocol import Session
from seyolo.runtime.torch_backend import TorchBackend
from seyolo.torchnet.build import DarknetModel, build, to_checkpoint

CFG = """[net]
width=64
height=32
channels=3

[convolutional]
batch_normalize=1
filters=4
size=3
stride=16
pad=1
activation=leaky

[convolutional]
filters=7
size=1
stride=1
activation=linear

[yolo]
mask=0
anchors=10,14
classes=2
num=1
"""


@pytest.fixture
def model() -> DarknetModel:
    return build(parse_cfg(CFG), ("hand", "foot"), torch.Generator().manual_seed(0))


def batch() -> np.ndarray:
    return np.random.default_rng(0).random((2, 3, 32, 64), dtype=np.float32)


def test_a_checkpoint_gives_what_the_model_gives(tmp_path: Path, model: DarknetModel) -> None:
    write_checkpoint(tmp_path / "m.safetensors", to_checkpoint(model))
    backend = open_backend(tmp_path / "m.safetensors")
    assert (backend.name, backend.names, backend.input_size) == ("torch", ("hand", "foot"), (32, 64))
    assert backend.letterbox_mode == "stretch"  # Darknet's default, since the cfg does not say
    with torch.inference_mode():
        expected = model.eval()(torch.from_numpy(batch())).numpy()
    np.testing.assert_allclose(backend.infer(batch()), expected, rtol=1e-5, atol=1e-6)
    assert backend.infer(batch()).dtype == np.float32


def test_a_model_in_training_is_switched_to_evaluation(model: DarknetModel) -> None:
    backend = TorchBackend(model.train())
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    np.testing.assert_array_equal(backend.infer(batch())[:1], backend.infer(batch()[:1]))
    assert all(torch.equal(before[name], tensor) for name, tensor in model.state_dict().items())


def test_other_names(tmp_path: Path, model: DarknetModel) -> None:
    write_checkpoint(tmp_path / "m.safetensors", to_checkpoint(model))
    assert open_backend(tmp_path / "m.safetensors", names=["a", "b"]).names == ("a", "b")
    with pytest.raises(BackendError, match="2 classes, but 1 name is"):
        open_backend(tmp_path / "m.safetensors", names=["a"])


def test_devices_that_are_not_there(model: DarknetModel, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(BackendError, match="'warp' is no device; use cpu or cuda"):
        TorchBackend(model, Session(device="warp"))
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(BackendError, match="sees no GPU here"):
        TorchBackend(model, Session(device="cuda:0"))


def test_a_checkpoint_of_something_else(tmp_path: Path) -> None:
    (tmp_path / "m.safetensors").write_bytes(b"junk")
    with pytest.raises(ModelError, match=r"m\.safetensors"):
        open_backend(tmp_path / "m.safetensors")


def test_bfloat16_rounds_the_convolutions_and_not_the_boxes(model: DarknetModel) -> None:
    exact = TorchBackend(model).infer(batch())
    rounded = TorchBackend(model, Session(precision="bf16")).infer(batch())
    assert rounded.dtype == np.float32
    assert 0 < np.abs(rounded - exact).max() < 0.02 * np.abs(exact).max()
    # Centres in bfloat16 would be whole multiples of a quarter of a pixel from 32 on.
    far = rounded[..., 0][rounded[..., 0] > 32]
    assert np.any(far * 4 != np.round(far * 4))


def test_a_cfg_on_pytorch_where_that_is_asked_for(tmp_path: Path, model: DarknetModel) -> None:
    save(model, tmp_path / "m.cfg")
    backend = open_backend(tmp_path / "m.cfg", runtime="torch")
    assert backend.name == "torch"
    np.testing.assert_allclose(
        backend.infer(batch()), TorchBackend(model).infer(batch()), rtol=1e-5, atol=1e-5
    )
