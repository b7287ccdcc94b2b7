"""Options of the random changes made to training images."""

from dataclasses import dataclass, replace
from typing import Self


@dataclass(frozen=True)
class Augmentation:
    """Probabilities and ranges of the random changes; colour and flip are drawn for each source image."""

    mosaic: float = 1.0
    """probability that a training image is a mosaic; else it is one letterboxed image."""

    grid_probabilities: tuple[float, ...] = (0.5, 0.25, 0.12, 0.08, 0.05)
    """entry i is the probability that a mosaic has (i + 1)² tiles."""

    scale_min: float = 0.7
    """lower end of the log-uniform zoom; 1 just covers the tile in a mosaic, and is the letterbox scale in a
    single image."""

    scale_max: float = 1.4
    """upper end of the zoom."""

    aspect: float = 0.15
    """width over height changes by a factor up to `1 + aspect`, or its inverse."""

    translate: float = 0.05
    """largest part of the shorter side by which an image may leave its tile; below 1, so that some of the
    image always shows."""

    keep_object: float = 0.8
    """probability that a crop holds one of the image's objects."""

    flip: float = 0.5
    """probability of mirroring left and right."""

    hue: float = 0.015
    """largest shift of the hue, as a part of the colour circle."""

    saturation: float = 0.7
    """largest relative change of the saturation."""

    value: float = 0.4
    """largest relative change of the brightness."""

    gamma: float = 0.35
    """largest |log| of the exponent of the brightness."""

    min_visible: float = 0.3
    """a box is kept when at least this part of its area is still visible."""

    min_side_px: float = 3.0
    """a box is kept when what is visible is at least this wide and high, in pixels."""

    def plain(self) -> Self:
        """Returns the recipe of the last epochs: single images near the scale of evaluation."""
        return replace(self, mosaic=0.3, scale_min=0.5, scale_max=1.25)
