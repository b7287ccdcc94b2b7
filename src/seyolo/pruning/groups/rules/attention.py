"""Channel rules of `[scale_channels]`, `[sam]`, `[cbam]`, `[eca]`, `[coordatt]` and `[simam]`.

Constants end at a gate, because it depends on the image, but at `[simam]`: to a constant channel it gives a
constant factor.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from seyolo.darknet.sections import Cbam, CoordAtt, Eca, Sam, ScaleChannels, SimAm
from seyolo.pruning.groups.atoms import BoolArray, FloatArray, IntArray, Walk
from seyolo.pruning.groups.rules.base import ChannelRule, Layer, Passing, Rules, S, Tensors, response, shifted


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


class GateRule(Passing[S]):
    """Scales every channel by itself; the hidden channels of a gate are no atoms."""

    def constants(self, section: S, read: Sequence[FloatArray], layer: Layer) -> FloatArray:
        return np.zeros_like(read[0])


class CbamRule(GateRule[Cbam]):
    """Scales every channel by factors from the means and maxima of all of them."""

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


class EcaRule(GateRule[Eca]):
    """Scales every channel by a factor from the means of its neighbours.

    The channels that are left keep their distances, so that each reads the neighbours it had, and zero for
    those that were pruned. Constants are not absorbed: there is no bias that could hold them.
    """

    def cut(self, section: Eca, tensors: Tensors, read: BoolArray, kept: BoolArray) -> tuple[Eca, Tensors]:
        distances = np.diff(np.array(section.places(len(read)))[read])
        beyond = section.size // 2 + 1  # the least distance that the kernel does not span
        places = np.concatenate([[0], np.minimum(distances, beyond).cumsum()]).tolist()
        is_line = places == list(range(len(places)))
        return replace(section, positions=() if is_line else tuple(places)), tensors


class CoordAttRule(GateRule[CoordAtt]):
    """Scales every channel by factors from the means of all rows and columns."""

    def cut(
        self, section: CoordAtt, tensors: Tensors, read: BoolArray, kept: BoolArray
    ) -> tuple[CoordAtt, Tensors]:
        channels = np.flatnonzero(read)
        sliced = {name: array.take(channels, axis=0) for name, array in tensors.items() if name in _EXCITES}
        return section, {**tensors, **sliced, "conv.weight": tensors["conv.weight"].take(channels, axis=1)}

    def absorb(self, section: CoordAtt, tensors: Tensors, constant: FloatArray) -> Tensors:
        # The means of rows and columns are the constant itself, so the convolution answers it exactly.
        added = response(tensors["conv.weight"], constant)
        if section.batch_normalize:
            return {"bn.running_mean": shifted(tensors["bn.running_mean"], -added)}
        return {"conv.bias": shifted(tensors["conv.bias"], added)}


class SimAmRule(Passing[SimAm]):
    """Scales every channel by factors from itself alone."""

    def constants(self, section: SimAm, read: Sequence[FloatArray], layer: Layer) -> FloatArray:
        factor = layer.activate("logistic", np.array([0.5])) + (section.join == "add")  # no pixel stands out
        return read[0] * (section.gain * factor)


_EXCITES = frozenset(["rows.weight", "rows.bias", "columns.weight", "columns.bias"])
RULES: Rules = {
    ScaleChannels: ProductRule(),
    Sam: ProductRule(),
    Cbam: CbamRule(),
    Eca: EcaRule(),
    CoordAtt: CoordAttRule(),
    SimAm: SimAmRule(),
}
