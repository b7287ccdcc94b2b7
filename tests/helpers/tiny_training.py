"""The shortest training there is, and a network for it."""

from __future__ import annotations

import torch

from seyolo.darknet import zoo
from seyolo.torchnet.build import DarknetModel, build
from seyolo.training.config import TrainConfig

CONFIG = TrainConfig(epochs=2, batch=4, size=64, evaluations=2, warmup_epochs=0.5)


def fresh_model(width: float = 0.125) -> DarknetModel:
    network = zoo.yolov3_tiny(num_classes=1, width=width, scale_x_y=2.0)
    return build(network, ("hand",), torch.Generator().manual_seed(0))
