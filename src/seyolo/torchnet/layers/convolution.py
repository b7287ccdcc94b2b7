"""Torch layers of `[convolutional]`, `[implicit]` and `[dropout]`; types and convolutions of all layers.

Shape letters: N images, C channels, H and W cells.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from seyolo.darknet.constants import BATCH_NORM_EPSILON
from seyolo.darknet.sections import Convolutional, Dropout, Implicit, Section
from seyolo.torchnet.activations import make_activation

Features = Float[Tensor, "N C H W"]
LayerTable = Mapping[type[Section], Callable[[Any, Sequence[int]], nn.Module]]
"""Section type -> function that makes its module from the section and the channels of the layers it reads."""

BATCH_NORM_MOMENTUM = 0.03
"""Weight of the newest batch in the running statistics: batches here are small, so they average long."""

NARROW_CHANNELS = range(5, 16)
"""Widths whose batch normalisation trains faster on contiguous planes than on channels-last memory.

On a CPU torch walks channels-last memory in vectors of 16 channels and falls back to single numbers below
that: with 8 channels it takes five times as long as on planes, and still twice as long with the copies.
"""


def make_convolution(
    in_channels: int, out_channels: int, kernel: int | tuple[int, int], **options: object
) -> nn.Conv2d:
    """Returns a convolution whose tensors are allocated but not filled."""
    # torch would fill the kernels with random numbers, half a second for a YOLOv3, only to be overwritten.
    make = nn.utils.skip_init
    layer: nn.Conv2d = make(nn.Conv2d, in_channels, out_channels, kernel, **options)  # type: ignore[no-untyped-call]
    return layer


def make_batch_norm(channels: int) -> nn.BatchNorm2d:
    """Returns batch normalisation with this project's constants."""
    norm = nn.BatchNorm2d(channels, eps=BATCH_NORM_EPSILON, momentum=BATCH_NORM_MOMENTUM)
    # torch reads it only when momentum is None, and no file holds it.
    norm.register_buffer("num_batches_tracked", torch.tensor(0), persistent=False)
    return norm


class FromPlanes(torch.autograd.Function):
    """Contiguous planes to channels-last memory, and the gradient back to planes.

    torch would leave the gradient channels-last, and the activation's backward pass, which walks both, would
    take ten times as long.
    """

    @staticmethod
    def forward(ctx: Any, x: Features) -> Features:
        return x.contiguous(memory_format=torch.channels_last)

    @staticmethod
    def backward(ctx: Any, *gradients: Features) -> Features:
        return gradients[0].contiguous()


class ConvolutionLayer(nn.Module):
    """`[convolutional]`: convolution, batch normalisation where the section has it, activation."""

    def __init__(self, section: Convolutional, in_channels: int) -> None:
        super().__init__()
        self.conv = make_convolution(
            in_channels,
            section.filters,
            section.size,
            stride=section.strides,
            padding=section.padding_px,
            dilation=section.kernel_dilation,
            groups=section.groups,
            bias=not section.batch_normalize,
        )
        self.bn = make_batch_norm(section.filters) if section.batch_normalize else nn.Identity()
        self.activation = make_activation(section.activation)
        self.is_narrow = section.batch_normalize and section.filters in NARROW_CHANNELS
        is_unusual = max(section.strides) > 1 or max(self.conv.kernel_size) > 3
        self.is_slow_in_bf16 = section.groups == in_channels > 1 and is_unusual

    def forward(self, x: Features) -> Features:
        convolved = self._convolve(x)
        if self.is_narrow and self.training and not x.is_cuda:
            planes = self.activation(self.bn(convolved.contiguous()))
            return FromPlanes.apply(planes)  # type: ignore[no-any-return, no-untyped-call]
        return self.activation(self.bn(convolved))  # type: ignore[no-any-return]

    def _convolve(self, x: Features) -> Features:
        """Returns the convolution; for gradients on a CPU a strided or large depthwise one is float32.

        In bfloat16 torch takes 5 to 50 times as long for the gradient of the input where there is a stride,
        and 4 to 6 times for that of the kernel where it is larger than 3.
        """
        if self.is_slow_in_bf16 and x.dtype == torch.bfloat16 and torch.is_grad_enabled() and not x.is_cuda:
            with torch.autocast("cpu", enabled=False):
                return self.conv(x.float()).bfloat16()  # type: ignore[no-any-return]
        return self.conv(x)  # type: ignore[no-any-return]


class ImplicitLayer(nn.Module):
    """`[implicit]`: learned constants (1, C, 1, 1), independent of the input."""

    def __init__(self, section: Implicit) -> None:
        super().__init__()
        self.mean = section.mean
        self.weights = nn.Parameter(torch.empty(section.filters))

    def reset_parameters(self) -> None:
        """Fills the constants for a new network: `mean` of the section."""
        nn.init.constant_(self.weights, self.mean)

    def forward(self, _: Features) -> Features:
        return self.weights[None, :, None, None]


LAYERS: LayerTable = {
    Convolutional: lambda section, widths: ConvolutionLayer(section, widths[0]),
    Dropout: lambda _, __: nn.Identity(),
    Implicit: lambda section, _: ImplicitLayer(section),
}
