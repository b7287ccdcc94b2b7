"""Torch layers: one small module per section, with the same results as AlexeyAB's Darknet.

Every module is made from its section and the channel counts of the layers it reads, and is called with those
layers' outputs, each (N, C, H, W). Convolutions and batch normalisation are plain `nn.Conv2d` and
`nn.BatchNorm2d` modules named `conv` and `bn`, so that state names are those of `Section.tensor_shapes`.
Tensors are left uninitialised here: `torchnet.build` fills them. A layer with parameters of its own has
`reset_parameters`.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import nn

from seyolo.darknet.sections import Region, Section, Yolo
from seyolo.torchnet.head import RegionHead, YoloHead
from seyolo.torchnet.layers import attention, convolution, joining, pooling, resampling
from seyolo.torchnet.layers.attention import CbamLayer, GateLayer
from seyolo.torchnet.layers.convolution import ConvolutionLayer, LayerTable

LAYERS: LayerTable = {
    **convolution.LAYERS,
    **pooling.LAYERS,
    **resampling.LAYERS,
    **joining.LAYERS,
    **attention.LAYERS,
    Yolo: lambda section, _: YoloHead(section),
    Region: lambda section, _: RegionHead(section),
}
"""How to make the module of each section."""

__all__ = ["LAYERS", "CbamLayer", "ConvolutionLayer", "GateLayer", "make_layer"]


def make_layer(section: Section, in_channels: Sequence[int]) -> nn.Module:
    """Returns the module of a section; `in_channels` are those of the layers it reads, in that order."""
    return LAYERS[type(section)](section, in_channels)
