"""`load` and `save`: every way in and out."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import pytest
import torch

from helpers.random_weights import calibrated
from helpers.small_networks import CONVOLUTION, random_images, small_network
from seyolo.darknet.zoo import network_from_name
from seyolo.errors import CfgError, ExportError, ModelError, UsageError, WeightsError
from seyolo.opening.network import load, save
from seyolo.torchnet.build import DarknetModel

IMAGES = random_images(64, 64)
TINY = "yolov3-tiny@0.125"


@pytest.fixture(scope="module")
def tiny() -> DarknetModel:
    return calibrated(network_from_name(TINY, num_classes=3), IMAGES)


def output(model: DarknetModel) -> np.ndarray:
    with torch.no_grad():
        return model(IMAGES).numpy()


def test_a_zoo_name_is_random_and_ready_for_inference() -> None:
    model = load(TINY, num_classes=2)
    assert not model.training
    assert model.provenance == {"weights": "random"}
    assert model.names == ("class 0", "class 1")


def test_names_give_the_number_of_classes() -> None:
    assert load(TINY, names=["hand", "face"]).names == ("hand", "face")
    with pytest.raises(UsageError, match="1 name for num_classes=2"):
        load(TINY, num_classes=2, names=["hand"])


@pytest.mark.parametrize("ending", [".safetensors", ".cfg"])
def test_saved_and_loaded_is_the_same(tmp_path: Path, tiny: DarknetModel, ending: str) -> None:
    path = tmp_path / f"x{ending}"
    save(tiny, path)
    again = load(path, path.with_suffix(".weights") if ending == ".cfg" else None)
    np.testing.assert_array_equal(output(again), output(tiny))
    expected = {"x.safetensors"} if ending == ".safetensors" else {"x.cfg", "x.weights"}
    assert {file.name for file in tmp_path.iterdir()} == expected


def test_other_classes_remake_the_heads_and_keep_the_rest(tmp_path: Path, tiny: DarknetModel) -> None:
    save(tiny, tmp_path / "x.safetensors")
    save(tiny, tmp_path / "x.cfg")
    checkpoint = load(tmp_path / "x.safetensors", num_classes=1)
    darknet = load(tmp_path / "x.cfg", tmp_path / "x.weights", num_classes=1)
    zoo = load(TINY, tmp_path / "x.safetensors", num_classes=1)
    num_tensors = len(tiny.state_dict())
    for model in (checkpoint, darknet, zoo):
        assert model.names == ("class 0",)
        assert output(model).shape[-1] == 6
        taken = model.provenance["transfer"]
        assert isinstance(taken, dict)
        # two heads, a kernel and a bias each
        assert (taken["taken"], taken["random"]) == (num_tensors - 4, 4)
        assert torch.equal(model.state_dict()["layers.0.bn.weight"], tiny.state_dict()["layers.0.bn.weight"])


def test_published_weights_of_80_classes_start_any_number(tmp_path: Path) -> None:
    save(load(TINY), tmp_path / "coco.cfg")
    model = load(TINY, tmp_path / "coco.weights", num_classes=1)
    assert model.provenance["transfer"]["random"] == 4  # type: ignore[index]


def test_a_backbone_fills_the_front(tmp_path: Path, tiny: DarknetModel) -> None:
    save(tiny, tmp_path / "x.cfg")
    numbers = np.fromfile(tmp_path / "x.weights", np.uint8)
    first_layer = sum(tensor.numel() for name, tensor in tiny.state_dict().items() if ".0." in name[:9])
    numbers[: 20 + 4 * first_layer].tofile(tmp_path / "tiny.conv.1")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model = load(TINY, tmp_path / "tiny.conv.1", num_classes=3)
    assert model.provenance["transfer"]["taken"] == 5  # type: ignore[index]
    first = "layers.0.conv.weight"
    assert torch.equal(model.state_dict()[first], tiny.state_dict()[first])


def test_a_poor_fit_warns_and_no_fit_is_an_error(tmp_path: Path, tiny: DarknetModel) -> None:
    save(tiny, tmp_path / "x.safetensors")
    with pytest.warns(UserWarning, match=r"only \d+ of \d+ tensors fit"):
        load("yolov3-tiny@0.25", tmp_path / "x.safetensors", num_classes=3)
    narrow = small_network(CONVOLUTION.replace("filters=8", "filters=24"))
    (tmp_path / "narrow.cfg").write_text(narrow.to_cfg())
    with pytest.raises(ModelError, match="none of its"):
        load(tmp_path / "narrow.cfg", tmp_path / "x.safetensors")


def test_saving_keeps_names_and_origin(tmp_path: Path) -> None:
    model = load(TINY, names=["hand"])
    model.provenance = {"epoch": 7}
    save(model, tmp_path / "x.safetensors")
    again = load(tmp_path / "x.safetensors")
    assert again.names == ("hand",)
    assert again.provenance["epoch"] == 7


def test_saving_without_names_leaves_none_of_the_model_before(tmp_path: Path) -> None:
    save(load(TINY, names=["hand"]), tmp_path / "x.cfg")
    assert load(tmp_path / "x.cfg", tmp_path / "x.weights").names == ("hand",)
    save(load(TINY, num_classes=1), tmp_path / "x.cfg")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["x.cfg", "x.weights"]
    assert load(tmp_path / "x.cfg", tmp_path / "x.weights").names == ("class 0",)


def test_cbam_has_no_darknet_files(tmp_path: Path) -> None:
    with pytest.raises(ExportError, match="ONNX"):
        save(load("cbam-yolov3-tiny@0.125", num_classes=1), tmp_path / "x.cfg")
    assert list(tmp_path.iterdir()) == []


def test_what_is_no_model_is_named(tmp_path: Path, tiny: DarknetModel) -> None:
    save(tiny, tmp_path / "x.cfg")
    with pytest.raises(ModelError, match="yolov3"):
        load("yolov33")
    with pytest.raises(UsageError, match=r"a model is a \.cfg"):
        load(tmp_path / "x.txt")
    with pytest.raises(UsageError, match="holds Python code of PyTorch"):
        load(tmp_path / "x.pt")
    with pytest.raises(UsageError, match="weights alone"):
        load(tmp_path / "x.weights")
    with pytest.raises(CfgError, match="no such file"):
        load(tmp_path / "none.cfg")
    with pytest.raises(ModelError, match="no such checkpoint"):
        load(tmp_path / "none.safetensors")
    with pytest.raises(WeightsError, match="no such file"):
        load(TINY, tmp_path / "none.weights")
    with pytest.raises(WeightsError, match="the network needs"):
        load("yolov3-tiny@0.25", tmp_path / "x.weights", num_classes=3)
    with pytest.raises(UsageError, match=r"saved as \.safetensors or \.cfg"):
        save(tiny, tmp_path / "x.pt")


def test_the_models_in_the_folder_of_a_run_are_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="is a folder; give a model, not a folder"):
        load(tmp_path)
    (tmp_path / "slim.onnx").touch()
    (tmp_path / "slim.safetensors").touch()
    with pytest.raises(UsageError, match=r"its models are .*slim\.onnx and .*slim\.safetensors"):
        load(tmp_path)
