"""Channel rules of `[dropout]`, `[implicit]`, `[yolo]` and `[region]`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from seyolo.darknet.sections import Detection, Dropout, Implicit, Region, Yolo
from seyolo.pruning.groups.atoms import BoolArray, FloatArray, IntArray, Walk
from seyolo.pruning.groups.rules.base import ChannelRule, Layer, Passing, Rules, Tensors


class ImplicitRule(ChannelRule[Implicit]):
    """It makes its own channels and takes nothing from the layer in front."""

    def atoms(self, walk: Walk, section: Implicit, read: Sequence[IntArray]) -> IntArray:
        return walk.make(section.filters)

    def constants(self, section: Implicit, read: Sequence[FloatArray], layer: Layer) -> FloatArray:
        return np.zeros(section.filters)

    def cut(
        self, section: Implicit, tensors: Tensors, read: BoolArray, kept: BoolArray
    ) -> tuple[Implicit, Tensors]:
        return replace(section, filters=int(kept.sum())), {"weights": tensors["weights"][kept]}


class DetectionRule(ChannelRule[Detection]):
    """The channels that a detection reads are fixed."""

    def atoms(self, walk: Walk, section: Detection, read: Sequence[IntArray]) -> IntArray:
        walk.fix(read[0])
        return read[0]

    def constants(self, section: Detection, read: Sequence[FloatArray], layer: Layer) -> FloatArray:
        return np.zeros_like(read[0])


RULES: Rules = {
    Dropout: Passing[Dropout](),
    Implicit: ImplicitRule(),
    Yolo: DetectionRule(),
    Region: DetectionRule(),
}
