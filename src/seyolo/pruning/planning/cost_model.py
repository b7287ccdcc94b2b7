"""Channels, parameters and MACs of a network as functions of the channels that each group keeps, exactly.

A convolution's cost is (channels read) x (channels written) x a constant, see `darknet.sections.Price`.
Layers of a residual block that is removed cost nothing. It agrees with `darknet.cost` on the pruned network.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import astuple

import numpy as np

from seyolo.darknet.cfg import Network
from seyolo.darknet.graph import inputs, shapes
from seyolo.pruning.groups.atoms import BoolArray, IntArray
from seyolo.pruning.groups.blocks import Block
from seyolo.pruning.groups.groups import Groups


class CostModel:
    """Channels per layer, parameters and MACs of a pruned network; `counts` are (groups,) kept channels.

    `widths` (groups,) are those of the dense network, and `dense_read` (layers,) the channels that its layers
    read from their first input. MACs are those at its input size.
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
        prices = [
            astuple(section.price(int(read), output.size))
            for section, read, output in zip(network.layers, self.dense_read, shapes(network), strict=True)
        ]
        reads_one, *numbers = np.array(prices, dtype=np.int64).T
        self._reads_one = reads_one.astype(bool)
        self._divisors, self._macs_per_pair, self._params_per_pair, *rest = numbers
        self._params_per_channel, self._macs, self._params = rest

    def read(self, counts: IntArray) -> IntArray:
        """Returns (layers,) channels that each layer reads from its first input."""
        # Exact: where only a part of a group is read, all parts keep equally many.
        total: IntArray = (self._read * counts // self.widths).sum(axis=1)
        return total

    def written(self, counts: IntArray) -> IntArray:
        """Returns (layers,) channels of each output."""
        total: IntArray = (self._written * counts // self.widths).sum(axis=1)
        return total

    def alive(self, counts: IntArray) -> BoolArray:
        """Returns (layers,) True for the layers outside removed blocks."""
        removed = self._inner[:, counts == 0].any(axis=1)
        alive: BoolArray = np.logical_not(self._inside[:, removed].any(axis=1))
        return alive

    def params(self, counts: IntArray) -> int:
        """Returns the learned parameters."""
        written = self.written(counts)
        # k² C_in C_out / groups + (bias and normalisation) C_out
        each = self._pairs(counts, written) * self._params_per_pair + written * self._params_per_channel
        return int((each + self._params)[self.alive(counts)].sum())

    def macs(self, counts: IntArray) -> int:
        """Returns the multiply-accumulates of one image."""
        each = self._pairs(counts, self.written(counts)) * self._macs_per_pair + self._macs
        return int(each[self.alive(counts)].sum())

    def _pairs(self, counts: IntArray, written: IntArray) -> IntArray:
        read = np.where(self._reads_one, 1, self.read(counts))
        pairs: IntArray = read * written // self._divisors  # C_in x C_out / groups of a convolution
        return pairs
