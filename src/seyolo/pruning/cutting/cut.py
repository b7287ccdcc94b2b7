"""The cut: removes residual blocks, folds constants, slices off channels.

Kernels lose rows and columns, vectors lose entries, nothing is retrained. The slim network computes exactly
what the dense one computes when its removed channels are set to zero behind every layer.

A channel whose batch-normalisation scale is zero has the value act(β) at every pixel. Folding restores that
constant for the layers that read it: the sum of kernel x constant of a convolution is subtracted from its
running mean (or added to its bias). Constants pass through pooling, upsampling, reorganisation, routes,
shortcuts and `[simam]`; behind the other gates they depend on the image and count as zero, and so do those
that an `[eca]` reads, which has no bias. Folding is exact inside the image and for unpadded kernels; at a
zero-padded border the dense network adds less, so folding is approximate there. Behind a `[reorg]` of stride
s it is exact where the height in front is a multiple of s²; elsewhere some cells hold the constant of a
neighbouring channel.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
import torch

from seyolo.checkpoint import Checkpoint, State
from seyolo.darknet.cfg import Network
from seyolo.darknet.edit import moved_state, remove_blocks
from seyolo.darknet.graph import IMAGE, inputs
from seyolo.darknet.sections import Activation, Section
from seyolo.darknet.weights import tensors_per_layer
from seyolo.errors import PlanError
from seyolo.pruning.groups.atoms import BoolArray, FloatArray
from seyolo.pruning.groups.rules import RULES
from seyolo.pruning.groups.rules.base import Layer, Tensors
from seyolo.torchnet.activations import make_activation
from seyolo.translation.joining import shortcut_shares


def cut(dense: Checkpoint, masks: Sequence[BoolArray], blocks_removed: Sequence[int]) -> Checkpoint:
    """Returns the pruned network and its tensors; names and provenance are those of `dense`.

    `masks` are per layer (C,) True for the output channels to keep, consistent over all ties, and
    `blocks_removed` the shortcuts whose whole residual block is removed.
    """
    shorter, layer_map = remove_blocks(dense.network, blocks_removed)
    kept = [mask for mask, new in zip(masks, layer_map, strict=True) if new is not None]
    folded = fold_constants(shorter, moved_state(dense.state, layer_map), kept)
    network, state = slice_network(shorter, folded, kept)
    return replace(dense, network=network, state=state)


def slice_network(network: Network, state: State, masks: Sequence[BoolArray]) -> tuple[Network, State]:
    """Returns the slim network and its tensors, which share no memory with the input; `masks` as in `cut`."""
    layers: list[Section] = []
    tensors: State = {}
    for index, section, sources, own in _layers_of(network, state):
        if not masks[index].any():
            raise PlanError(f"layer {index} would lose all of its channels ({len(masks[index])})")
        read = np.ones(network.net.channels, dtype=bool) if sources[0] == IMAGE else masks[sources[0]]
        slim, sliced = RULES[type(section)].cut(section, own, read, masks[index])
        layers.append(slim)
        tensors |= {f"layers.{index}.{name}": np.array(array, order="C") for name, array in sliced.items()}
    return replace(network, layers=tuple(layers)), tensors


def constants_of(network: Network, state: State, masks: Sequence[BoolArray]) -> tuple[FloatArray, ...]:
    """Returns, per layer, the (C,) constants of the removed channels; 0 for kept ones and without a constant.

    The scale of a removed channel counts as zero, whatever its value. `masks` are True for the kept channels.
    """
    constants: list[FloatArray] = []
    image = np.zeros(network.net.channels)
    for index, section, sources, tensors in _layers_of(network, state):
        read = [image if source == IMAGE else constants[source] for source in sources]
        constant = RULES[type(section)].constants(section, read, Layer(tensors, activate, shortcut_shares))
        constants.append(np.where(masks[index], 0.0, constant))
    return tuple(constants)


def fold_constants(network: Network, state: State, masks: Sequence[BoolArray]) -> State:
    """Returns the dense tensors, with running means and biases that add the removed channels' constants.

    Tensors that do not change are passed on, not copied.
    """
    constants = constants_of(network, state, masks)
    result: State = dict(state)
    for index, section, sources, tensors in _layers_of(network, state):
        if sources[0] != IMAGE and constants[sources[0]].any():
            changed = RULES[type(section)].absorb(section, tensors, constants[sources[0]])
            result |= {f"layers.{index}.{name}": tensor for name, tensor in changed.items()}
    return result


def _layers_of(network: Network, state: State) -> Iterator[tuple[int, Section, Sequence[int], Tensors]]:
    """Yields the index, section, sources and tensors of every layer."""
    rows = zip(network.layers, inputs(network), tensors_per_layer(network), strict=True)
    for index, (section, sources, names) in enumerate(rows):
        yield index, section, sources, {name: state[f"layers.{index}.{name}"] for name in names}


def activate(name: Activation, x: FloatArray) -> FloatArray:
    """Returns Darknet's activation of a numpy array."""
    result: FloatArray = make_activation(name)(torch.from_numpy(x.copy())).numpy()
    return result
