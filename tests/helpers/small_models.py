"""A small calibrated model, and the error of a file of it."""

from __future__ import annotations

from pathlib import Path

import torch

from helpers.random_weights import calibrated
from helpers.small_networks import CONVOLUTION, random_images, small_network
from seyolo.exporting.parity import relative_error
from seyolo.runtime.choice import open_backend
from seyolo.torchnet.build import DarknetModel

IMAGES = random_images(64, 64, num=2)


def small(layers: str = CONVOLUTION) -> DarknetModel:
    """A model of two classes at 64 pixels."""
    model = calibrated(small_network(layers, classes=2, size=64), IMAGES)
    model.names = ("left", "right")
    return model


def error(model: DarknetModel, path: Path, images: torch.Tensor) -> float:
    """The largest relative difference of a file's output from the model's."""
    with torch.no_grad():
        expected = model(images).numpy()
    return relative_error(open_backend(path, threads=1).infer(images.numpy()), expected)
