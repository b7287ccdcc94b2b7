"""Torch layers of `[route]` and `[shortcut]`."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from seyolo.darknet.constants import SHORTCUT_EPSILON
from seyolo.darknet.sections import Route, Shortcut, WeightsNormalization, overlap
from seyolo.torchnet.activations import make_activation
from seyolo.torchnet.layers.convolution import Features, LayerTable


class RouteLayer(nn.Module):
    """`[route]`: concatenates along the channels, or takes one part of each layer."""

    def __init__(self, section: Route) -> None:
        super().__init__()
        self.groups = section.groups
        self.group_id = section.group_id

    def forward(self, *inputs: Features) -> Features:
        parts = [self._part(x) for x in inputs]
        return parts[0] if len(parts) == 1 else torch.cat(parts, dim=1)

    def _part(self, x: Features) -> Features:
        if self.groups == 1:
            return x
        width = x.shape[1] // self.groups
        return x[:, self.group_id * width : (self.group_id + 1) * width]


class ShortcutLayer(nn.Module):
    """`[shortcut]`: adds to the layer in front the first min(c) channels of each named layer."""

    def __init__(self, section: Shortcut) -> None:
        super().__init__()
        self.activation = make_activation(section.activation)

    def forward(self, front: Features, *others: Features) -> Features:
        total = front
        for other in others:
            total = _add_shared_channels(total, other)
        return self.activation(total)  # type: ignore[no-any-return]


class WeightedShortcutLayer(ShortcutLayer):
    """`[shortcut]` with `weights_type`: each added layer times its weight, one in all or one per channel."""

    def __init__(self, section: Shortcut, in_channels: int) -> None:
        super().__init__(section)
        per_channel = section.weights_type == "per_channel"
        shape = (section.num_inputs, in_channels) if per_channel else (section.num_inputs,)
        self.weights = nn.Parameter(torch.empty(shape))
        self.normalization = section.weights_normalization

    def reset_parameters(self) -> None:
        """Fills the weights for a new network: a plain sum."""
        nn.init.ones_(self.weights)

    def forward(self, front: Features, *others: Features) -> Features:
        width = front.shape[1]
        shares = shortcut_shares(self.weights, self.normalization)
        weighted = [
            x[:, :width] * share.reshape(-1, 1, 1)[: x.shape[1]]
            for x, share in zip((front, *others), shares, strict=True)
        ]
        return super().forward(*weighted)


def shortcut_shares(weights: Tensor, normalization: WeightsNormalization) -> Tensor:
    """Returns the factor of each input of a weighted shortcut: (inputs,) or (inputs, channels)."""
    if normalization == "none":
        return weights
    if normalization == "softmax":
        positive = torch.exp(weights - weights.amax(0, keepdim=True))
    else:
        positive = torch.relu(weights)  # fast normalised fusion (Tan 2020)
    return positive / (positive.sum(0, keepdim=True) + SHORTCUT_EPSILON)


def _add_shared_channels(front: Features, other: Features) -> Features:
    width, other_width = front.shape[1], other.shape[1]
    if front.shape[2:] != other.shape[2:]:
        return _add_overlap(front, other)
    if width == other_width:
        return front + other
    if width < other_width:
        return front + other[:, :width]
    return torch.cat([front[:, :other_width] + other, front[:, other_width:]], dim=1)


def _add_overlap(front: Features, other: Features) -> Features:
    """Adds layers of unequal sizes, see `overlap`."""
    step, spread, (rows, columns) = overlap(_size(front), _size(other))
    width = min(front.shape[1], other.shape[1])
    total = front.clone()
    places = total[:, :width, ::spread, ::spread][:, :, :rows, :columns]
    places += other[:, :width, ::step, ::step][:, :, :rows, :columns]
    return total


def _size(x: Features) -> tuple[int, int]:
    return x.shape[2], x.shape[3]


LAYERS: LayerTable = {
    Route: lambda section, _: RouteLayer(section),
    Shortcut: lambda section, widths: (
        ShortcutLayer(section)
        if section.weights_type == "none"
        else WeightedShortcutLayer(section, widths[0])
    ),
}
