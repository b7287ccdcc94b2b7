"""Weight of each spatial position in least squares and in importance."""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor

RIDGE = 0.01
"""Ridge, relative to the mean diagonal of the input covariance."""
BACKGROUND = 0.02
"""Weight of a position without any object; a certain object weighs 1 more."""


def position_weights(predicted: Float[Tensor, "N H W A K"]) -> Float[Tensor, "N H W"]:
    """Returns the largest objectness of the anchors at every position, and a little more for background.

    Nearly all positions are background; with equal weights they would outweigh all objects.
    """
    objectness: Tensor = predicted[..., 4].sigmoid().amax(dim=-1)
    return BACKGROUND + objectness
