"""Torch layers of `[scale_channels]`, `[sam]` and `[cbam]`."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from seyolo.darknet.sections import Cbam, Sam, ScaleChannels
from seyolo.torchnet.activations import make_activation
from seyolo.torchnet.layers.convolution import Features, LayerTable, make_convolution


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


LAYERS: LayerTable = {
    ScaleChannels: lambda section, _: MultiplyLayer(section),
    Sam: lambda section, _: MultiplyLayer(section),
    Cbam: lambda section, widths: CbamLayer(section, widths[0]),
}
