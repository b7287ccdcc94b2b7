"""What a removed channel still says when it always says the same: folding constants into the next layer.

A channel whose batch-normalisation scale is zero puts out act(β) at every pixel. Cutting it takes that
constant from everyone who reads it; folding gives it back: a convolution's sum of kernel x constant goes
into its running mean (or its bias). Constants travel through pooling, upsampling, concatenation and
shortcuts; behind a gate (`[scale_channels]`, `[sam]`, `[cbam]`) they depend on the picture and count as
zero. Exact inside the picture and for unpadded kernels; at a zero-padded border the dense network adds
less, so there it is approximate.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seyolo.darknet.cfg import Network
from seyolo.darknet.graph import PICTURE, inputs
from seyolo.darknet.sections import (
    Activation,
    Cbam,
    Convolutional,
    Route,
    Sam,
    ScaleChannels,
    Section,
    Shortcut,
    Upsample,
    Yolo,
)
from seyolo.pruning.atoms import BoolArray, is_depthwise
from seyolo.pruning.importance import FloatArray, State


def constants_of(network: Network, state: State, masks: Sequence[BoolArray]) -> tuple[FloatArray, ...]:
    """Per layer (C,): the constant each removed channel puts out; 0 for kept ones and where there is none.

    Args:
        network: the dense network.
        state: its tensors. The scale of a removed channel counts as zero, whatever it is.
        masks: per layer (C,): True for the channels that stay.
    """
    constants: list[FloatArray] = []
    for index, (section, sources) in enumerate(zip(network.layers, inputs(network), strict=True)):
        read = [
            np.zeros(network.net.channels) if source == PICTURE else constants[source] for source in sources
        ]
        if isinstance(section, Convolutional):
            constant = _of_convolution(section, state, index)
        else:
            constant = _passed_on(section, read)
        constants.append(np.where(masks[index], 0.0, constant))
    return tuple(constants)


def fold_constants(network: Network, state: State, masks: Sequence[BoolArray]) -> dict[str, NDArray[Any]]:
    """The dense tensors with running means and biases that make up for the removed channels' constants.

    Tensors that do not change are passed on, not copied.
    """
    constants = constants_of(network, state, masks)
    result = dict(state)
    for index, (section, sources) in enumerate(zip(network.layers, inputs(network), strict=True)):
        if sources[0] == PICTURE or not constants[sources[0]].any():
            continue
        constant, prefix = constants[sources[0]], f"layers.{index}."
        if isinstance(section, Convolutional) and not is_depthwise(section, len(constant)):
            added = _response(state[prefix + "conv.weight"], constant, section.groups)
            if section.batch_normalize:
                _add(result, prefix + "bn.running_mean", -added)
            else:
                _add(result, prefix + "conv.bias", added)
        elif isinstance(section, Cbam):
            # Both pooled vectors hold the constant itself, so the shared squeeze answers it exactly.
            _add(result, prefix + "squeeze.bias", _response(state[prefix + "squeeze.weight"], constant, 1))
    return result


def _add(tensors: dict[str, NDArray[Any]], name: str, added: FloatArray) -> None:
    tensors[name] = (tensors[name] + added).astype(tensors[name].dtype)


def _response(kernel: NDArray[Any], constant: FloatArray, groups: int) -> FloatArray:
    """(out,): what a convolution answers to (in,) constant channels where its kernel lies inside."""
    parts = zip(np.split(kernel, groups), np.split(constant, groups), strict=True)
    answers = [
        part.reshape(len(part), -1) @ np.repeat(values, part.shape[2] * part.shape[3]).astype(part.dtype)
        for part, values in parts
    ]
    return np.concatenate(answers).astype(np.float64)


def _of_convolution(section: Convolutional, state: State, index: int) -> FloatArray:
    if not section.batch_normalize:
        return np.zeros(section.filters)  # no scale that could be zero: it follows the picture
    return activate(section.activation, state[f"layers.{index}.bn.bias"].astype(np.float64))


def _passed_on(section: Section, read: Sequence[FloatArray]) -> FloatArray:
    if isinstance(section, Route):
        parts = [np.split(vector, section.groups)[section.group_id] for vector in read]
        return np.concatenate(parts)
    if isinstance(section, Shortcut):
        total = read[0].copy()
        for other in read[1:]:
            width = min(len(total), len(other))
            total[:width] += other[:width]
        return activate(section.activation, total)
    if isinstance(section, ScaleChannels | Sam | Cbam | Yolo):
        return np.zeros_like(read[0])
    return read[0] * section.scale if isinstance(section, Upsample) else read[0]


def activate(name: Activation, x: FloatArray) -> FloatArray:
    """Darknet's activation functions in numpy."""
    functions: dict[Activation, Callable[[FloatArray], FloatArray]] = {
        "linear": lambda x: x,
        "leaky": lambda x: np.where(x > 0, x, 0.1 * x),
        "relu": lambda x: np.maximum(x, 0),
        "relu6": lambda x: np.clip(x, 0, 6),
        "logistic": _logistic,
        "swish": lambda x: x * _logistic(x),
        "mish": lambda x: x * np.tanh(np.logaddexp(0, x)),
        "hard_mish": lambda x: x * np.clip(0.5 * x + 1, 0, 1),
        "hardtan": lambda x: np.clip(x, -1, 1),
        "tanh": np.tanh,
        "elu": lambda x: np.where(x > 0, x, np.expm1(np.minimum(x, 0))),
    }
    return functions[name](x)


def _logistic(x: FloatArray) -> FloatArray:
    return 0.5 * (1 + np.tanh(0.5 * x))
