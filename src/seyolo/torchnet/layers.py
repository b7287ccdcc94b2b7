"""One small torch module per Darknet section, computing what AlexeyAB's Darknet computes.

Every module is made from its section and the channel counts of the layers it reads, and is called with those
layers' outputs, each (N, C, H, W). Parameters sit in plain `nn.Conv2d` and `nn.BatchNorm2d` modules named
`conv` and `bn`, so that state names are those of `darknet.weights.tensor_shapes`. Kernels are left
uninitialised here: `network.build` owns initialisation.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from seyolo.darknet.sections import (
    AvgPool,
    Cbam,
    Convolutional,
    Dropout,
    Implicit,
    LocalAvgPool,
    MaxPool,
    Reorg,
    Reorg3d,
    Route,
    Sam,
    ScaleChannels,
    Section,
    Shortcut,
    Upsample,
    WeightsNormalization,
)
from seyolo.torchnet.activations import make_activation

SHORTCUT_EPSILON = 1e-4
"""Added to the sum of a shortcut's weights before it divides them, as Darknet does."""
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


class FromPlanes(torch.autograd.Function):
    """Contiguous planes to channels-last memory, and the gradient back to planes.

    torch would leave the gradient channels-last, and the activation's backward pass, which walks both, would
    take ten times as long.
    """

    @staticmethod
    def forward(ctx: Any, x: Features) -> Features:
        del ctx
        return x.contiguous(memory_format=torch.channels_last)

    @staticmethod
    def backward(ctx: Any, *gradients: Features) -> Features:
        del ctx
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

    def forward(self, x: Features) -> Features:
        if self.is_narrow and self.training and not x.is_cuda:
            planes = self.activation(self.bn(self.conv(x).contiguous()))
            return FromPlanes.apply(planes)  # type: ignore[no-any-return, no-untyped-call]
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


class MaxOverChannelsLayer(nn.Module):
    """`[maxpool] maxpool_depth=1`: output channel g is the largest of the channels g, g + C', g + 2·C', …"""

    def __init__(self, section: MaxPool) -> None:
        super().__init__()
        self.out_channels = section.out_channels

    def forward(self, x: Features) -> Features:
        return torch.unflatten(x, 1, (-1, self.out_channels)).amax(1)


class LocalAvgPoolLayer(nn.Module):
    """`[local_avgpool]`: the mean over the part of the window that lies inside."""

    def __init__(self, section: LocalAvgPool) -> None:
        super().__init__()
        self.kernel = section.kernel_px
        self.strides = section.strides
        self.padding = section.padding_px

    def forward(self, x: Features) -> Features:
        before = self.padding // 2
        pads = (before, self.padding - before) * 2
        inside = functional.pad(torch.ones_like(x[:1, :1]), pads)
        sums, shares = (
            functional.avg_pool2d(values, self.kernel, self.strides)
            for values in (functional.pad(x, pads), inside)
        )
        return sums / shares


class Reorg3dLayer(nn.Module):
    """`[reorg3d]`: space to depth; output channel (y·s + x)·C + c is pixel (y, x) of each s x s block."""

    def __init__(self, section: Reorg3d) -> None:
        super().__init__()
        self.stride = section.stride

    def forward(self, x: Features) -> Features:
        return space_to_depth(x, self.stride)


