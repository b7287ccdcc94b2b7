"""What a network costs as a function of how many channels each group keeps, exactly and fast.

A convolution's cost is (channels read) x (channels written) x a constant, and both are sums over groups: the
whole model is two small integer matrices. It agrees with `darknet.cost` on the network that surgery builds.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from seyolo.darknet.cfg import Network
from seyolo.darknet.graph import inputs, shapes
from seyolo.darknet.sections import Cbam, Convolutional, Implicit, Shortcut
from seyolo.pruning.atoms import IntArray, is_depthwise
from seyolo.pruning.groups import Groups


@dataclass(frozen=True)
class _Term:
    """channels read / divisor x channels written x pair cost + channels written x channel cost."""

    read: IntArray | None
    written: IntArray
    divisor: int
    macs_per_pair: int
    params_per_pair: int
    params_per_channel: int


class CostModel:
    """Parameters and MACs as functions of the kept channels per group.

    Args:
        network: the dense network.
        groups: its groups.
        size: (height, width) of the picture in pixels; by default the `[net]` size.
    """

    def __init__(self, network: Network, groups: Groups, size: tuple[int, int] | None = None) -> None:
        self.widths = np.array([group.num_channels for group in groups.groups])
        self._group_of_slot = np.repeat(np.arange(len(self.widths)), self.widths)
        terms: list[_Term] = []
        self._fixed_params = self._fixed_macs = 0
        outputs = shapes(network, *(size or (None, None)))
        for index, (section, sources) in enumerate(zip(network.layers, inputs(network), strict=True)):
            read, written = groups.read_from(sources[0]), groups.slots[index]
            num_cells = outputs[index].height * outputs[index].width
            if isinstance(section, Convolutional):
                terms.append(self._convolution(section, read, written, num_cells))
            elif isinstance(section, Cbam):
                terms.append(self._cbam(section, written))
                self._fixed_params += section.hidden + 2 * section.size**2
                self._fixed_macs += 2 * section.size**2 * num_cells
            elif isinstance(section, Implicit):
                terms.append(self._per_channel(written, 1))
            elif isinstance(section, Shortcut) and section.weights_type == "per_channel":
                terms.append(self._per_channel(written, section.num_inputs))
            elif isinstance(section, Shortcut) and section.weights_type != "none":
                self._fixed_params += section.num_inputs
        self._stack(terms)

    def params(self, counts: IntArray) -> int:
        """Learned parameters with (groups,) kept channels."""
        read, written = self._channels(counts)
        pairs = read * written // self._divisors
        total = pairs @ self._params_per_pair + written @ self._params_per_channel
        return int(total) + self._fixed_params

    def macs(self, counts: IntArray) -> int:
        """Multiply-accumulates of one picture with (groups,) kept channels."""
        read, written = self._channels(counts)
        return int((read * written // self._divisors) @ self._macs_per_pair) + self._fixed_macs

    def _channels(self, counts: IntArray) -> tuple[IntArray, IntArray]:
        # Exact: where only a part of a group is read, all parts keep equally many.
        read = (self._read * counts // self.widths).sum(axis=1)
        written = (self._written * counts // self.widths).sum(axis=1)
        return np.where(self._reads_one, 1, read), written

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

    def _cbam(self, section: Cbam, written: IntArray) -> _Term:
        """Squeeze and excite: two 1x1 convolutions that run twice, and the bias of the second."""
        hidden = section.hidden
        return _Term(None, self._per_group(written), 1, 4 * hidden, 2 * hidden, 1)

    def _per_channel(self, written: IntArray, num_params: int) -> _Term:
        """Parameters for each channel and no convolution."""
        return _Term(None, self._per_group(written), 1, 0, 0, num_params)

    def _per_group(self, slots: IntArray) -> IntArray:
        return np.bincount(self._group_of_slot[slots], minlength=len(self.widths))

    def _stack(self, terms: list[_Term]) -> None:
        nothing = np.zeros_like(self.widths)
        self._reads_one = np.array([term.read is None for term in terms], dtype=bool)
        self._read = np.array([nothing if t.read is None else t.read for t in terms]).reshape(
            len(terms), len(nothing)
        )
        self._written = np.array([term.written for term in terms]).reshape(len(terms), len(nothing))
        self._divisors = np.array([term.divisor for term in terms], dtype=np.int64)
        self._macs_per_pair = np.array([term.macs_per_pair for term in terms], dtype=np.int64)
        self._params_per_pair = np.array([term.params_per_pair for term in terms], dtype=np.int64)
        self._params_per_channel = np.array([term.params_per_channel for term in terms], dtype=np.int64)
