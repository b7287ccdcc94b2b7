"""Images and small networks that several tests share."""

from __future__ import annotations

import cv2
import numpy as np
import torch

from seyolo.darknet.cfg import Network, parse_cfg
from seyolo.exporting.parity import sample_image


def random_images(height: int, width: int, num: int = 1, seed: int = 0) -> torch.Tensor:
    return torch.from_numpy(sample_image(height, width, np.random.default_rng(seed), num))


def photo(path: str, size: tuple[int, int]) -> torch.Tensor:
    image = cv2.resize(cv2.imread(path), (size[1], size[0]))
    return torch.from_numpy(image[None, :, :, ::-1].transpose(0, 3, 1, 2).astype(np.float32) / 255)


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
