"""Preparation of a network for a data set: classes, input size, anchors, centre range, attention."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import asdict, replace

import numpy as np
import torch

from seyolo.darknet import edit
from seyolo.darknet.cfg import Network
from seyolo.darknet.graph import detection_layers
from seyolo.darknet.sections import Detection, Yolo
from seyolo.data.anchors import kmeans_anchors
from seyolo.data.batches.augment import IGNORED
from seyolo.data.batches.training import TrainingLoader
from seyolo.data.datasets import Dataset
from seyolo.data.samples import Sample
from seyolo.data.tiles import training_samples
from seyolo.letterbox import Fit
from seyolo.opening.description import Attention
from seyolo.opening.network import load
from seyolo.options.training import Augmentation
from seyolo.runtime.shipped import is_checkpoint
from seyolo.torchnet.attention import attach
from seyolo.torchnet.build import DarknetModel, build, from_checkpoint, to_checkpoint
from seyolo.training.config import TrainConfig

CENTRE_RANGE = 2.0  # `scale_x_y` of untrained networks: the cells beside an object's train it, too
ANCHOR_BATCHES = 60
FREEZING_KEYS = frozenset(["stopbackward", "dont_update", "train_only_bn"])


def fit_to_data(network: Network, num_classes: int, size_hw: tuple[int, int]) -> Network:
    """Returns the network with this number of classes and this input, (height, width)."""
    return edit.set_size(edit.set_classes(network, num_classes), *size_hw)


def fit_from_scratch(
    network: Network,
    samples: Sequence[Sample],
    augmentation: Augmentation,
    size_hw: tuple[int, int],
    seed: int,
) -> Network:
    """Returns an untrained network for letterboxed images, with new centre range and fitting anchors.

    The anchors are found by k-means on augmented boxes.
    """
    network = edit.set_letterbox(network, True)
    section = network.layers[detection_layers(network)[0]]
    assert isinstance(section, Detection)
    # Mosaics make objects much smaller.
    loader = TrainingLoader(samples, Fit.of(network.net, size_hw), 16, augmentation, seed)
    rows = np.concatenate(list(loader.targets(ANCHOR_BATCHES)))
    sizes = rows[rows[:, 1] != IGNORED, 4:6]
    anchors = kmeans_anchors(sizes, section.num, np.random.default_rng(seed))
    network = edit.set_anchors(
        network, [(round(float(w), 1), round(float(h), 1)) for w, h in anchors.sizes_wh]
    )
    layers = (replace(s, scale_x_y=CENTRE_RANGE) if isinstance(s, Yolo) else s for s in network.layers)
    return replace(network, layers=tuple(layers))


def starting_model(
    spec: str,
    dataset: Dataset,
    config: TrainConfig,
    weights: str | None = None,
    attention: Attention | None = None,
    *,
    own_names: Sequence[str] | None = None,
) -> DarknetModel:
    """Returns the initial model of a training, fitted to the data set.

    Untrained weights get anchors of the data set and letterboxed images. Trained ones keep the way images get
    into the input, which Darknet stretches by default; on them the gates of `attention` start at identity.
    `own_names` are the classes of the weights, as in `load`.
    """
    generator = torch.Generator().manual_seed(config.seed)
    model = load(spec, weights, names=dataset.names, generator=generator, own_names=own_names)
    _warn_of_freezing(model.network)
    network = fit_to_data(model.network, len(dataset.names), config.size_hw)
    if weights is not None or is_checkpoint(spec):
        trained = from_checkpoint(replace(to_checkpoint(model), network=network))
        return trained if attention is None else attach(trained, **asdict(attention), generator=generator)
    if attention is not None:
        network = edit.attach(network, **asdict(attention)).network
    samples = training_samples(dataset)
    network = fit_from_scratch(network, samples, config.augmentation, config.size_hw, config.seed)
    return build(network, dataset.names, torch.Generator().manual_seed(config.seed))


def _warn_of_freezing(network: Network) -> None:
    """Warns that layers that Darknet would freeze are trained."""
    keys = [key for section in network.layers for key, value in section.extras if value.strip() != "0"]
    if freezing := sorted(FREEZING_KEYS.intersection(keys)):
        message = f"{', '.join(freezing)} would freeze layers in Darknet; here all are trained"
        warnings.warn(f"{network.source}: {message}", stacklevel=3)
