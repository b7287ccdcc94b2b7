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

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from seyolo.darknet.cfg import Network
from seyolo.darknet.graph import IMAGE, inputs
from seyolo.darknet.sections import (
    Activation,
    Cbam,
    Convolutional,
    Detection,
    Implicit,
    MaxPool,
    Reorg,
    Reorg3d,
    Route,
    Sam,
    ScaleChannels,
    Section,
    Shortcut,
    Upsample,
)
from seyolo.pruning.groups.atoms import BoolArray, is_depthwise
from seyolo.pruning.importance.importance import FloatArray
from seyolo.pruning.importance.weights import State
from seyolo.torchnet.activations import make_activation
from seyolo.torchnet.layers import shortcut_shares


def constants_of(network: Network, state: State, masks: Sequence[BoolArray]) -> tuple[FloatArray, ...]:
    """Returns per layer (C,) the constant value of each removed channel; 0 for kept and for varying channels.

    Args:
        network: the dense network.
        state: its tensors. The scale of a removed channel counts as zero, whatever it is.
        masks: per layer (C,): True for the channels to keep.
    """
    constants: list[FloatArray] = []
    for index, (section, sources) in enumerate(zip(network.layers, inputs(network), strict=True)):
        read = [
            np.zeros(network.net.channels) if source == IMAGE else constants[source] for source in sources
        ]
        if isinstance(section, Convolutional):
            constant = _of_convolution(section, state, index)
        else:
            constant = _passed_on(section, read, state.get(f"layers.{index}.weights"))
        constants.append(np.where(masks[index], 0.0, constant))
    return tuple(constants)


def fold_constants(network: Network, state: State, masks: Sequence[BoolArray]) -> dict[str, NDArray[Any]]:
    """Returns the dense tensors with the constants of removed channels in running means and biases.

    Tensors that do not change are not copied.
    """
    constants = constants_of(network, state, masks)
    result = dict(state)
    for index, (section, sources) in enumerate(zip(network.layers, inputs(network), strict=True)):
        if sources[0] == IMAGE or not constants[sources[0]].any():
            continue
        constant, prefix = constants[sources[0]], f"layers.{index}."
        if isinstance(section, Convolutional) and not is_depthwise(section, len(constant)):
            added = _response(state[prefix + "conv.weight"], constant, section.groups)
            if section.batch_normalize:
                _add(result, prefix + "bn.running_mean", -added)
            else:
                _add(result, prefix + "conv.bias", added)
        elif isinstance(section, Cbam):
            # Both pooled vectors hold the constant itself, so its fold into the shared squeeze is exact.
            _add(result, prefix + "squeeze.bias", _response(state[prefix + "squeeze.weight"], constant, 1))
    return result


def _add(tensors: dict[str, NDArray[Any]], name: str, added: FloatArray) -> None:
    tensors[name] = (tensors[name] + added).astype(tensors[name].dtype)


def _response(kernel: NDArray[Any], constant: FloatArray, groups: int) -> FloatArray:
    """Returns (out,) the response of a convolution to (in,) constant channels, away from the border."""
    parts = zip(np.split(kernel, groups), np.split(constant, groups), strict=True)
    answers = [
        part.reshape(len(part), -1) @ np.repeat(values, part.shape[2] * part.shape[3]).astype(part.dtype)
        for part, values in parts
    ]
    return np.concatenate(answers).astype(np.float64)


def _of_convolution(section: Convolutional, state: State, index: int) -> FloatArray:
    if not section.batch_normalize:
        return np.zeros(section.filters)  # without a scale that could be zero, it depends on the image
    return activate(section.activation, state[f"layers.{index}.bn.bias"].astype(np.float64))


def _passed_on(section: Section, read: Sequence[FloatArray], weights: NDArray[Any] | None) -> FloatArray:
    if isinstance(section, Shortcut):
        return activate(section.activation, _total(section, read, weights))
    if isinstance(section, Implicit):
        return np.zeros(section.filters)
    if isinstance(section, ScaleChannels | Sam | Cbam | Detection):
        return np.zeros_like(read[-1])
    return _rearranged(section, read)


def _rearranged(section: Section, read: Sequence[FloatArray]) -> FloatArray:
    """The constants where the section puts their channels."""
    if isinstance(section, Route):
        parts = [np.split(vector, section.groups)[section.group_id] for vector in read]
        return np.concatenate(parts)
    if isinstance(section, Reorg | Reorg3d):
        return np.tile(read[0], section.stride**2)
    if isinstance(section, MaxPool) and section.maxpool_depth:
        return np.zeros(section.out_channels)
    return read[0] * section.scale if isinstance(section, Upsample) else read[0]


def _total(section: Shortcut, read: Sequence[FloatArray], weights: NDArray[Any] | None) -> FloatArray:
    if weights is None:
        shares = np.ones((len(read), 1))
    else:
        values = torch.from_numpy(weights.astype(np.float64))
        shares = shortcut_shares(values, section.weights_normalization).numpy().reshape(len(read), -1)
    total = np.zeros_like(read[0])
    for vector, share in zip(read, shares, strict=True):
        width = min(len(total), len(vector))
        total[:width] += vector[:width] * share[:width]
    return total


def activate(name: Activation, x: FloatArray) -> FloatArray:
    """Applies an activation function of Darknet to a numpy array."""
    result: FloatArray = make_activation(name)(torch.from_numpy(x.copy())).numpy()
    return result
