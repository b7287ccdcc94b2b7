"""Our raw output where OpenCV has no say, against a naive Darknet that shares no code with us."""

from __future__ import annotations

from pathlib import Path

import naive_darknet
import pytest
import torch

from helpers.random_weights import calibrated
from helpers.small_networks import CONVOLUTION, random_images, small_network
from seyolo.darknet.cfg import Network
from seyolo.darknet.edit import set_size
from seyolo.darknet.zoo import network_from_name
from seyolo.exporting.parity import relative_error
from seyolo.opening.network import save
from seyolo.torchnet.build import DarknetModel


def errors(model: DarknetModel, images: torch.Tensor, folder: Path) -> float:
    save(model, folder / "x.cfg")
    text, weights = (folder / "x.cfg").read_text(), (folder / "x.weights").read_bytes()
    with torch.no_grad():
        ours = model.double()(images.double())[0].numpy()
    return relative_error(ours, naive_darknet.run(text, weights, images[0].double().numpy()))


@pytest.mark.parametrize(
    ("name", "size"),
    [("yolov4-sam-mish@0.125", 128), ("cspx-p7-mish@0.0625", 256), ("yolov3-tiny@0.25", 96)],
)
def test_networks_of_the_zoo(tmp_path: Path, name: str, size: int) -> None:
    images = random_images(size, size, seed=2)
    model = calibrated(set_size(network_from_name(name, num_classes=2), size, size), images)
    assert errors(model, images, tmp_path) < 1e-5


LAYERS = {
    "reorg3d": "[reorg3d]\nstride=2\n[convolutional]\nfilters=8\nsize=1\nactivation=leaky\n",
    "local_avgpool": "[local_avgpool]\nsize=3\nstride=2\n",
    "maxima over channels": "[maxpool]\nmaxpool_depth=1\nout_channels=2\n",
    "implicit": "[implicit]\nfilters=8\nmean=1\n[scale_channels]\nfrom=-2\n",
    "per_feature": "[convolutional]\nfilters=8\nsize=3\npad=1\nactivation=swish\n"
    "[shortcut]\nfrom=-2,-1\nweights_type=per_feature\nweights_normalization=softmax\n",
    "per_channel": "[convolutional]\nfilters=12\nsize=3\npad=1\nactivation=leaky\n"
    "[shortcut]\nfrom=-2\nweights_type=per_channel\nweights_normalization=relu\nactivation=leaky\n",
}


def with_random_weights(network: Network, images: torch.Tensor) -> DarknetModel:
    """Also the weights of shortcuts and implicit layers, which start alike."""
    model = calibrated(network, images)
    generator = torch.Generator().manual_seed(0)
    for name, parameter in model.named_parameters():
        if name.endswith(".weights"):
            parameter.data.normal_(generator=generator)
    return model


@pytest.mark.parametrize("kind", LAYERS)
def test_one_layer_at_a_time(tmp_path: Path, kind: str) -> None:
    images = random_images(32, 32, seed=3)
    model = with_random_weights(small_network(CONVOLUTION + LAYERS[kind] + CONVOLUTION, classes=2), images)
    assert errors(model, images, tmp_path) < 1e-5


def test_a_wrong_weight_is_noticed(tmp_path: Path) -> None:
    images = random_images(32, 32, seed=3)
    network = small_network(CONVOLUTION + LAYERS["per_channel"] + CONVOLUTION, classes=2)
    model = with_random_weights(network, images)
    save(model, tmp_path / "x.cfg")
    raw = naive_darknet.run(
        (tmp_path / "x.cfg").read_text().replace("=relu\n", "=softmax\n"),
        (tmp_path / "x.weights").read_bytes(),
        images[0].double().numpy(),
    )
    with torch.no_grad():
        assert relative_error(model(images)[0].numpy(), raw) > 1e-3
