"""The cut itself: blocks go, constants are folded, channels are sliced off."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from seyolo.checkpoint import Checkpoint
from seyolo.darknet.edit import moved_state, remove_blocks
from seyolo.pruning.cutting.fold import fold_constants
from seyolo.pruning.cutting.surgery import slice_network
from seyolo.pruning.groups.atoms import BoolArray


def cut(dense: Checkpoint, masks: Sequence[BoolArray], blocks_removed: Sequence[int]) -> Checkpoint:
    """The slim network and its tensors; names and provenance are those of `dense`.

    Args:
        dense: what is cut.
        masks: per layer (C,): True for the output channels that stay, as in `slice_network`.
        blocks_removed: the shortcuts whose residual block goes as a whole.

    Raises:
        PlanError: a convolution would lose every channel.
    """
    shorter, layer_map = remove_blocks(dense.network, blocks_removed)
    kept = [mask for mask, new in zip(masks, layer_map, strict=True) if new is not None]
    folded = fold_constants(shorter, moved_state(dense.state, layer_map), kept)
    network, state = slice_network(shorter, folded, kept)
    return replace(dense, network=network, state=state)
