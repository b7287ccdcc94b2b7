"""Parameters and multiply-accumulates of a network, exactly, from its description alone.

MACs count convolutions only, as the literature does. Parameters are the numbers that training learns:
kernels, biases, and the scale and bias of batch normalisation, without its running statistics.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

from seyolo.darknet.cfg import Network
from seyolo.darknet.graph import IMAGE, Shape, inputs, shapes
from seyolo.darknet.weights import tensor_shapes
from seyolo.errors import counted


@dataclass(frozen=True)
class LayerCost:
    """One layer: its index and kind, learned parameters, MACs for one image, and its output."""

    index: int
    kind: str
    params: int
    macs: int
    shape: Shape


@dataclass(frozen=True, repr=False)
class Cost:
    """A network: learned parameters, MACs for one image, and the same per layer."""

    params: int
    macs: int
    layers: tuple[LayerCost, ...]

    def __repr__(self) -> str:
        return f"<Cost: {self.params:,} parameters, {self.macs:,} MACs, {counted(len(self.layers), 'layer')}>"


def cost(network: Network, height: int | None = None, width: int | None = None) -> Cost:
    """Returns the cost for an image of (`height`, `width`) pixels, by default the `[net]` size.

    Raises:
        CfgError: layers that do not fit, or an image size the network cannot take.

    Example:
        >>> seyolo.api.cost(seyolo.load("yolov3-tiny").network, 416, 416)
        <Cost: 8,852,366 parameters, 2,782,480,896 MACs, 24 layers>
    """
    tensor_shapes(network)  # refuses a network that is too large for any machine
    outputs = shapes(network, height, width)
    layers = []
    for index, (section, sources) in enumerate(zip(network.layers, inputs(network), strict=True)):
        read = network.net.channels if sources[0] == IMAGE else outputs[sources[0]].channels
        output = outputs[index]
        macs = section.price(read, output.size).total_macs(read, output.channels)
        tensors = section.tensor_shapes(read)
        params = sum(prod(shape) for name, shape in tensors.items() if "running" not in name)
        layers.append(LayerCost(index, section.kind, params, macs, output))
    return Cost(sum(layer.params for layer in layers), sum(layer.macs for layer in layers), tuple(layers))
