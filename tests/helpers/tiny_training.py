"""The shortest training there is, and a network for it."""

from __future__ import annotations

import torch

from seyolo.darknet import zoo
from seyolo.torchnet.build import DarknetModel, build
from seyolo.training.config import TrainConfig
from seyolo.training.sparsity import Choice, sparse_scales

CONFIG = TrainConfig(epochs=2, batch=4, size=64, evaluations=2, warmup_epochs=0.5)


def fresh_model(width: float = 0.125) -> DarknetModel:
    network = zoo.yolov3_tiny(num_classes=1, width=width, scale_x_y=2.0)
    return build(network, ("hand",), torch.Generator().manual_seed(0))


def every_second_channel(model: DarknetModel) -> Choice:
    return {name: torch.arange(bn.num_features) % 2 == 0 for name, bn in sparse_scales(model).items()}
