"""Torch layers of `[upsample]`, `[reorg]` and `[reorg3d]`."""

from __future__ import annotations

from torch import nn
from torch.nn import functional

from seyolo.darknet.sections import Reorg, Reorg3d, Upsample
from seyolo.torchnet.layers.convolution import Features, LayerTable


class UpsampleLayer(nn.Module):
    """`[upsample]`: nearest neighbour by a whole factor, times `scale`."""

    def __init__(self, section: Upsample) -> None:
        super().__init__()
        self.factor = float(section.stride)
        self.scale = section.scale

    def forward(self, x: Features) -> Features:
        larger = functional.interpolate(x, scale_factor=self.factor, mode="nearest")
        return larger if self.scale == 1.0 else larger * self.scale


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


class Reorg3dLayer(nn.Module):
    """`[reorg3d]`: space to depth; output channel (y·s + x)·C + c is pixel (y, x) of each s x s block."""

    def __init__(self, section: Reorg3d) -> None:
        super().__init__()
        self.stride = section.stride

    def forward(self, x: Features) -> Features:
        return space_to_depth(x, self.stride)


def space_to_depth(x: Features, step: int) -> Features:
    """Rearranges (N, C, H, W) to (N, s²·C, H / s, W / s), with the position in the block outermost."""
    num, channels, height, width = x.shape
    blocks = x.reshape(num, channels, height // step, step, width // step, step)
    outermost = blocks.permute(0, 3, 5, 1, 2, 4)
    return outermost.reshape(num, channels * step**2, height // step, width // step)


LAYERS: LayerTable = {
    Upsample: lambda section, _: UpsampleLayer(section),
    Reorg: lambda section, _: ReorgLayer(section),
    Reorg3d: lambda section, _: Reorg3dLayer(section),
}
