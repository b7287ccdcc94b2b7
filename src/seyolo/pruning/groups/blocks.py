"""Residual blocks that can be removed whole, which reduces depth instead of width.

A block has groups that only its own layers own. When such a group keeps no channel, the branch no longer
depends on the image, and the block is removed: its convolutions, its gate and its shortcut.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from seyolo.darknet.cfg import Network
from seyolo.darknet.edit import residual_block
from seyolo.darknet.sections import Shortcut
from seyolo.errors import ModelError
from seyolo.pruning.groups.atoms import IntArray
from seyolo.pruning.groups.groups import Groups


@dataclass(frozen=True)
class Block:
    """A removable residual block; it is removed when one of its inner groups is empty."""

    shortcut: int  # the layer that ends it
    layers: range  # all of them, the shortcut included
    inner: tuple[int, ...]  # indices of the groups that only its layers own

    def is_gone(self, counts: IntArray) -> bool:
        """Returns True where (groups,) kept channels remove the block."""
        return any(counts[group] == 0 for group in self.inner)


def find_blocks(network: Network, groups: Groups) -> tuple[Block, ...]:
    """Returns the removable residual blocks of a network, in order."""
    blocks = []
    for index, section in enumerate(network.layers):
        if not isinstance(section, Shortcut):
            continue
        try:
            layers = residual_block(network, index)
        except ModelError:
            continue
        owners = [() if group.fixed else group.layers for group in groups.groups]
        inner = tuple(number for number, own in enumerate(owners) if own and set(own) <= set(layers))
        if inner:
            blocks.append(Block(index, layers, inner))
    return tuple(blocks)


def settled(counts: IntArray, blocks: Sequence[Block]) -> IntArray:
    """Returns the counts with every group of a removed block at 0."""
    counts = counts.copy()
    for block in blocks:
        if block.is_gone(counts):
            counts[list(block.inner)] = 0
    return counts
