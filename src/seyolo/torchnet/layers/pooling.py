"""Torch layers of `[maxpool]`, `[local_avgpool]` and `[avgpool]`."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

from seyolo.darknet.sections import AvgPool, LocalAvgPool, MaxPool
from seyolo.torchnet.layers.convolution import Features, LayerTable


class _PoolLayer(nn.Module):
    """A sliding window; pads `padding` pixels in all, the smaller half on the left and top."""

    def __init__(self, section: MaxPool | LocalAvgPool) -> None:
        super().__init__()
        self.kernel = section.kernel_px
        self.strides = section.strides
        self.padding = section.padding_px


class MaxPoolLayer(_PoolLayer):
    """`[maxpool]`: the largest number in a window, padded with -inf."""

    def forward(self, x: Features) -> Features:
        top, bottom = self._padding(x.shape[2], self.strides[0])
        left, right = self._padding(x.shape[3], self.strides[1])
        if top == bottom and left == right and max(top, left) * 2 <= self.kernel:
            return functional.max_pool2d(x, self.kernel, self.strides, padding=(top, left))
        padded = functional.pad(x, (left, right, top, bottom), value=-torch.inf)
        return functional.max_pool2d(padded, self.kernel, self.strides)

    def _padding(self, side: int, stride: int) -> tuple[int, int]:
        """Returns the padding in front and behind, without the part behind that no window reaches.

        Dropping that part saves a copy of the map in every halving pool of yolov3-tiny.
        """
        before = self.padding // 2
        num_windows = (side + self.padding - self.kernel) // stride + 1
        reached = (num_windows - 1) * stride + self.kernel - before - side
        num_symmetric = (side + 2 * before - self.kernel) // stride + 1
        if 0 <= reached <= before and num_symmetric == num_windows:
            return before, before
        return before, max(0, reached)


class MaxOverChannelsLayer(nn.Module):
    """`[maxpool] maxpool_depth=1`: output channel g is the largest of the channels g, g + C', g + 2·C', …"""

    def __init__(self, section: MaxPool) -> None:
        super().__init__()
        self.out_channels = section.out_channels

    def forward(self, x: Features) -> Features:
        return torch.unflatten(x, 1, (-1, self.out_channels)).amax(1)


class LocalAvgPoolLayer(_PoolLayer):
    """`[local_avgpool]`: the mean over the part of the window that lies inside."""

    def forward(self, x: Features) -> Features:
        before = self.padding // 2
        pads = (before, self.padding - before) * 2
        sums = functional.avg_pool2d(functional.pad(x, pads), self.kernel, self.strides)
        inside = functional.pad(torch.ones_like(x[:1, :1]), pads)
        return sums / functional.avg_pool2d(inside, self.kernel, self.strides)


class AvgPoolLayer(nn.Module):
    """`[avgpool]`: the mean of each channel over the whole image, (N, C, 1, 1)."""

    def forward(self, x: Features) -> Features:
        return x.mean((2, 3), keepdim=True)


LAYERS: LayerTable = {
    MaxPool: lambda section, _: (MaxOverChannelsLayer if section.maxpool_depth else MaxPoolLayer)(section),
    LocalAvgPool: lambda section, _: LocalAvgPoolLayer(section),
    AvgPool: lambda _, __: AvgPoolLayer(),
}
