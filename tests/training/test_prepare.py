"""Fitting networks to data: classes, size and anchors, and starts from scratch and from weights."""

from __future__ import annotations

import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from helpers.random_weights import calibrated
from helpers.small_networks import random_images
from seyolo.darknet import zoo
from seyolo.darknet.cfg import Network
from seyolo.darknet.graph import detection_layers, num_classes
from seyolo.darknet.sections import Cbam, ScaleChannels, Yolo
from seyolo.data.anchors import iou_of_sizes
from seyolo.data.batches.training import TrainingLoader
from seyolo.data.datasets import Dataset, load_dataset
from seyolo.errors import CfgError
from seyolo.letterbox import Fit
from seyolo.opening.description import Attention
from seyolo.opening.network import load, save
from seyolo.options.training import Augmentation
from seyolo.torchnet.build import DarknetModel
from seyolo.training.config import TrainConfig
from seyolo.training.prepare import fit_from_scratch, fit_to_data, starting_model

TINY = "yolov3-tiny@0.125"
CONFIG = TrainConfig(size=64)


@pytest.fixture
def dataset(tiny_hands: Path) -> Dataset:
    return load_dataset(tiny_hands)


def heads_of(network: Network) -> list[Yolo]:
    sections = [network.layers[index] for index in detection_layers(network)]
    return [section for section in sections if isinstance(section, Yolo)]


def test_fit_to_data_changes_classes_and_size_only() -> None:
    network = zoo.yolov3_tiny(num_classes=80, width=0.125)
    network = replace(network, net=replace(network.net, letter_box=False))
    fitted = fit_to_data(network, num_classes=3, size_hw=(96, 96))
    assert (fitted.net.height, fitted.net.width, fitted.net.letter_box) == (96, 96, False)
    assert num_classes(fitted) == 3
    assert all(fitted.layers[index - 1].filters == 3 * (5 + 3) for index in detection_layers(fitted))
    unfitted = [replace(head, classes=80) for head in heads_of(fitted)]
    assert unfitted == heads_of(network)
    with pytest.raises(CfgError, match="32"):
        fit_to_data(network, num_classes=3, size_hw=(100, 100))


def test_anchors_from_scratch_are_sorted_shared_and_fit_the_data(dataset: Dataset) -> None:
    samples, recipe = dataset.split("train"), Augmentation()
    network = fit_to_data(zoo.yolov3_tiny(num_classes=1, width=0.125), 1, (64, 64))
    fitted = fit_from_scratch(network, samples, recipe, size_hw=(64, 64), seed=0)
    first, second = heads_of(fitted)
    assert first.anchors == second.anchors
    assert (first.mask, second.mask) == tuple(head.mask for head in heads_of(network))
    assert first.scale_x_y == second.scale_x_y == 2.0
    anchors = np.array(first.anchors).reshape(-1, 2)
    assert len(anchors) == 6
    assert (np.diff(anchors.prod(axis=1)) > 0).all()
    boxes = [
        targets[:, 4:6].numpy()
        for _, targets in TrainingLoader(samples, Fit((64, 64)), 16, recipe, 1).epoch(0)
    ]
    given = np.array(heads_of(network)[0].anchors).reshape(-1, 2) * 64 / 416
    own_iou, given_iou = (
        iou_of_sizes(np.concatenate(boxes), sizes).max(axis=1).mean() for sizes in (anchors, given)
    )
    assert own_iou > max(0.6, given_iou)
    assert fitted == fit_from_scratch(network, samples, recipe, size_hw=(64, 64), seed=0)


@pytest.mark.parametrize(("kind", "section"), [("se", ScaleChannels), ("cbam", Cbam)])
def test_a_start_from_scratch_with_attention(dataset: Dataset, kind: str, section: type) -> None:
    model = starting_model(TINY, dataset, CONFIG, attention=Attention(kind, at=("head",)))
    assert model.names == ("hand",)
    assert sum(isinstance(layer, section) for layer in model.network.layers) == 2
    assert heads_of(model.network)[0].scale_x_y == 2.0
    assert model(random_images(64, 64)).shape == (1, 3 * (2 * 2 + 4 * 4), 6)


def same_weights(first: DarknetModel, second: DarknetModel) -> bool:
    ours, theirs = first.state_dict(), second.state_dict()
    return ours.keys() == theirs.keys() and all(torch.equal(ours[name], theirs[name]) for name in ours)


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    """Of one class at 64 pixels, with anchors unlike those of the zoo."""
    network = fit_to_data(zoo.yolov3_tiny(num_classes=1, width=0.125), 1, (64, 64))
    save(calibrated(network, random_images(64, 64, num=4)), tmp_path / "trained.safetensors")
    return tmp_path / "trained.safetensors"


@pytest.mark.parametrize("kind", [None, "se", "cbam"])
def test_a_start_from_a_checkpoint_keeps_its_outputs(
    dataset: Dataset, checkpoint: Path, kind: str | None
) -> None:
    attention = None if kind is None else Attention(kind, at=("head",))
    model = starting_model(str(checkpoint), dataset, CONFIG, attention=attention).eval()
    images = random_images(64, 64, num=2, seed=1)
    with torch.no_grad():
        torch.testing.assert_close(model(images), load(checkpoint)(images), rtol=1e-4, atol=1e-4)
    assert model.names == ("hand",)


def test_the_seed_decides_the_start_from_scratch_and_from_a_part(dataset: Dataset, checkpoint: Path) -> None:
    """The checkpoint's head is of other classes here, so it starts at random; a gate does so too."""
    two = replace(dataset, names=("hand", "foot"))
    attention = Attention("se", at=("head",))
    for arguments in ((TINY, dataset, CONFIG), (str(checkpoint), two, CONFIG, None, attention)):
        assert same_weights(starting_model(*arguments), starting_model(*arguments))
        spec, data, config, *rest = arguments
        other = starting_model(spec, data, replace(config, seed=1), *rest)
        assert not same_weights(other, starting_model(*arguments))


def test_layers_that_darknet_would_freeze_are_trained_and_that_is_said(
    dataset: Dataset, tmp_path: Path
) -> None:
    path = tmp_path / "net.cfg"
    save(load(TINY, num_classes=1), path)
    text = path.read_text()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        path.write_text(text.replace("[convolutional]", "[convolutional]\nstopbackward=0", 1))
        starting_model(str(path), dataset, CONFIG)
    path.write_text(text.replace("[convolutional]", "[convolutional]\ntrain_only_bn=1\nstopbackward=1", 1))
    with pytest.warns(UserWarning, match="stopbackward, train_only_bn would freeze layers"):
        starting_model(str(path), dataset, CONFIG)


def test_trained_weights_keep_how_images_get_in_and_new_ones_letterbox(
    dataset: Dataset, tmp_path: Path
) -> None:
    """Programs that stretch images for the old file would find less with a letterboxed one."""
    path = tmp_path / "net.cfg"
    save(load(TINY, num_classes=1), path)
    path.write_text(path.read_text().replace("letter_box=1", "letter_box=0"))
    trained = starting_model(str(path), dataset, CONFIG, weights=str(path.with_suffix(".weights")))
    assert trained.network.net.letterbox_mode == "stretch"
    assert starting_model(str(path), dataset, CONFIG).network.net.letterbox_mode == "letterbox"
