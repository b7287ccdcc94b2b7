"""Surgery: the pruned description and its tensors, for given output channels to keep.

Kernels lose rows and columns, vectors lose entries, nothing is retrained. The slim network computes exactly
what the dense one computes when its removed channels are set to zero behind every layer.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seyolo.darknet.cfg import Network
from seyolo.darknet.graph import IMAGE, inputs
from seyolo.darknet.sections import Cbam, Convolutional, Implicit, Section
from seyolo.errors import PlanError
from seyolo.pruning.groups.atoms import BoolArray, is_depthwise

Tensors = dict[str, NDArray[Any]]


def slice_network(
    network: Network, state: Mapping[str, NDArray[Any]], masks: Sequence[BoolArray]
) -> tuple[Network, Tensors]:
    """The slim network and its tensors; the input is not changed and shares no memory with the result.

    Args:
        network: the dense network.
        state: its tensors by the names of `darknet.weights.tensor_shapes`.
        masks: per layer (C,): True for the output channels to keep, consistent over all ties (as
            `Plan.masks` and `groups.keep_masks` give them).

    Raises:
        PlanError: a convolution would lose every channel.
    """
    layers: list[Section] = []
    tensors: Tensors = {}
    for index, (section, sources) in enumerate(zip(network.layers, inputs(network), strict=True)):
        read = np.ones(network.net.channels, dtype=bool) if sources[0] == IMAGE else masks[sources[0]]
        own = _tensors_of(state, index)
        if isinstance(section, Convolutional | Implicit) and not masks[index].any():
            raise PlanError(f"layer {index} would lose all of its {section.filters} channels")
        if isinstance(section, Convolutional):
            layers.append(_slim_section(section, read, masks[index]))
            own = _slice_convolution(section, own, read, masks[index])
        elif isinstance(section, Cbam):
            layers.append(replace(section, floor=section.floor or not read.all()))
            own = _slice_cbam(own, read)
        elif isinstance(section, Implicit):
            layers.append(replace(section, filters=int(masks[index].sum())))
            own = {"weights": own["weights"][masks[index]]}
        else:
            layers.append(section)
            if "weights" in own and own["weights"].ndim == 2:
                own = {"weights": own["weights"][:, read]}
        tensors |= {f"layers.{index}.{name}": np.array(array, order="C") for name, array in own.items()}
    return replace(network, layers=tuple(layers)), tensors


def _tensors_of(state: Mapping[str, NDArray[Any]], index: int) -> Tensors:
    prefix = f"layers.{index}."
    names = (
        "conv.weight conv.bias bn.weight bn.bias bn.running_mean bn.running_var "
        "squeeze.weight squeeze.bias excite.weight excite.bias spatial.weight weights"
    ).split()
    return {name: state[prefix + name] for name in names if prefix + name in state}


def _slim_section(section: Convolutional, read: BoolArray, kept: BoolArray) -> Convolutional:
    groups = int(read.sum()) if is_depthwise(section, len(read)) else section.groups
    return replace(section, filters=int(kept.sum()), groups=groups)


def _slice_convolution(section: Convolutional, tensors: Tensors, read: BoolArray, kept: BoolArray) -> Tensors:
    rows = np.flatnonzero(kept)
    kernel = tensors.pop("conv.weight")
    result = {name: array.take(rows, axis=0) for name, array in tensors.items()}
    if is_depthwise(section, len(read)):
        return {"conv.weight": kernel.take(rows, axis=0)} | result
    parts = [
        part.take(np.flatnonzero(part_kept), axis=0).take(np.flatnonzero(part_read), axis=1)
        for part, part_kept, part_read in zip(
            np.split(kernel, section.groups),
            np.split(kept, section.groups),
            np.split(read, section.groups),
            strict=True,
        )
    ]
    return {"conv.weight": np.concatenate(parts)} | result


def _slice_cbam(tensors: Tensors, kept: BoolArray) -> Tensors:
    """The shared MLP loses inputs and outputs; the spatial kernel's mean plane is rescaled.

    The mean over C channels of which only C' are not zero is C'/C times the mean over those C'. Their zeros
    also bound the maximum from below: that is the section's `floor`.
    """
    channels = np.flatnonzero(kept)
    spatial = tensors["spatial.weight"].copy()
    spatial[:, 0] *= len(channels) / len(kept)
    return tensors | {
        "squeeze.weight": tensors["squeeze.weight"].take(channels, axis=1),
        "excite.weight": tensors["excite.weight"].take(channels, axis=0),
        "excite.bias": tensors["excite.bias"].take(channels, axis=0),
        "spatial.weight": spatial,
    }
