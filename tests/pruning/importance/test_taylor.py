"""Taylor importance against what silencing a channel really does to the loss."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from helpers.random_weights import calibrated
from seyolo.darknet.edit import set_size
from seyolo.darknet.zoo import network_from_name
from seyolo.errors import DataError
from seyolo.pruning.importance.taylor import taylor_scores
from seyolo.torchnet.build import DarknetModel
from seyolo.training.loss import DetectionLoss, LossModule


@pytest.fixture
def model() -> DarknetModel:
    network = set_size(network_from_name("yolov3-tiny@0.125", num_classes=1), 64, 64)
    return calibrated(network, torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))).eval()


def batch() -> tuple[torch.Tensor, torch.Tensor]:
    images = torch.randint(
        0, 256, (2, 3, 64, 64), dtype=torch.uint8, generator=torch.Generator().manual_seed(1)
    )
    return images, torch.tensor([[0, 0, 0.5, 0.5, 0.4, 0.4], [1, 0, 0.3, 0.6, 0.3, 0.5]])


def loss_of(model: DarknetModel) -> float:
    images, targets = batch()
    with torch.no_grad():
        return float(LossModule(model, DetectionLoss(model.heads))(images.float() / 255, targets)[0])


def test_first_order_change_is_that_of_a_small_step(model: DarknetModel) -> None:
    scores = taylor_scores(model, [batch()])
    bn = model.layers[4].bn
    step = 1e-3
    before = loss_of(model)
    for channel in range(4):
        kept = bn.weight[channel].item(), bn.bias[channel].item()
        with torch.no_grad():
            bn.weight[channel] *= 1 - step
            bn.bias[channel] *= 1 - step
        assert abs(loss_of(model) - before) / step == pytest.approx(scores[4][channel], rel=0.15, abs=2e-2)
        with torch.no_grad():
            bn.weight[channel], bn.bias[channel] = kept


def test_a_frozen_layer_has_no_score(model: DarknetModel) -> None:
    model.layers[4].requires_grad_(False)
    assert 4 not in taylor_scores(model, [batch()])


def test_every_convolution_is_scored_and_nothing_changes(model: DarknetModel) -> None:
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    scores = taylor_scores(model, [batch(), batch()])
    assert all(len(scores[i]) == model.layers[i].conv.out_channels for i in scores)
    assert len(scores) == sum(hasattr(layer, "conv") for layer in model.layers)
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())
    np.testing.assert_allclose(scores[4], taylor_scores(model, [batch()])[4], rtol=1e-5)


def test_no_images(model: DarknetModel) -> None:
    with pytest.raises(DataError, match="no images"):
        taylor_scores(model, [])
