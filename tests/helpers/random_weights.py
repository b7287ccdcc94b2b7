"""Random weights under which a network behaves like a trained one.

With plain random weights the signal of a deep network dies out or explodes, and then any two readers agree,
whatever they do. Here every batch normalisation knows the statistics of given images, so that all layers
answer to the image and to each other.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn

from seyolo.darknet.cfg import Network
from seyolo.torchnet.build import DarknetModel, build
from seyolo.torchnet.layers.convolution import BATCH_NORM_MOMENTUM

HEAD_GAIN = 4.0
"""On the kernels in front of the detections, whose start in training is near zero: logits spread about 1."""


@torch.no_grad()
def calibrated(network: Network, images: Float[Tensor, "N 3 H W"], seed: int = 0) -> DarknetModel:
    """A model in evaluation mode whose statistics are those of `images`.

    Args:
        network: the description.
        images: RGB in [0, 1]; H and W multiples of the largest stride.
        seed: of kernels, scales and biases.
    """
    generator = torch.Generator().manual_seed(seed)
    model = build(network, generator=generator)
    norms = [module for module in model.modules() if isinstance(module, nn.BatchNorm2d)]
    for norm in norms:
        norm.momentum = 1.0
        norm.weight.uniform_(0.5, 1.5, generator=generator)
        norm.bias.normal_(0, 0.2, generator=generator)
    for convolution, _ in model.head_convolutions():
        convolution.weight.mul_(HEAD_GAIN)
    model.train()
    model.forward_heads(images)
    for norm in norms:
        norm.momentum = BATCH_NORM_MOMENTUM
    return model.eval()
