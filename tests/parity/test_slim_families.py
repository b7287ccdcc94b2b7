"""Every family can be cut: exact costs, our numbers in OpenCV 4's reader and in ONNX Runtime."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from hypothesis import given, settings

from helpers.opencv_rows import TOO_DEEP, as_suppressed, opencv_rows, our_rows
from helpers.random_weights import calibrated
from helpers.small_networks import random_images
from helpers.strategies import networks
from seyolo.darknet.cfg import Network
from seyolo.darknet.cost import cost
from seyolo.darknet.edit import set_size
from seyolo.darknet.graph import max_stride
from seyolo.darknet.zoo import ZOO, network_from_name
from seyolo.errors import BudgetError
from seyolo.exporting.onnx import export_onnx
from seyolo.exporting.parity import relative_error
from seyolo.opening.network import load, save
from seyolo.pruning.cutting.repair import recalibrate
from seyolo.pruning.prune import prune
from seyolo.torchnet.build import DarknetModel

SMALL_SIDE = 256
TOLERANCE = 1e-2
"""Narrow random networks magnify rounding even more than those of full width."""


def small(name: str) -> Network:
    """The family at a quarter of its width, for two classes, on a small image."""
    network = network_from_name(f"{name}@0.25", num_classes=2)
    side = max(SMALL_SIDE, 8 * max_stride(network))  # statistics of fewer cells than 8 x 8 magnify rounding
    return set_size(network, side, side)


def slim_model(network: Network, images: torch.Tensor) -> DarknetModel:
    dense = calibrated(network, images)
    slim, plan = prune(dense, "macs=50%", multiple=4)
    counted = cost(slim.network)
    assert (plan.params, plan.macs) == (counted.params, counted.macs)
    assert plan.macs <= cost(network).macs // 2
    assert plan.params == sum(parameter.numel() for parameter in slim.parameters())
    recalibrate(slim, [images])
    return slim


@pytest.mark.slow
@pytest.mark.parametrize("name", ZOO)
def test_slim_networks_of_every_family(tmp_path: Path, name: str) -> None:
    network = small(name)
    images = random_images(network.net.height, network.net.width, seed=6)
    model = slim_model(network, images)
    ours = our_rows(model, images)
    assert ours[:, :4].std() > 1e-3
    save(model, tmp_path / "slim.cfg")
    again = load(tmp_path / "slim.cfg", tmp_path / "slim.weights")
    np.testing.assert_array_equal(our_rows(again, images), ours)
    if name != TOO_DEEP and hasattr(cv2.dnn, "readNetFromDarknet"):
        rows = opencv_rows(tmp_path / "slim.cfg", tmp_path / "slim.weights", images)
        assert relative_error(as_suppressed(ours, rows, network), rows) < TOLERANCE
    export_onnx(model, tmp_path / "slim.onnx")  # compares with ONNX Runtime before it writes


@settings(max_examples=25)
@given(network=networks())
def test_slim_random_graphs_are_exported(tmp_path_factory: pytest.TempPathFactory, network: Network) -> None:
    images = random_images(network.net.height, network.net.width, seed=6)
    dense = calibrated(network, images)
    try:
        slim, _ = prune(dense, "macs=70%", multiple=2)
    except BudgetError:
        return
    recalibrate(slim, [images])
    export_onnx(slim, tmp_path_factory.getbasetemp() / "random.onnx")
