"""Channel rules of `[upsample]`, `[reorg]` and `[reorg3d]`."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from seyolo.darknet.sections import Reorg, Reorg3d, Upsample
from seyolo.pruning.groups.atoms import IntArray, WalkBuilder
from seyolo.pruning.groups.rules.base import FloatArray, LayerFunctions, Passing, RuleTable, Unsliced


class UpsampleRule(Passing[Upsample]):
    """Channels pass one by one, times `scale`."""

    def constants(self, section: Upsample, read: Sequence[FloatArray], layer: LayerFunctions) -> FloatArray:
        del layer
        return read[0] * section.scale


class Reorg3dRule(Unsliced[Reorg3d]):
    """The channels in front, once for each position in the block."""

    def atoms(self, walk: WalkBuilder, section: Reorg3d, read: Sequence[IntArray]) -> IntArray:
        del walk
        return np.tile(read[0], section.stride**2)

    def constants(self, section: Reorg3d, read: Sequence[FloatArray], layer: LayerFunctions) -> FloatArray:
        del layer
        return np.tile(read[0], section.stride**2)


class ReorgRule(Unsliced[Reorg]):
    """s² neighbours in the order of the channels are mixed in s⁴ output channels, so they are tied."""

    def atoms(self, walk: WalkBuilder, section: Reorg, read: Sequence[IntArray]) -> IntArray:
        area = section.stride**2
        neighbours = read[0].reshape(-1, area)
        for column in neighbours.T[1:]:
            walk.tie(neighbours[:, 0], column)
        return np.tile(read[0], area)

    def constants(self, section: Reorg, read: Sequence[FloatArray], layer: LayerFunctions) -> FloatArray:
        del layer
        return np.tile(read[0], section.stride**2)


RULES: RuleTable = {Upsample: UpsampleRule(), Reorg: ReorgRule(), Reorg3d: Reorg3dRule()}