class ReorgLayer(nn.Module):
    """`[reorg]`: C channels are read as C / s² channels s times as wide and high, then space to depth."""

    def __init__(self, section: Reorg) -> None:
        super().__init__()
        self.stride = section.stride

    def forward(self, x: Features) -> Features:
        num, channels, height, width = x.shape
        step = self.stride
        spread = x.reshape(num, channels // step**2, height * step, width * step)
        mixed = space_to_depth(spread, step)
        return mixed.reshape(num, channels * step**2, height // step, width // step)


def space_to_depth(x: Features, step: int) -> Features:
    """(N, C, H, W) -> (N, s²·C, H / s, W / s), the position in the block outermost among the channels."""
    num, channels, height, width = x.shape
    blocks = x.reshape(num, channels, height // step, step, width // step, step)
    outermost = blocks.permute(0, 3, 5, 1, 2, 4)
    return outermost.reshape(num, channels * step**2, height // step, width // step)


class ImplicitLayer(nn.Module):
    """`[implicit]`: learned constants (1, C, 1, 1), whatever it is given."""

    def __init__(self, section: Implicit) -> None:
        super().__init__()
        self.mean = section.mean
        self.weights = nn.Parameter(torch.empty(section.filters))

    def forward(self, _: Features) -> Features:
        return self.weights[None, :, None, None]


class AvgPoolLayer(nn.Module):
    """`[avgpool]`: the mean of each channel over the whole image, (N, C, 1, 1)."""

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


class WeightedShortcutLayer(ShortcutLayer):
    """`[shortcut]` with `weights_type`: each added layer times its weight, one in all or one per channel."""

    def __init__(self, section: Shortcut, in_channels: int) -> None:
        super().__init__(section)
        per_channel = section.weights_type == "per_channel"
        shape = (section.num_inputs, in_channels) if per_channel else (section.num_inputs,)
        self.weights = nn.Parameter(torch.empty(shape))
        self.normalization = section.weights_normalization

    def forward(self, front: Features, *others: Features) -> Features:
        width = front.shape[1]
        shares = shortcut_shares(self.weights, self.normalization)
        weighted = [
            x[:, :width] * share.reshape(-1, 1, 1)[: x.shape[1]]
            for x, share in zip((front, *others), shares, strict=True)
        ]
        return super().forward(*weighted)


def shortcut_shares(weights: Tensor, normalization: WeightsNormalization) -> Tensor:
    """What each input of a weighted shortcut is multiplied by: (inputs,) or (inputs, channels)."""
    if normalization == "none":
        return weights
    if normalization == "softmax":
        positive = torch.exp(weights - weights.amax(0, keepdim=True))
    else:
        positive = torch.relu(weights)
    return positive / (positive.sum(0, keepdim=True) + SHORTCUT_EPSILON)


def _add_shared_channels(front: Features, other: Features) -> Features:
    width, other_width = front.shape[1], other.shape[1]
    if width == other_width:
        return front + other
    if width < other_width:
        return front + other[:, :width]
    return torch.cat([front[:, :other_width] + other, front[:, other_width:]], dim=1)


class MultiplyLayer(nn.Module):
    """`[scale_channels]` and `[sam]`: factors (N, C, 1, 1), (N, 1, H, W) or (N, C, H, W) times features."""

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
    """The module of any section but `[net]` and the detections.

    Args:
        section: the section.
        in_channels: channels of the layers it reads, in the order of `darknet.graph.inputs`.
    """
    factories: dict[type[Section], Callable[..., nn.Module]] = {
        Convolutional: lambda s: ConvolutionLayer(s, in_channels[0]),
        MaxPool: lambda s: MaxOverChannelsLayer(s) if s.maxpool_depth else MaxPoolLayer(s),
        LocalAvgPool: LocalAvgPoolLayer,
        Reorg: ReorgLayer,
        Reorg3d: Reorg3dLayer,
        Implicit: ImplicitLayer,
        AvgPool: lambda _: AvgPoolLayer(),
        Upsample: UpsampleLayer,
        Dropout: lambda _: nn.Identity(),
        Route: RouteLayer,
        Shortcut: lambda s: (
            ShortcutLayer(s) if s.weights_type == "none" else WeightedShortcutLayer(s, in_channels[0])
        ),
        ScaleChannels: MultiplyLayer,
        Sam: MultiplyLayer,
        Cbam: lambda s: CbamLayer(s, in_channels[0]),
    }
    return factories[type(section)](section)
