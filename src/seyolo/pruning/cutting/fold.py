"""Folding of the constant output of removed channels into the bias of the next layer.

A channel whose batch-normalisation scale is zero has the value act(β) at every pixel. Folding restores that
constant for the layers that read it: the sum of kernel x constant of a convolution is subtracted from its
running mean (or added to its bias). Constants pass through pooling, upsampling, reorganisation, concatenation
and shortcuts; behind a gate (`[scale_channels]`, `[sam]`, `[cbam]`) they depend on the image and count as
zero. Folding is exact inside the image and for unpadded kernels; at a zero-padded border the dense network
adds less, so folding is approximate there. Behind a `[reorg]` of stride s it is exact where the height in
front is a multiple of s²; elsewhere some cells hold the constant of a neighbouring channel.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from seyolo.checkpoint import State
from seyolo.darknet.cfg import Network
from seyolo.darknet.graph import IMAGE, inputs
from seyolo.darknet.sections import Activation, WeightsNormalization
from seyolo.darknet.weights import tensors_per_layer
from seyolo.pruning.groups.atoms import BoolArray
from seyolo.pruning.groups.rules import RULES
from seyolo.pruning.groups.rules.base import Layer, Tensors
from seyolo.pruning.importance.importance import FloatArray
from seyolo.torchnet.activations import make_activation
from seyolo.torchnet.layers import shortcut_shares


def constants_of(network: Network, state: State, masks: Sequence[BoolArray]) -> tuple[FloatArray, ...]:
    """Returns, per layer, the (C,) constants of the removed channels; 0 for kept ones and without a constant.

    The scale of a removed channel counts as zero, whatever its value. `masks` are True for the kept channels.
    """
    constants: list[FloatArray] = []
    layers = zip(network.layers, inputs(network), _tensors_of(network, state), strict=True)
    for index, (section, sources, tensors) in enumerate(layers):
        read = [
            np.zeros(network.net.channels) if source == IMAGE else constants[source] for source in sources
        ]
        functions = Layer(tensors, activate, _shares)
        constant = RULES[type(section)].constants(section, read, functions)
        constants.append(np.where(masks[index], 0.0, constant))
    return tuple(constants)


def fold_constants(network: Network, state: State, masks: Sequence[BoolArray]) -> State:
    """Returns the dense tensors, with running means and biases that add the removed channels' constants.

    Tensors that do not change are passed on, not copied.
    """
    constants = constants_of(network, state, masks)
    result: State = dict(state)
    layers = zip(network.layers, inputs(network), _tensors_of(network, state), strict=True)
    for index, (section, sources, tensors) in enumerate(layers):
        if sources[0] != IMAGE and constants[sources[0]].any():
            changed = RULES[type(section)].absorb(section, tensors, constants[sources[0]])
            result |= {f"layers.{index}.{name}": tensor for name, tensor in changed.items()}
    return result


def _tensors_of(network: Network, state: State) -> Iterator[Tensors]:
    for index, names in enumerate(tensors_per_layer(network)):
        yield {name: state[f"layers.{index}.{name}"] for name in names}


def activate(name: Activation, x: FloatArray) -> FloatArray:
    """Returns Darknet's activation of a numpy array."""
    result: FloatArray = make_activation(name)(torch.from_numpy(x.copy())).numpy()
    return result


def _shares(weights: NDArray[Any], normalization: WeightsNormalization) -> FloatArray:
    shares: FloatArray = shortcut_shares(torch.from_numpy(weights.astype(np.float64)), normalization).numpy()
    return shares
