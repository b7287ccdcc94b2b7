"""Channel rules of `[route]` and `[shortcut]`."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from seyolo.darknet.sections import Route, Shortcut
from seyolo.pruning.groups.atoms import BoolArray, FloatArray, IntArray, Walk
from seyolo.pruning.groups.rules.base import ChannelRule, Layer, Rules, Tensors


class RouteRule(ChannelRule[Route]):
    """Concatenates; the parts of a split keep equally many channels each."""

    def atoms(self, walk: Walk, section: Route, read: Sequence[IntArray]) -> IntArray:
        if section.groups > 1:
            for vector in read:
                walk.split(vector, section.groups)
        return np.concatenate([np.split(vector, section.groups)[section.group_id] for vector in read])

    def constants(self, section: Route, read: Sequence[FloatArray], layer: Layer) -> FloatArray:
        return np.concatenate([np.split(vector, section.groups)[section.group_id] for vector in read])


class ShortcutRule(ChannelRule[Shortcut]):
    """Ties the first min(c) channels of what it adds."""

    def atoms(self, walk: Walk, section: Shortcut, read: Sequence[IntArray]) -> IntArray:
        for other in read[1:]:
            width = min(len(read[0]), len(other))
            walk.tie(read[0][:width], other[:width])
            walk.mark_shortcut(read[0], other)
        return read[0]

    def constants(self, section: Shortcut, read: Sequence[FloatArray], layer: Layer) -> FloatArray:
        shares: FloatArray = np.ones((len(read), 1))
        if section.weights_type != "none":
            shares = layer.shares(layer.tensors["weights"], section.weights_normalization)
        total = np.zeros_like(read[0])
        for vector, share in zip(read, shares.reshape(len(read), -1), strict=True):
            width = min(len(total), len(vector))
            total[:width] += vector[:width] * share[:width]  # Σ w_i x_i
        return layer.activate(section.activation, total)

    def cut(
        self, section: Shortcut, tensors: Tensors, read: BoolArray, kept: BoolArray
    ) -> tuple[Shortcut, Tensors]:
        if section.weights_type != "per_channel":
            return section, tensors
        return section, {"weights": tensors["weights"][:, read]}


RULES: Rules = {Route: RouteRule(), Shortcut: ShortcutRule()}
