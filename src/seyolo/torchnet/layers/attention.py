"""Torch layers of gates: `[scale_channels]`, `[sam]`, `[cbam]`, `[eca]`, `[coordatt]` and `[simam]`."""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional

from seyolo.darknet.constants import SIMAM_LAMBDA
from seyolo.darknet.sections import Cbam, CoordAtt, Eca, OwnGate, Sam, ScaleChannels, SimAm
from seyolo.torchnet.activations import make_activation
from seyolo.torchnet.layers.convolution import Features, LayerTable, make_batch_norm, make_convolution


class MultiplyLayer(nn.Module):
    """`[scale_channels]` and `[sam]`: factors (N, C, 1, 1), (N, 1, H, W) or (N, C, H, W) times features."""

    def __init__(self, section: ScaleChannels | Sam) -> None:
        super().__init__()
        self.activation = make_activation(section.activation)

    def forward(self, factors: Features, features: Features) -> Features:
        return self.activation(features * factors)  # type: ignore[no-any-return]


class CbamLayer(nn.Module):
    """`[cbam]`: channel, then spatial attention (Woo et al., ECCV 2018).

    `join=scale` gives x·gates, `join=add` x + x·gates ("information reconstruction").
    """

    def __init__(self, section: Cbam, in_channels: int) -> None:
        super().__init__()
        self.squeeze = make_convolution(in_channels, section.hidden, 1)
        self.excite = make_convolution(section.hidden, in_channels, 1)
        self.spatial = make_convolution(2, 1, section.size, padding=section.size // 2, bias=False)
        self.adds = section.join == "add"
        self.floor = section.floor

    def last_kernels(self) -> list[Tensor]:
        """Returns the kernels that are zero in a fresh gate."""
        return [self.excite.weight, self.spatial.weight]

    def forward(self, x: Features) -> Features:
        gated = x * self._channel_gate(x)
        gated = gated * self._spatial_gate(gated)
        return x + gated if self.adds else gated

    def _channel_gate(self, x: Features) -> Float[Tensor, "N C 1 1"]:
        # Equation 2: σ(MLP(average) + MLP(maximum)) over the pixels of each channel, with one shared MLP.
        mean, maximum = x.mean((2, 3), keepdim=True), x.amax((2, 3), keepdim=True)
        return torch.sigmoid(self._shared_mlp(mean) + self._shared_mlp(maximum))

    def _shared_mlp(self, pooled: Float[Tensor, "N C 1 1"]) -> Float[Tensor, "N C 1 1"]:
        return self.excite(functional.relu(self.squeeze(pooled)))  # type: ignore[no-any-return]

    def _spatial_gate(self, x: Features) -> Float[Tensor, "N 1 H W"]:
        # Equation 3: σ(conv([average; maximum])) over the channels of each pixel.
        maximum = x.amax(1, keepdim=True)
        if self.floor:
            maximum = maximum.clamp(min=0)
        maps = torch.cat([x.mean(1, keepdim=True), maximum], dim=1)
        return torch.sigmoid(self.spatial(maps))


class GateLayer(nn.Module, ABC):
    """A gate that Darknet does not have, see `OwnGate`."""

    def __init__(self, section: OwnGate) -> None:
        super().__init__()
        self.gain, self.added = section.gain, float(section.join == "add")

    @abstractmethod
    def gate(self, x: Features) -> Features:
        """Returns the factors, which broadcast over the features."""

    def last_kernels(self) -> list[Tensor]:
        """Returns the kernels that are zero in a fresh gate."""
        return []

    def forward(self, x: Features) -> Features:
        return x * (self.gain * (self.gate(x) + self.added))


class EcaLayer(GateLayer):
    """`[eca]`: Efficient Channel Attention (Wang et al., CVPR 2020)."""

    positions: Int[Tensor, " C"]

    def __init__(self, section: Eca, in_channels: int) -> None:
        super().__init__(section)
        size, places = section.size, section.places(in_channels)
        self.conv = make_convolution(1, 1, (size, 1), padding=(size // 2, 0), bias=False)
        self.register_buffer("positions", torch.tensor(places), persistent=False)
        self.extent = places[-1] + 1

    def last_kernels(self) -> list[Tensor]:
        return [self.conv.weight]

    def gate(self, x: Features) -> Float[Tensor, "N C 1 1"]:
        means = x.mean((2, 3))
        line = means.new_zeros(len(x), self.extent).index_copy(1, self.positions, means)
        logits = self.conv(line[:, None, :, None])[:, 0, self.positions]  # pruned channels count as zero
        return torch.sigmoid(logits)[..., None]


class CoordAttLayer(GateLayer):
    """`[coordatt]`: Coordinate Attention (Hou et al., CVPR 2021)."""

    def __init__(self, section: CoordAtt, in_channels: int) -> None:
        super().__init__(section)
        normalises = bool(section.batch_normalize)
        self.conv = make_convolution(in_channels, section.hidden, 1, bias=not normalises)
        self.bn = make_batch_norm(section.hidden) if normalises else nn.Identity()
        self.rows, self.columns = (make_convolution(section.hidden, in_channels, 1) for _ in range(2))

    def last_kernels(self) -> list[Tensor]:
        return [self.rows.weight, self.columns.weight]

    def gate(self, x: Features) -> Features:
        # Equations 6 and 7: means of rows and of columns, one behind the other, share a convolution.
        means = torch.cat([x.mean(3, keepdim=True), x.mean(2, keepdim=True).transpose(2, 3)], dim=2)
        hidden = functional.hardswish(self.bn(self.conv(means)))
        rows, columns = torch.split(hidden, [x.shape[2], x.shape[3]], dim=2)
        return torch.sigmoid(self.rows(rows)) * torch.sigmoid(self.columns(columns.transpose(2, 3)))


class SimAmLayer(GateLayer):
    """`[simam]`: SimAM (Yang et al., ICML 2021); its energy as in the appendix of the paper."""

    def gate(self, x: Features) -> Features:
        squares = (x - x.mean((2, 3), keepdim=True)).square()
        num_others = max(1, x.shape[2] * x.shape[3] - 1)
        variance = squares.sum((2, 3), keepdim=True) / num_others
        return torch.sigmoid(squares / (4 * (variance + SIMAM_LAMBDA)) + 0.5)


LAYERS: LayerTable = {
    ScaleChannels: lambda section, _: MultiplyLayer(section),
    Sam: lambda section, _: MultiplyLayer(section),
    Cbam: lambda section, widths: CbamLayer(section, widths[0]),
    Eca: lambda section, widths: EcaLayer(section, widths[0]),
    CoordAtt: lambda section, widths: CoordAttLayer(section, widths[0]),
    SimAm: lambda section, _: SimAmLayer(section),
}
