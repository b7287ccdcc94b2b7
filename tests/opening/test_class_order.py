"""Classes keep their meaning: the heads of weights follow the class names."""

from __future__ import annotations

import logging
import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from helpers.random_weights import calibrated
from helpers.small_networks import random_images
from seyolo.checkpoint import Checkpoint, reorder_classes, write_checkpoint
from seyolo.darknet.zoo import network_from_name
from seyolo.errors import BackendError, CfgError
from seyolo.opening.network import load, open_model, save
from seyolo.options.model import ModelOptions
from seyolo.torchnet.build import DarknetModel, to_checkpoint

IMAGES = random_images(64, 64)
ABC, CAB = ("a", "b", "c"), ("c", "a", "b")
COLUMNS = [0, 1, 2, 3, 4, 7, 5, 6]  # of the raw output in the order c, a, b


def output(model: DarknetModel) -> np.ndarray:
    with torch.no_grad():
        return model(IMAGES).numpy()


def made(folder: Path, name: str = "yolov3-tiny@0.125", names: tuple[str, ...] = ABC) -> DarknetModel:
    """Writes x.safetensors, x.cfg and x.weights of random weights."""
    model = calibrated(network_from_name(name, len(names)), IMAGES)
    model.names = names
    save(model, folder / "x.safetensors")
    save(model, folder / "x.cfg")
    return model


@pytest.fixture(autouse=True)
def _no_warnings():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


@pytest.mark.parametrize("name", ["yolov3-tiny@0.125", "yolov2-tiny@0.125", "yolo-fastest-1.1@0.25"])
def test_the_heads_of_a_checkpoint_follow_the_names(tmp_path: Path, name: str) -> None:
    original = made(tmp_path, name)
    file = tmp_path / "x.safetensors"
    models = [load(file, names=CAB), load(name, file, names=CAB), load(tmp_path / "x.cfg", file, names=CAB)]
    for model in models:
        assert model.names == CAB
        # A softmax sums the classes in another order.
        np.testing.assert_allclose(output(model), output(original)[..., COLUMNS], rtol=1e-6)
    assert load(file).names == ABC
    np.testing.assert_array_equal(output(load(file, names=ABC)), output(original))


def test_weights_of_a_partial_checkpoint_follow_the_names(tmp_path: Path) -> None:
    original = made(tmp_path)
    first = (tmp_path / "x.cfg").read_text().replace("size=3", "size=1", 1).replace("pad=1", "pad=0", 1)
    (tmp_path / "y.cfg").write_text(first)
    with pytest.warns(UserWarning, match="only .* tensors fit"):
        model = load(tmp_path / "y.cfg", tmp_path / "x.safetensors", names=CAB)
    heads = [name for name, value in original.state_dict().items() if len(value.shape) and len(value) == 24]
    assert len(heads) == 4
    for name in heads:
        found, expected = (x.state_dict()[name].numpy().reshape(3, 8, -1) for x in (model, original))
        np.testing.assert_array_equal(found, expected[:, COLUMNS])


def test_names_beside_a_cfg_order_its_weights(tmp_path: Path) -> None:
    original = made(tmp_path)
    cfg, weights = tmp_path / "x.cfg", tmp_path / "x.weights"
    (tmp_path / "x.names").unlink()  # unnamed: by number
    np.testing.assert_array_equal(output(load(cfg, weights, names=CAB)), output(original))
    (tmp_path / "obj.names").write_text("a\nb\nc\n")
    assert load(cfg, weights).names == open_model(cfg).names == ABC
    ordered = load(cfg, weights, names=CAB)
    np.testing.assert_array_equal(output(ordered), output(original)[..., COLUMNS])
    # Names that are given come before those beside.
    given = load(cfg, weights, names=CAB, own_names=CAB)
    np.testing.assert_array_equal(output(given), output(original))
    assert load(cfg, weights, own_names=("x", "y", "z")).names == ("x", "y", "z")


