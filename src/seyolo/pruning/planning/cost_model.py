"""What a network costs as a function of how many channels each group keeps, exactly and fast.

A convolution's cost is (channels read) x (channels written) x a constant, see `darknet.sections.Price`.
Layers of a residual block that is removed cost nothing. It agrees with `darknet.cost` on the network that
surgery builds.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import astuple

import numpy as np

from seyolo.darknet.cfg import Network
from seyolo.darknet.graph import shapes
from seyolo.pruning.groups.atoms import IntArray
from seyolo.pruning.groups.blocks import Block
from seyolo.pruning.groups.groups import Groups
from seyolo.pruning.groups.layer_channels import LayerChannels


class CostModel:
    """Parameters and MACs as functions of the kept channels per group.

    Args:
        network: the dense network.
        groups: its groups.
        size: (height, width) of the image in pixels; by default the `[net]` size.
        blocks: residual blocks that are removed when one of their groups keeps nothing.
    """

    def __init__(
        self,
        network: Network,
        groups: Groups,
        size: tuple[int, int] | None = None,
        blocks: Sequence[Block] = (),
    ) -> None:
        self._channels = LayerChannels(network, groups, blocks)
        self.widths = self._channels.widths
        outputs = shapes(network, *(size or (None, None)))
        prices = [
            astuple(section.price(int(read), output.height * output.width))
            for section, read, output in zip(network.layers, self._channels.dense_read, outputs, strict=True)
        ]
        reads_one, *numbers = np.array(prices, dtype=np.int64).T
        self._reads_one = reads_one.astype(bool)
        self._divisors, self._macs_per_pair, self._params_per_pair, *rest = numbers
        self._params_per_channel, self._macs, self._params = rest

    def params(self, counts: IntArray) -> int:
        """Returns the learned parameters with (groups,) kept channels."""
        written = self._channels.written(counts)
        each = self._pairs(counts, written) * self._params_per_pair + written * self._params_per_channel
        return int((each + self._params)[self._channels.alive(counts)].sum())

    def macs(self, counts: IntArray) -> int:
        """Returns the multiply-accumulates of one image with (groups,) kept channels."""
        each = self._pairs(counts, self._channels.written(counts)) * self._macs_per_pair + self._macs
        return int(each[self._channels.alive(counts)].sum())

    def _pairs(self, counts: IntArray, written: IntArray) -> IntArray:
        read = np.where(self._reads_one, 1, self._channels.read(counts))
        pairs: IntArray = read * written // self._divisors
        return pairs
