"""Detection in the tiles of an image, a batch at a time, so that memory does not grow with the image."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from jaxtyping import UInt8

from seyolo.detections import Detections
from seyolo.tiling.grid import Tiling
from seyolo.tiling.merging import merged

Run = Callable[[Sequence[UInt8[np.ndarray, "h w 3"]]], list[Detections]]
"""From images of any sizes to their detections, each in its own pixels."""


def detect_in_tiles(
    image: UInt8[np.ndarray, "H W 3"], tiling: Tiling, detect: Run, iou_threshold: float, batch_size: int = 1
) -> Detections:
    """Returns the detections of a BGR image from those of its tiles, which `detect` gets as views of it."""
    size = image.shape[0], image.shape[1]
    views = tiling.views(*size)
    found: list[Detections] = []
    for start in range(0, len(views), batch_size):
        found += detect([view.of(image) for view in views[start : start + batch_size]])
    return merged(found, views, size, iou_threshold)