def test_names_beside_a_cfg_without_weights_do_not_matter(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    made(tmp_path)
    (tmp_path / "x.names").rename(tmp_path / "obj.names")
    (tmp_path / "obj.names").write_text("a\nb\nc\n")
    with caplog.at_level(logging.INFO, "seyolo"):
        assert load(tmp_path / "x.cfg", names=CAB).names == CAB
        assert load(tmp_path / "x.cfg", tmp_path / "x.weights", names=("other",)).names == ("other",)
        assert caplog.text == ""
        assert load(tmp_path / "x.cfg").names == ABC
        assert "the class names are those of" in caplog.text


def test_other_names_are_said_with_both_lists(tmp_path: Path) -> None:
    original = made(tmp_path)
    both = r"x\.safetensors: its classes are a, b, c, here they are x, y, z; .* by number"
    with pytest.warns(UserWarning, match=both):
        model = load(tmp_path / "x.safetensors", names=["x", "y", "z"])
    np.testing.assert_array_equal(output(model), output(original))
    with pytest.warns(UserWarning, match=r"its classes are a, b, c, here they are c, x, a"):
        model = load(tmp_path / "x.safetensors", names=["c", "x", "a"])
    np.testing.assert_array_equal(output(model), output(original)[..., [0, 1, 2, 3, 4, 7, 6, 5]])


def test_default_names_are_any(tmp_path: Path) -> None:
    original = made(tmp_path, names=("class 0", "class 1", "class 2"))
    np.testing.assert_array_equal(output(load(tmp_path / "x.safetensors", names=CAB)), output(original))


def test_another_number_of_classes_remakes_the_heads_as_before(tmp_path: Path) -> None:
    made(tmp_path)
    model = load(tmp_path / "x.safetensors", names=["a", "b"])
    assert model.provenance["transfer"]["random"] == 4  # type: ignore[index]


class TestNamesOption:
    def test_it_names_the_classes_and_moves_nothing(self, tmp_path: Path) -> None:
        original = made(tmp_path)
        (tmp_path / "n.txt").write_text("\ufeffc\na\nb\n", encoding="utf-8")
        options = ModelOptions(names=tmp_path / "n.txt")
        for model in (tmp_path / "x.safetensors", tmp_path / "x.cfg"):
            opened = open_model(model, options)
            assert opened.names == CAB
            np.testing.assert_array_equal(output(opened), output(original))

    def test_a_zoo_name_gets_as_many_classes(self, tmp_path: Path) -> None:
        (tmp_path / "n.txt").write_text("c\na\nb\n")
        opened = open_model("yolov3-tiny@0.125", ModelOptions(names=tmp_path / "n.txt"), random=True)
        assert opened.names == CAB

    @pytest.mark.parametrize("model", ["x.safetensors", "x.cfg"])
    def test_another_number_is_refused_with_both(self, tmp_path: Path, model: str) -> None:
        made(tmp_path)
        (tmp_path / "n.txt").write_text("c\na\n")
        with pytest.raises(BackendError, match="the network has 3 classes, but 2 names are given"):
            open_model(tmp_path / model, ModelOptions(names=tmp_path / "n.txt"))


def test_reordering_twice_is_the_identity_and_a_partial_state_stays_partial(tmp_path: Path) -> None:
    checkpoint = to_checkpoint(made(tmp_path))
    there = reorder_classes(checkpoint, [2, 0, 1])
    assert there.names == CAB
    back = reorder_classes(there, [1, 2, 0])
    assert back.names == ABC
    for name, array in checkpoint.state.items():
        np.testing.assert_array_equal(back.state[name], array)
    few = dict(list(checkpoint.state.items())[:2])
    assert reorder_classes(replace(checkpoint, state=few), [2, 0, 1]).state.keys() == few.keys()


def test_every_class_keeps_its_rows_whatever_the_order(tmp_path: Path) -> None:
    names = tuple("abcdefg")
    original = made(tmp_path, names=names)
    for seed in range(5):
        order = np.random.default_rng(seed).permutation(7)
        model = load(tmp_path / "x.safetensors", names=[names[index] for index in order])
        columns = [*range(5), *(5 + order)]
        np.testing.assert_array_equal(output(model), output(original)[..., columns])


def test_a_head_without_convolution_is_refused(tmp_path: Path) -> None:
    text = "[net]\nwidth=32\nheight=32\n[convolutional]\nfilters=7\nsize=1\nstride=1\nactivation=linear\n"
    yolo = "[yolo]\nmask=0\nanchors=4,4\nclasses=2\nnum=1\n"
    (tmp_path / "x.cfg").write_text(f"{text}[dropout]\nprobability=.5\n{yolo}")
    model = load(tmp_path / "x.cfg", names=None)
    checkpoint = to_checkpoint(model)
    write_checkpoint(tmp_path / "x.safetensors", Checkpoint(checkpoint.network, checkpoint.state, ("a", "b")))
    with pytest.raises(
        CfgError, match="needs a convolution in front of it to change the order of the classes"
    ):
        load(tmp_path / "x.safetensors", names=["b", "a"])
