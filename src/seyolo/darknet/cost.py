"""Parameters and multiply-accumulates of a network, exactly, from its description alone.

MACs count the convolutions and nothing else, as the literature does. Parameters are what training learns:
kernels, biases and batch normalisation's scale and bias, not its running statistics.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

from seyolo.darknet.cfg import Network
from seyolo.darknet.graph import IMAGE, Shape, inputs, shapes
from seyolo.darknet.sections import Cbam, Convolutional, Section
from seyolo.darknet.weights import layer_tensor_shapes, tensor_shapes


@dataclass(frozen=True)
class LayerCost:
    """One layer: its index and kind, learned parameters, MACs for one image, and its output."""

    index: int
    kind: str
    params: int
    macs: int
    shape: Shape


@dataclass(frozen=True)
class Cost:
    """A network: learned parameters, MACs for one image, and the same per layer."""

    params: int
    macs: int
    layers: tuple[LayerCost, ...]


def cost(network: Network, height: int | None = None, width: int | None = None) -> Cost:
    """The cost for an image of (`height`, `width`) pixels, by default the `[net]` size.

    Raises:
        CfgError: wrong wiring, or an image size the network cannot take.
    """
    tensor_shapes(network)  # refuses what no machine could hold
    outputs = shapes(network, height, width)
    layers = []
    for index, (section, sources) in enumerate(zip(network.layers, inputs(network), strict=True)):
        read = network.net.channels if sources[0] == IMAGE else outputs[sources[0]].channels
        macs = _macs(section, read, outputs[index])
        layers.append(LayerCost(index, section.kind, _params(section, read), macs, outputs[index]))
    return Cost(sum(layer.params for layer in layers), sum(layer.macs for layer in layers), tuple(layers))


def _params(section: Section, in_channels: int) -> int:
    tensors = layer_tensor_shapes(section, in_channels)
    return sum(prod(shape) for name, shape in tensors.items() if "running" not in name)


def _macs(section: Section, in_channels: int, output: Shape) -> int:
    if isinstance(section, Convolutional):
        return prod(output) * (in_channels // section.groups) * section.size**2
    if isinstance(section, Cbam):
        shared_mlp = 2 * in_channels * section.hidden
        spatial = 2 * section.size**2 * output.height * output.width
        return 2 * shared_mlp + spatial  # the MLP runs on the average and on the maximum
    return 0
