"""One small torch module per Darknet section, computing what AlexeyAB's Darknet computes.

Every module is made from its section and the channel counts of the layers it reads, and is called with those
layers' outputs, each (N, C, H, W). Parameters sit in plain `nn.Conv2d` and `nn.BatchNorm2d` modules named
`conv` and `bn`, so that state names are those of `darknet.weights.tensor_shapes`. Kernels are left
uninitialised here: `network.build` owns initialisation.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from seyolo.darknet.sections import (
    Activation,
    AvgPool,
    Cbam,
    Convolutional,
    Dropout,
    MaxPool,
    Route,
    Sam,
    ScaleChannels,
    Section,
    Shortcut,
    Upsample,
)

LEAKY_SLOPE = 0.1
BATCH_NORM_EPSILON = 1e-6
"""Inside the root. OpenCV's value: on real networks it agrees with OpenCV's reader to 4e-6."""
BATCH_NORM_MOMENTUM = 0.03
"""Weight of the newest batch in the running statistics: batches here are small, so they average long."""

NARROW_CHANNELS = range(5, 16)
"""Widths whose batch normalisation trains faster on contiguous planes than on channels-last memory.

On a CPU torch walks channels-last memory in vectors of 16 channels and falls back to single numbers below
that: with 8 channels it takes five times as long as on planes, and still twice as long with the copies.
"""

Features = Float[Tensor, "N C H W"]


class HardMish(nn.Module):
    """AlexeyAB's hard mish: x above 0, x²/2 + x down to -2, 0 below."""

    def forward(self, x: Tensor) -> Tensor:
        return x * (x * 0.5 + 1).clamp(0, 1)


def make_activation(name: Activation) -> nn.Module:
    """The activation of that name in a cfg; the slope of leaky is 0.1."""
    factories: dict[Activation, Callable[[], nn.Module]] = {
        "linear": nn.Identity,
        # In place: batch normalisation and convolution do not need their output for the gradient.
        "leaky": lambda: nn.LeakyReLU(LEAKY_SLOPE, inplace=True),
        "relu": lambda: nn.ReLU(inplace=True),
        "relu6": nn.ReLU6,
        "logistic": nn.Sigmoid,
        "swish": nn.SiLU,
        "mish": nn.Mish,
        "hard_mish": HardMish,
        "hardtan": nn.Hardtanh,
        "tanh": nn.Tanh,
        "elu": nn.ELU,
    }
    return factories[name]()


def make_convolution(in_channels: int, out_channels: int, kernel: int, **options: object) -> nn.Conv2d:
    """A convolution whose tensors are allocated but not filled."""
    # torch would fill the kernels with random numbers, half a second for a YOLOv3, only to be overwritten.
    make = nn.utils.skip_init
    layer: nn.Conv2d = make(nn.Conv2d, in_channels, out_channels, kernel, **options)  # type: ignore[no-untyped-call]
    return layer


def make_batch_norm(channels: int) -> nn.BatchNorm2d:
    """Batch normalisation with this project's constants."""
    norm = nn.BatchNorm2d(channels, eps=BATCH_NORM_EPSILON, momentum=BATCH_NORM_MOMENTUM)
    # Only read when momentum is None, and no file holds it.
    norm.register_buffer("num_batches_tracked", torch.tensor(0), persistent=False)
    return norm


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

    def forward(self, x: Features) -> Features:
        if self.is_narrow and self.training and not x.is_cuda:
            planes = self.activation(self.bn(self.conv(x).contiguous()))
            return planes.contiguous(memory_format=torch.channels_last)  # type: ignore[no-any-return]
        return self.activation(self.bn(self.conv(x)))  # type: ignore[no-any-return]


class MaxPoolLayer(nn.Module):
    """`[maxpool]`: pads `padding_px` in all, the smaller half on the left and top, never wins."""

    def __init__(self, section: MaxPool) -> None:
        super().__init__()
        self.kernel = section.kernel_px
        self.strides = section.strides
        self.padding = section.padding_px

    def forward(self, x: Features) -> Features:
        top, bottom = self._padding(x.shape[2], self.strides[0])
        left, right = self._padding(x.shape[3], self.strides[1])
        if top == bottom and left == right and max(top, left) * 2 <= self.kernel:
            return functional.max_pool2d(x, self.kernel, self.strides, padding=(top, left))
        padded = functional.pad(x, (left, right, top, bottom), value=-torch.inf)
        return functional.max_pool2d(padded, self.kernel, self.strides)

    def _padding(self, side: int, stride: int) -> tuple[int, int]:
        """Padding in front and behind, without the part behind that no window reaches.

        Dropping that part saves a copy of the map in every halving pool of yolov3-tiny.
        """
        before = self.padding // 2
        num_windows = (side + self.padding - self.kernel) // stride + 1
        reached = (num_windows - 1) * stride + self.kernel - before - side
        if 0 <= reached <= before and self._windows(side + 2 * before, stride) == num_windows:
            return before, before
        return before, max(0, reached)

    def _windows(self, padded_side: int, stride: int) -> int:
        return (padded_side - self.kernel) // stride + 1


