"""Recalibration: the statistics are the plain average over the batches, and nothing else moves."""

from __future__ import annotations

import pytest
import torch

from seyolo.darknet.zoo import network_from_name
from seyolo.errors import DataError
from seyolo.pruning.cutting.repair import recalibrate
from seyolo.torchnet.build import DarknetModel, build


@pytest.fixture
def model() -> DarknetModel:
    return build(network_from_name("yolov3-tiny@0.25", 1), generator=torch.Generator().manual_seed(0)).eval()


def test_first_layer_by_hand(model: DarknetModel) -> None:
    generator = torch.Generator().manual_seed(1)
    batches = [torch.rand(2, 3, 64, 64, generator=generator) for _ in range(3)]
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    recalibrate(model, iter(batches))
    layer = model.layers[0]
    with torch.no_grad():
        outputs = [layer.conv(batch) for batch in batches]  # type: ignore[operator]
    mean = torch.stack([x.mean((0, 2, 3)) for x in outputs]).mean(0)
    variance = torch.stack([x.var((0, 2, 3)) for x in outputs]).mean(0)
    torch.testing.assert_close(layer.bn.running_mean, mean)  # type: ignore[union-attr]
    torch.testing.assert_close(layer.bn.running_var, variance)  # type: ignore[union-attr]
    for name, tensor in model.state_dict().items():
        assert torch.equal(tensor, before[name]) != ("running" in name), name


def test_modes_and_momentum_come_back(model: DarknetModel) -> None:
    norm = model.layers[0].bn
    momentum = norm.momentum  # type: ignore[union-attr]
    recalibrate(model, [torch.rand(2, 3, 64, 64)])
    assert not any(module.training for module in model.modules())
    assert norm.momentum == momentum  # type: ignore[union-attr]
    model.train()
    recalibrate(model, [torch.rand(2, 3, 64, 64)])
    assert model.training


def test_without_images_nothing_changes(model: DarknetModel) -> None:
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    with pytest.raises(DataError, match="no images"):
        recalibrate(model, [])
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())
