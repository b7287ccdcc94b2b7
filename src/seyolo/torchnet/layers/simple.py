"""Torch layers of `[dropout]` and `[implicit]`."""

from __future__ import annotations

import torch
from torch import nn

from seyolo.darknet.sections import Dropout, Implicit
from seyolo.torchnet.layers.convolution import Features, LayerTable


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
    Dropout: lambda _, __: nn.Identity(),
    Implicit: lambda section, _: ImplicitLayer(section),
}
