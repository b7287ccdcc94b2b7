"""Channel rule of `[yolo]` and `[region]`."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from seyolo.darknet.sections import Detection, Region, Yolo
from seyolo.pruning.groups.atoms import FloatArray, IntArray, Walk
from seyolo.pruning.groups.rules.base import ChannelRule, Layer, Rules


class DetectionRule(ChannelRule[Detection]):
    """The channels that a detection reads are fixed."""

    def atoms(self, walk: Walk, section: Detection, read: Sequence[IntArray]) -> IntArray:
        walk.fix(read[0])
        return read[0]

    def constants(self, section: Detection, read: Sequence[FloatArray], layer: Layer) -> FloatArray:
        return np.zeros_like(read[0])


RULES: Rules = {Yolo: DetectionRule(), Region: DetectionRule()}
