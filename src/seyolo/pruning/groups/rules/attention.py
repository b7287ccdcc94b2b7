"""Channel rules of `[scale_channels]`, `[sam]` and `[cbam]`.

Constants end at a gate, because it depends on the image.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from seyolo.darknet.sections import Cbam, Sam, ScaleChannels
from seyolo.pruning.groups.atoms import BoolArray, FloatArray, IntArray, Walk
from seyolo.pruning.groups.rules.base import ChannelRule, Layer, Passing, Rules, Tensors, response, shifted


class ProductRule(ChannelRule[ScaleChannels | Sam]):
    """Ties each factor to the channel it scales."""

    def atoms(self, walk: Walk, section: ScaleChannels | Sam, read: Sequence[IntArray]) -> IntArray:
        factors, features = read
        if isinstance(section, ScaleChannels) and section.scale_wh:
            walk.fix(factors)  # one factor per pixel for all channels
        else:
            walk.tie(factors, features)
        return features

    def constants(self, section: ScaleChannels | Sam, read: Sequence[FloatArray], layer: Layer) -> FloatArray:
        return np.zeros_like(read[1])


class CbamRule(Passing[Cbam]):
    """Scales every channel by itself; the hidden units of the shared MLP are no atoms."""

    def constants(self, section: Cbam, read: Sequence[FloatArray], layer: Layer) -> FloatArray:
        return np.zeros_like(read[0])

    def cut(self, section: Cbam, tensors: Tensors, read: BoolArray, kept: BoolArray) -> tuple[Cbam, Tensors]:
        """Slices inputs and outputs of the shared MLP, and rescales the mean plane of the spatial kernel.

        Of C channels the removed ones are zero: the mean over all is C'/C times the mean over the C' kept
        ones, and the maximum is at least zero, which is the section's `floor`.
        """
        channels = np.flatnonzero(read)
        spatial = tensors["spatial.weight"].copy()
        spatial[:, 0] *= len(channels) / len(read)
        sliced = {
            "squeeze.weight": tensors["squeeze.weight"].take(channels, axis=1),
            "excite.weight": tensors["excite.weight"].take(channels, axis=0),
            "excite.bias": tensors["excite.bias"].take(channels, axis=0),
            "spatial.weight": spatial,
        }
        return replace(section, floor=section.floor or not read.all()), {**tensors, **sliced}

    def absorb(self, section: Cbam, tensors: Tensors, constant: FloatArray) -> Tensors:
        # Both pooled vectors hold the constant itself, so the squeeze answers it exactly.
        added = response(tensors["squeeze.weight"], constant)
        return {"squeeze.bias": shifted(tensors["squeeze.bias"], added)}


RULES: Rules = {ScaleChannels: ProductRule(), Sam: ProductRule(), Cbam: CbamRule()}
