"""What a place of a feature map counts where convolutions are fitted or judged."""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor

RIDGE = 0.01
"""Of a least-squares fit, as a share of the mean energy of what a kernel reads."""
BACKGROUND = 0.02
"""What a place without any object counts, beside 1 for a certain one."""


def place_counts(predicted: Float[Tensor, "N H W A K"]) -> Float[Tensor, "N H W"]:
    """How much each place counts: the largest objectness of its anchors, and a little for background.

    Nearly all places are background, and would count for more than all objects.
    """
    objectness: Tensor = predicted[..., 4].sigmoid().amax(dim=-1)
    return BACKGROUND + objectness
