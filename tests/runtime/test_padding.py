"""The grey around a letterboxed image: a property of the model, in every file that holds one."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import onnx
import pytest

import seyolo
from helpers.one_section import CONV, FRONT, HEAD, write_network
from helpers.onnx_models import write_model
from helpers.spot_detector import spot_detector, write_spots
from seyolo.checkpoint import read_checkpoint
from seyolo.darknet.cfg import parse_cfg, parse_stored_cfg, read_cfg, stored_cfg
from seyolo.darknet.edit import set_letterbox
from seyolo.darknet.zoo import network_from_name
from seyolo.data.batches.evaluation import evaluation_batches
from seyolo.data.batches.training import TrainingLoader
from seyolo.data.datasets import load_dataset
from seyolo.errors import BackendError, CfgError
from seyolo.letterbox import Fit, letterbox
from seyolo.options.training import Augmentation
from seyolo.runtime.choice import RUNTIMES, open_backend
from seyolo.runtime.protocol import Runtime
from seyolo.training.prepare import fit_to_data

LETTERBOXED = FRONT.replace("channels=3", "channels=3\nletter_box=1")


@pytest.fixture
def cfg(tmp_path: Path) -> Path:
    """A Darknet network that letterboxes and says nothing about the padding."""
    return write_network(tmp_path, CONV, front=LETTERBOXED)


@pytest.mark.parametrize("runtime", [name for name, kind in RUNTIMES.items() if ".cfg" in kind.endings])
def test_darknet_pads_with_one_half(cfg: Path, runtime: Runtime) -> None:
    if runtime == "opencv" and not hasattr(cv2.dnn, "readNetFromDarknet"):
        pytest.skip("this OpenCV no longer reads Darknet files")
    fit = Fit.of(open_backend(cfg, runtime=runtime))
    assert (fit.mode, fit.pad_value) == ("letterbox", 127.5)
    batch, (placement,) = fit.batch([np.zeros((32, 32, 3), np.uint8)])
    assert not batch[0][:, *placement.inside()].any()
    padding = batch[0, :, :, : int(placement.left)]
    assert padding.size
    np.testing.assert_allclose(padding, 0.5, rtol=1e-6)


@pytest.mark.parametrize("name", ["x.onnx", "x.xml", "x.safetensors", "x.cfg"])
def test_a_file_made_from_it_pads_alike(cfg: Path, tmp_path: Path, name: str) -> None:
    seyolo.export(seyolo.load(cfg, cfg.with_suffix(".weights")), tmp_path / name)
    assert open_backend(tmp_path / name).pad_value == 127.5  # type: ignore[attr-defined]


@pytest.mark.parametrize("name", ["x.onnx", "x.xml", "x.safetensors", "x.cfg"])
def test_our_own_networks_pad_with_114(tmp_path: Path, name: str) -> None:
    seyolo.export(spot_detector(), tmp_path / name)
    assert open_backend(tmp_path / name).pad_value == 114  # type: ignore[attr-defined]


def test_a_cfg_of_ours_says_so_and_what_is_stored_stays_as_it_was() -> None:
    network = network_from_name("yolov3-tiny")
    assert "\nletter_box=1\npad_value=114\n" in network.to_cfg()
    assert "pad_value" not in stored_cfg(network)
    assert parse_cfg(network.to_cfg()) == parse_stored_cfg(stored_cfg(network), "x") == network
    assert parse_cfg(stored_cfg(network)).net.pad_value == 127.5
    grey = parse_cfg(network.to_cfg().replace("pad_value=114", "pad_value=0.25"))
    assert grey == parse_cfg(grey.to_cfg()) == parse_stored_cfg(stored_cfg(grey), "x")
    assert "pad_value" not in set_letterbox(network, False).to_cfg()


def test_files_of_before_pad_with_114(tmp_path: Path) -> None:
    stored = Path(__file__).parents[1] / "stored"
    path = next(stored.rglob("*.safetensors"), None)
    if path is not None and (network := read_checkpoint(path).network).net.letter_box:
        assert network.net.pad_value == 114
    assert open_backend("hand").pad_value == 114  # type: ignore[attr-defined]
    write_model(tmp_path / "x.onnx", metadata={"letterbox": "letterbox"})
    assert open_backend(tmp_path / "x.onnx").pad_value == 114  # type: ignore[attr-defined]


@pytest.mark.parametrize("value", ["-1", "256", "nan", "grey", ""])
def test_padding_that_is_no_level(tmp_path: Path, value: str, cfg: Path) -> None:
    write_model(tmp_path / "x.onnx", metadata={"pad_value": value})
    with pytest.raises(BackendError, match=rf"metadata pad_value='{value}', expected a number from 0 to 255"):
        open_backend(tmp_path / "x.onnx")
    cfg.write_text(cfg.read_text().replace("letter_box=1", f"letter_box=1\npad_value={value}"))
    with pytest.raises(CfgError, match=r"net\.cfg:6: \[net\] pad_value="):
        read_cfg(cfg)


def test_evaluation_pads_exactly_and_training_to_the_nearest_byte(cfg: Path, tmp_path: Path) -> None:
    dataset = load_dataset(write_spots(tmp_path / "data", train=2, val=2))
    fit = Fit.of(read_cfg(cfg).net)
    images, placements, samples = next(iter(evaluation_batches(dataset.split("val"), fit, 2)))
    assert images.dtype == np.float32
    expected, _ = fit.batch([sample.read() for sample in samples])
    np.testing.assert_allclose(images.transpose(0, 3, 1, 2) / 255, expected, atol=1e-7)
    still = Augmentation().plain()
    batch, _ = next(TrainingLoader(dataset.split("train"), fit, 2, still, seed=0).epoch(0))
    assert 128 in batch[:, :, 0, 0]
    assert placements[0].left > 0


@pytest.mark.parametrize("pad_value", [0, 114, 127.5, 255])
@pytest.mark.parametrize("channels", [1, 3])
def test_a_batch_is_the_fitted_image(pad_value: float, channels: int) -> None:
    image = np.random.default_rng(0).integers(0, 256, (30, 50, 3), dtype=np.uint8)
    fit = Fit((64, 64), pad_value=pad_value, channels=channels)
    fitted, placement = fit.image(image)
    assert fitted.dtype == fit.dtype
    assert fitted.shape == ((64, 64, 3) if channels == 3 else (64, 64))
    batch, (same,) = fit.batch([image])
    assert same == placement
    planes = fitted.astype(np.float32).reshape(64, 64, channels)[..., ::-1].transpose(2, 0, 1) / 255
    np.testing.assert_allclose(batch[0], planes, atol=1e-6)
    assert fitted[0, 0].tolist() in (pad_value, [pad_value] * 3)


def test_metadata_says_the_padding_that_is_not_ours(cfg: Path, tmp_path: Path) -> None:
    seyolo.export(seyolo.load(cfg, cfg.with_suffix(".weights")), tmp_path / "x.onnx")
    seyolo.export(spot_detector(), tmp_path / "ours.onnx")
    theirs, ours = (
        {entry.key: entry.value for entry in onnx.load(tmp_path / name).metadata_props}
        for name in ("x.onnx", "ours.onnx")
    )
    assert json.loads(theirs["pad_value"]) == 127.5
    assert "pad_value" not in ours


def test_an_image_of_the_inputs_shape_needs_none() -> None:
    image = np.zeros((64, 64, 3), np.uint8)
    assert letterbox(image, (64, 64), pad_value=127.5)[0].dtype == np.uint8


def test_training_keeps_the_padding_of_a_network_that_letterboxes(cfg: Path) -> None:
    letterboxed, stretched = read_cfg(cfg), parse_cfg(FRONT + CONV + HEAD)
    assert fit_to_data(letterboxed, 2, (32, 64)).net.pad_value == 127.5
    fitted = set_letterbox(fit_to_data(stretched, 2, (32, 64)), True).net
    assert (fitted.letter_box, fitted.pad_value) == (True, 114)
