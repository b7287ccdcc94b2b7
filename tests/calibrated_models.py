"""Random networks that behave like trained ones.

Without calibrated statistics the signal of a random deep network dies out or explodes, and then any two
readers agree.
"""

from __future__ import annotations

import cv2
import numpy as np
import torch
from torch import nn

from seyolo.darknet.cfg import Network, parse_cfg
from seyolo.exporting.parity import sample_picture
from seyolo.network.build import DarknetModel, build
from seyolo.network.layers import BATCH_NORM_MOMENTUM


def pictures(height: int, width: int, num: int = 1, seed: int = 0) -> torch.Tensor:
    return torch.from_numpy(sample_picture(height, width, np.random.default_rng(seed), num))


def photo(path: str, size: tuple[int, int]) -> torch.Tensor:
    image = cv2.resize(cv2.imread(path), (size[1], size[0]))
    return torch.from_numpy(image[None, :, :, ::-1].transpose(0, 3, 1, 2).astype(np.float32) / 255)


@torch.no_grad()
def calibrated(network: Network, images: torch.Tensor, seed: int = 0) -> DarknetModel:
    """A model whose BN statistics are those of `images` and whose logits have a spread near 1."""
    generator = torch.Generator().manual_seed(seed)
    model = build(network, generator=generator)
    norms = [module for module in model.modules() if isinstance(module, nn.BatchNorm2d)]
    for norm in norms:
        norm.momentum = 1.0
        norm.weight.uniform_(0.5, 1.5, generator=generator)
        norm.bias.normal_(0, 0.2, generator=generator)
    for convolution, _ in model._head_convolutions():
        convolution.weight.mul_(10)
    model.train()
    model.forward_heads(images)
    for norm in norms:
        norm.momentum = BATCH_NORM_MOMENTUM
    return model.eval()


def small_network(layers: str, num_anchors: int = 2, classes: int = 1, size: int = 32) -> Network:
    """`layers`, then the head: a convolution and a `[yolo]`."""
    anchors = ",".join(["10,20", "30,15", "8,8"][:num_anchors])
    mask = ",".join(map(str, range(num_anchors)))
    return parse_cfg(
        f"""
[net]
width={size}
height={size}
channels=3
{layers}
[convolutional]
filters={num_anchors * (5 + classes)}
size=1
activation=linear
[yolo]
mask={mask}
anchors={anchors}
num={num_anchors}
classes={classes}
""",
        "small.cfg",
    )


CONVOLUTION = """
[convolutional]
batch_normalize=1
filters=8
size=3
stride=2
pad=1
activation=leaky
"""
