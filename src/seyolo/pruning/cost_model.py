"""What a network costs as a function of how many channels each group keeps, exactly and fast.

A convolution's cost is (channels read) x (channels written) x a constant, and both are sums over groups: the
whole model is two small integer matrices. Layers of a residual block that is removed cost nothing. It agrees
with `darknet.cost` on the network that surgery builds.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from seyolo.darknet.cfg import Network
from seyolo.darknet.graph import inputs, shapes
from seyolo.darknet.sections import Cbam, Convolutional, Implicit, Section, Shortcut
from seyolo.pruning.atoms import BoolArray, IntArray, is_depthwise
from seyolo.pruning.blocks import Block
from seyolo.pruning.groups import Groups


@dataclass(frozen=True)
class _Term:
    """Channels read / divisor x channels written x pair cost + channels written x channel cost + constant."""

    read: IntArray | None
    written: IntArray
    divisor: int = 1
    macs_per_pair: int = 0
    params_per_pair: int = 0
    params_per_channel: int = 0
    macs: int = 0
    params: int = 0
    layer: int = -1


class CostModel:
    """Parameters and MACs as functions of the kept channels per group.

    Args:
        network: the dense network.
        groups: its groups.
        size: (height, width) of the picture in pixels; by default the `[net]` size.
        blocks: residual blocks that are removed when one of their groups keeps nothing.
    """

    def __init__(
        self,
        network: Network,
        groups: Groups,
        size: tuple[int, int] | None = None,
        blocks: Sequence[Block] = (),
    ) -> None:
        self.widths = np.array([group.num_channels for group in groups.groups])
        self._group_of_slot = np.repeat(np.arange(len(self.widths)), self.widths)
        terms: list[_Term] = []
        outputs = shapes(network, *(size or (None, None)))
        for index, (section, sources) in enumerate(zip(network.layers, inputs(network), strict=True)):
            read, written = groups.read_from(sources[0]), groups.slots[index]
            num_cells = outputs[index].height * outputs[index].width
            term = self._term(section, read, written, num_cells)
            if term is not None:
                terms.append(replace(term, layer=index))
        self._stack(terms)
        self._stack_blocks(blocks)

    def params(self, counts: IntArray) -> int:
        """Learned parameters with (groups,) kept channels."""
        read, written = self._channels(counts)
        pairs = read * written // self._divisors
        each = pairs * self._params_per_pair + written * self._params_per_channel + self._params
        return int(each[self._alive(counts)].sum())

    def macs(self, counts: IntArray) -> int:
        """Multiply-accumulates of one picture with (groups,) kept channels."""
        read, written = self._channels(counts)
        each = (read * written // self._divisors) * self._macs_per_pair + self._macs
        return int(each[self._alive(counts)].sum())

    def _alive(self, counts: IntArray) -> BoolArray:
        """Per term whether its layer stays."""
        gone = self._inner[:, counts == 0].any(axis=1)
        inside: BoolArray = self._inside[:, gone].any(axis=1).reshape(-1)
        return ~inside

    def _channels(self, counts: IntArray) -> tuple[IntArray, IntArray]:
        # Exact: where only a part of a group is read, all parts keep equally many.
        read = (self._read * counts // self.widths).sum(axis=1)
        written = (self._written * counts // self.widths).sum(axis=1)
        return np.where(self._reads_one, 1, read), written

    def _term(self, section: Section, read: IntArray, written: IntArray, num_cells: int) -> _Term | None:
        if isinstance(section, Convolutional):
            return self._convolution(section, read, written, num_cells)
        if isinstance(section, Cbam):
            return self._cbam(section, written, num_cells)
        if isinstance(section, Implicit):
            return self._per_channel(written, 1)
        if isinstance(section, Shortcut) and section.weights_type == "per_channel":
            return self._per_channel(written, section.num_inputs)
        if isinstance(section, Shortcut) and section.weights_type != "none":
            return _Term(None, np.zeros_like(self.widths), params=section.num_inputs)
        return None

    def _convolution(
        self, section: Convolutional, read: IntArray, written: IntArray, num_cells: int
    ) -> _Term:
        depthwise = is_depthwise(section, len(read))
        area = section.size**2
        return _Term(
            read=None if depthwise else self._per_group(read),
            written=self._per_group(written),
            divisor=1 if depthwise else section.groups,
            macs_per_pair=area * num_cells,
            params_per_pair=area,
            params_per_channel=2 if section.batch_normalize else 1,
        )

    def _cbam(self, section: Cbam, written: IntArray, num_cells: int) -> _Term:
        """Squeeze and excite: two 1x1 convolutions that run twice, and the bias of the second."""
        hidden, spatial = section.hidden, 2 * section.size**2
        return _Term(
            read=None,
            written=self._per_group(written),
            macs_per_pair=4 * hidden,
            params_per_pair=2 * hidden,
            params_per_channel=1,
            macs=spatial * num_cells,
            params=hidden + spatial,
        )

    def _per_channel(self, written: IntArray, num_params: int) -> _Term:
        """Parameters for each channel and no convolution."""
        return _Term(None, self._per_group(written), params_per_channel=num_params)

    def _per_group(self, slots: IntArray) -> IntArray:
        return np.bincount(self._group_of_slot[slots], minlength=len(self.widths))

    def _stack(self, terms: list[_Term]) -> None:
        shape = len(terms), len(self.widths)
        nothing = np.zeros_like(self.widths)
        self._reads_one = np.array([term.read is None for term in terms], dtype=bool)
        self._read = np.array([nothing if t.read is None else t.read for t in terms]).reshape(shape)
        self._written = np.array([term.written for term in terms]).reshape(shape)
        self._layers = np.array([term.layer for term in terms], dtype=np.int64)
        self._divisors = np.array([term.divisor for term in terms], dtype=np.int64)
        self._macs_per_pair = np.array([term.macs_per_pair for term in terms], dtype=np.int64)
        self._params_per_pair = np.array([term.params_per_pair for term in terms], dtype=np.int64)
        self._params_per_channel = np.array([term.params_per_channel for term in terms], dtype=np.int64)
        self._macs = np.array([term.macs for term in terms], dtype=np.int64)
        self._params = np.array([term.params for term in terms], dtype=np.int64)

    def _stack_blocks(self, blocks: Sequence[Block]) -> None:
        self._inner = np.zeros((len(blocks), len(self.widths)), dtype=bool)
        self._inside = np.zeros((len(self._layers), len(blocks)), dtype=bool)
        for number, block in enumerate(blocks):
            self._inner[number, list(block.inner)] = True
            self._inside[:, number] = np.isin(self._layers, block.layers)
