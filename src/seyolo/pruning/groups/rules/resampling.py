"""Channel rules of `[upsample]`, `[reorg]` and `[reorg3d]`."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from seyolo.darknet.sections import Reorg, Reorg3d, Upsample
from seyolo.pruning.groups.atoms import FloatArray, IntArray, Walk
from seyolo.pruning.groups.rules.base import ChannelRule, Layer, Passing, Rules


class UpsampleRule(Passing[Upsample]):
    """Channels pass one by one, times `scale`."""

    def constants(self, section: Upsample, read: Sequence[FloatArray], layer: Layer) -> FloatArray:
        return read[0] * section.scale


class Reorg3dRule(ChannelRule[Reorg | Reorg3d]):
    """The channels in front, once for each position in the block."""

    def atoms(self, walk: Walk, section: Reorg | Reorg3d, read: Sequence[IntArray]) -> IntArray:
        return np.tile(read[0], section.stride**2)

    def constants(self, section: Reorg | Reorg3d, read: Sequence[FloatArray], layer: Layer) -> FloatArray:
        return np.tile(read[0], section.stride**2)


class ReorgRule(Reorg3dRule):
    """s² neighbours in the order of the channels are mixed in s⁴ output channels, so they are tied."""

    def atoms(self, walk: Walk, section: Reorg | Reorg3d, read: Sequence[IntArray]) -> IntArray:
        neighbours = read[0].reshape(-1, section.stride**2)  # (C / s², s²)
        for column in neighbours.T[1:]:
            walk.tie(neighbours[:, 0], column)
        return super().atoms(walk, section, read)


RULES: Rules = {Upsample: UpsampleRule(), Reorg: ReorgRule(), Reorg3d: Reorg3dRule()}