class AvgPoolLayer(nn.Module):
    """`[avgpool]`: the mean of each channel over the whole picture, (N, C, 1, 1)."""

    def forward(self, x: Features) -> Features:
        return x.mean((2, 3), keepdim=True)


class UpsampleLayer(nn.Module):
    """`[upsample]`: nearest neighbour by a whole factor, times `scale`."""

    def __init__(self, section: Upsample) -> None:
        super().__init__()
        self.factor = float(section.stride)
        self.scale = section.scale

    def forward(self, x: Features) -> Features:
        larger = functional.interpolate(x, scale_factor=self.factor, mode="nearest")
        return larger if self.scale == 1.0 else larger * self.scale


class RouteLayer(nn.Module):
    """`[route]`: concatenates along the channels, or takes one part of each layer."""

    def __init__(self, section: Route) -> None:
        super().__init__()
        self.groups = section.groups
        self.group_id = section.group_id

    def forward(self, *inputs: Features) -> Features:
        parts = [self._part(x) for x in inputs]
        return parts[0] if len(parts) == 1 else torch.cat(parts, dim=1)

    def _part(self, x: Features) -> Features:
        if self.groups == 1:
            return x
        width = x.shape[1] // self.groups
        return x[:, self.group_id * width : (self.group_id + 1) * width]


class ShortcutLayer(nn.Module):
    """`[shortcut]`: adds to the layer in front the first min(c) channels of each named layer."""

    def __init__(self, section: Shortcut) -> None:
        super().__init__()
        self.activation = make_activation(section.activation)

    def forward(self, front: Features, *others: Features) -> Features:
        total = front
        for other in others:
            total = _add_shared_channels(total, other)
        return self.activation(total)  # type: ignore[no-any-return]


def _add_shared_channels(front: Features, other: Features) -> Features:
    width, other_width = front.shape[1], other.shape[1]
    if width == other_width:
        return front + other
    if width < other_width:
        return front + other[:, :width]
    return torch.cat([front[:, :other_width] + other, front[:, other_width:]], dim=1)


class MultiplyLayer(nn.Module):
    """`[scale_channels]` and `[sam]`: factors (N, C, 1, 1) or (N, C, H, W) times features."""

    def __init__(self, section: ScaleChannels | Sam) -> None:
        super().__init__()
        self.activation = make_activation(section.activation)

    def forward(self, factors: Features, features: Features) -> Features:
        return self.activation(features * factors)  # type: ignore[no-any-return]


class CbamLayer(nn.Module):
    """`[cbam]`: channel, then spatial attention (Woo et al., ECCV 2018).

    Channel gate: sigmoid of the sum of one shared MLP on the average and on the maximum of each channel.
    Spatial gate: sigmoid of a convolution over the mean and the maximum of the channels of the gated map.
    `join=scale` gives x·gates, `join=add` x + x·gates ("information reconstruction").
    """

    def __init__(self, section: Cbam, in_channels: int) -> None:
        super().__init__()
        self.squeeze = make_convolution(in_channels, section.hidden, 1)
        self.excite = make_convolution(section.hidden, in_channels, 1)
        self.spatial = make_convolution(2, 1, section.size, padding=section.size // 2, bias=False)
        self.adds = section.join == "add"
        self.floor = section.floor

    def forward(self, x: Features) -> Features:
        gated = x * self._channel_gate(x)
        gated = gated * self._spatial_gate(gated)
        return x + gated if self.adds else gated

    def _channel_gate(self, x: Features) -> Float[Tensor, "N C 1 1"]:
        mean, maximum = x.mean((2, 3), keepdim=True), x.amax((2, 3), keepdim=True)
        return torch.sigmoid(self._shared_mlp(mean) + self._shared_mlp(maximum))

    def _shared_mlp(self, pooled: Float[Tensor, "N C 1 1"]) -> Float[Tensor, "N C 1 1"]:
        return self.excite(functional.relu(self.squeeze(pooled)))  # type: ignore[no-any-return]

    def _spatial_gate(self, x: Features) -> Float[Tensor, "N 1 H W"]:
        maximum = x.amax(1, keepdim=True)
        if self.floor:
            maximum = maximum.clamp(min=0)
        maps = torch.cat([x.mean(1, keepdim=True), maximum], dim=1)
        return torch.sigmoid(self.spatial(maps))


def make_layer(section: Section, in_channels: Sequence[int]) -> nn.Module:
    """The module of any section but `[net]` and `[yolo]`.

    Args:
        section: the section.
        in_channels: channels of the layers it reads, in the order of `darknet.graph.inputs`.
    """
    factories: dict[type[Section], Callable[..., nn.Module]] = {
        Convolutional: lambda s: ConvolutionLayer(s, in_channels[0]),
        MaxPool: MaxPoolLayer,
        AvgPool: lambda _: AvgPoolLayer(),
        Upsample: UpsampleLayer,
        Dropout: lambda _: nn.Identity(),
        Route: RouteLayer,
        Shortcut: ShortcutLayer,
        ScaleChannels: MultiplyLayer,
        Sam: MultiplyLayer,
        Cbam: lambda s: CbamLayer(s, in_channels[0]),
    }
    return factories[type(section)](section)
