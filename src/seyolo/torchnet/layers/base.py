"""Types that all layers share, and the convolutions they are made of.

Shape letters: N images, C channels, H and W cells.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from jaxtyping import Float
from torch import Tensor, nn

from seyolo.darknet.sections import Section

Features = Float[Tensor, "N C H W"]
LayerTable = Mapping[type[Section], Callable[[Any, Sequence[int]], nn.Module]]
"""Section type -> function that makes its module from the section and the channels of the layers it reads."""


def make_convolution(in_channels: int, out_channels: int, kernel: int, **options: object) -> nn.Conv2d:
    """Returns a convolution whose tensors are allocated but not filled."""
    # torch would fill the kernels with random numbers, half a second for a YOLOv3, only to be overwritten.
    make = nn.utils.skip_init
    layer: nn.Conv2d = make(nn.Conv2d, in_channels, out_channels, kernel, **options)  # type: ignore[no-untyped-call]
    return layer
