"""The cut: removes residual blocks, folds constants, slices off channels.

Kernels lose rows and columns, vectors lose entries, nothing is retrained. The slim network computes exactly
what the dense one computes when its removed channels are set to zero behind every layer.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from seyolo.checkpoint import Checkpoint, State
from seyolo.darknet.cfg import Network
from seyolo.darknet.edit import moved_state, remove_blocks
from seyolo.darknet.graph import IMAGE, inputs
from seyolo.darknet.sections import Section
from seyolo.darknet.weights import tensors_per_layer
from seyolo.errors import PlanError
from seyolo.pruning.cutting.fold import fold_constants
from seyolo.pruning.groups.atoms import BoolArray
from seyolo.pruning.groups.rules import RULES


def cut(dense: Checkpoint, masks: Sequence[BoolArray], blocks_removed: Sequence[int]) -> Checkpoint:
    """Returns the pruned network and its tensors; names and provenance are those of `dense`.

    Args:
        dense: the network before the cut.
        masks: per layer (C,): True for the output channels to keep, consistent over all ties.
        blocks_removed: the shortcuts whose whole residual block is removed.

    Raises:
        PlanError: a layer would lose every channel.
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
    wiring, shapes = inputs(network), tensors_per_layer(network)
    for index, (section, sources, names) in enumerate(zip(network.layers, wiring, shapes, strict=True)):
        if not masks[index].any():
            raise PlanError(f"layer {index} would lose all of its {len(masks[index])} channels")
        read = np.ones(network.net.channels, dtype=bool) if sources[0] == IMAGE else masks[sources[0]]
        prefix = f"layers.{index}."
        own = {name: state[prefix + name] for name in names}
        slim, sliced = RULES[type(section)].cut(section, own, read, masks[index])
        layers.append(slim)
        tensors |= {prefix + name: np.array(array, order="C") for name, array in sliced.items()}
    return replace(network, layers=tuple(layers)), tensors
