"""The cut: removes residual blocks, folds constants, slices off channels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from seyolo.checkpoint import Checkpoint
from seyolo.darknet.edit import moved_state, remove_blocks
from seyolo.pruning.cutting.fold import fold_constants
from seyolo.pruning.cutting.surgery import slice_network
from seyolo.pruning.groups.atoms import BoolArray


def cut(dense: Checkpoint, masks: Sequence[BoolArray], blocks_removed: Sequence[int]) -> Checkpoint:
    """Returns the pruned network and its tensors; names and provenance are those of `dense`.

    Args:
        dense: the network before the cut.
        masks: per layer (C,): True for the output channels to keep, as in `slice_network`.
        blocks_removed: the shortcuts whose whole residual block is removed.

    Raises:
        PlanError: a convolution would lose every channel.
    """
    shorter, layer_map = remove_blocks(dense.network, blocks_removed)
    kept = [mask for mask, new in zip(masks, layer_map, strict=True) if new is not None]
    folded = fold_constants(shorter, moved_state(dense.state, layer_map), kept)
    network, state = slice_network(shorter, folded, kept)
    return replace(dense, network=network, state=state)
