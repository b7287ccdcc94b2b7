"""Channel rules of `[maxpool]`, `[local_avgpool]` and `[avgpool]`: channels pass one by one."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from seyolo.darknet.sections import AvgPool, LocalAvgPool, MaxPool
from seyolo.pruning.groups.atoms import FloatArray, IntArray, Walk
from seyolo.pruning.groups.rules.base import Layer, Passing, Rules


class MaxPoolRule(Passing[MaxPool]):
    """A maximum over channels fixes the channels it reads."""

    def atoms(self, walk: Walk, section: MaxPool, read: Sequence[IntArray]) -> IntArray:
        if not section.maxpool_depth:
            return read[0]
        walk.fix(read[0])
        return read[0][: section.out_channels]

    def constants(self, section: MaxPool, read: Sequence[FloatArray], layer: Layer) -> FloatArray:
        return np.zeros(section.out_channels) if section.maxpool_depth else read[0]


RULES: Rules = {MaxPool: MaxPoolRule(), LocalAvgPool: Passing[LocalAvgPool](), AvgPool: Passing[AvgPool]()}
