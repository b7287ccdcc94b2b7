"""Numbers of channels that every layer reads and writes, as a function of the channels each group keeps.

Both are sums over groups: two small integer matrices, which the costs in parameters, MACs and milliseconds
share.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from seyolo.darknet.cfg import Network
from seyolo.darknet.graph import inputs
from seyolo.pruning.groups.atoms import BoolArray, IntArray
from seyolo.pruning.groups.blocks import Block
from seyolo.pruning.groups.groups import Groups


class LayerChannels:
    """Channels per layer of a pruned network.

    Args:
        network: the dense network.
        groups: its groups.
        blocks: residual blocks that are removed when one of their groups keeps nothing.

    Attributes:
        widths: (groups,) channels of the dense network.
        dense_read: (layers,) channels that each layer of the dense network reads from its first input.
    """

    def __init__(self, network: Network, groups: Groups, blocks: Sequence[Block] = ()) -> None:
        self.widths = np.array([group.num_channels for group in groups.groups])
        group_of_slot = np.repeat(np.arange(len(self.widths)), self.widths)

        def per_group(layers: Sequence[int]) -> IntArray:
            slots = [group_of_slot[groups.read_from(layer)] for layer in layers]
            return np.array([np.bincount(numbers, minlength=len(self.widths)) for numbers in slots])

        self._read = per_group([sources[0] for sources in inputs(network)])
        self._written = per_group(range(len(network.layers)))
        self.dense_read = self._read.sum(axis=1)
        self._inner = np.zeros((len(blocks), len(self.widths)), dtype=bool)
        self._inside = np.zeros((len(network.layers), len(blocks)), dtype=bool)
        for number, block in enumerate(blocks):
            self._inner[number, list(block.inner)] = True
            self._inside[block.layers, number] = True

    def read(self, counts: IntArray) -> IntArray:
        """Returns (layers,) channels each reads from its first input, with (groups,) kept channels."""
        return self._of(self._read, counts)

    def written(self, counts: IntArray) -> IntArray:
        """Returns (layers,) channels of each output."""
        return self._of(self._written, counts)

    def alive(self, counts: IntArray) -> BoolArray:
        """Returns (layers,) True for the layers outside removed blocks."""
        removed = self._inner[:, counts == 0].any(axis=1)
        alive: BoolArray = np.logical_not(self._inside[:, removed].any(axis=1))
        return alive

    def _of(self, channels: IntArray, counts: IntArray) -> IntArray:
        # Exact: where only a part of a group is read, all parts keep equally many.
        total: IntArray = (channels * counts // self.widths).sum(axis=1)
        return total
