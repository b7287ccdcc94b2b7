"""Folding batch normalisation changes the tensors and not the function."""

from __future__ import annotations

import torch

from helpers.random_weights import calibrated
from helpers.small_networks import CONVOLUTION, random_images, small_network
from seyolo.darknet.weights import tensor_shapes
from seyolo.darknet.zoo import network_from_name
from seyolo.torchnet.build import from_checkpoint, to_checkpoint
from seyolo.translation.folding import fold_batch_norm


def test_the_folded_model_computes_the_same() -> None:
    images = random_images(64, 64)
    file = to_checkpoint(calibrated(network_from_name("se-yolov3-tiny@0.25", num_classes=1), images))
    folded = fold_batch_norm(file)
    assert {name: array.shape for name, array in folded.state.items()} == tensor_shapes(folded.network)
    assert not any(".bn." in name for name in folded.state)
    assert any(".bn." in name for name in file.state)
    with torch.no_grad():
        heads = zip(
            from_checkpoint(folded).forward_heads(images),
            from_checkpoint(file).forward_heads(images),
            strict=True,
        )
        for actual, expected in heads:
            torch.testing.assert_close(actual, expected, rtol=0, atol=1e-4)


def test_one_channel_by_hand() -> None:
    file = to_checkpoint(calibrated(small_network(CONVOLUTION), random_images(32, 32)))
    numbers = {"weight": 3.0, "bias": 1.0, "running_mean": 5.0, "running_var": 4.0 - 1e-6}
    for name, value in numbers.items():
        file.state[f"layers.0.bn.{name}"][0] = value
    kernel = file.state["layers.0.conv.weight"][0].copy()
    state = fold_batch_norm(file).state
    # scale 3 / √4 = 1.5, shift 1 - 5·1.5 = -6.5
    assert abs(state["layers.0.conv.weight"][0] - 1.5 * kernel).max() < 1e-6
    assert abs(state["layers.0.conv.bias"][0] + 6.5) < 1e-6
