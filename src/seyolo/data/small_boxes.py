"""Boxes that become too small at an input size, and the size that would keep them."""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from seyolo.data.samples import Sample
from seyolo.errors import counted
from seyolo.letterbox import Mode, place
from seyolo.options.training import Augmentation
from seyolo.sizes import input_text

LEAST_PX = Augmentation.min_side_px
"""Boxes whose shorter side is below this in the network's input count as too small."""
WARN_SHARE = 0.1
MOST_IMAGES = 500
STRIDE = 32


class SmallBoxes(NamedTuple):
    """Boxes that are too small at an input size."""

    num_small: int
    num_boxes: int
    least_growth: float  # factor of the input's sides at which all boxes are large enough


def small_boxes(samples: Sequence[Sample], size: tuple[int, int], mode: Mode = "letterbox") -> SmallBoxes:
    """Counts the boxes below `LEAST_PX` in an input of `size` (height, width), tiles taken into account.

    Of many images `MOST_IMAGES` are looked at, at equal distances.
    """
    numbers = np.linspace(0, len(samples) - 1, min(MOST_IMAGES, len(samples))).astype(int)
    labelled = [sample for sample in (samples[int(number)] for number in numbers) if len(sample.class_ids)]
    sides_px = np.concatenate([np.empty(0), *(_sides_px(sample, size, mode) for sample in labelled)])
    small = sides_px[sides_px < LEAST_PX]
    return SmallBoxes(len(small), len(sides_px), float(LEAST_PX / small.min()) if len(small) else 1.0)


def warn_of_small_boxes(samples: Sequence[Sample], size: tuple[int, int], mode: Mode = "letterbox") -> None:
    """Warns where a tenth of the boxes or more are too small, and names the size that keeps them all."""
    found = small_boxes(samples, size, mode)
    if found.num_small < WARN_SHARE * max(1, found.num_boxes):
        return
    verb = "is" if found.num_small == 1 else "are"
    count = f"{found.num_small:,} of {counted(found.num_boxes, 'box')} {verb} under {LEAST_PX:g} px at"
    tiling = samples[0].tiling
    if tiling is not None:
        side = math.floor(max(tiling.size_hw) / found.least_growth)
        tile = f"--tile-size {input_text(tiling.size_hw)} and --size {input_text(size)}"
        warnings.warn(f"{count} {tile}; the largest tile that keeps them is {side:,}", stacklevel=3)
        return
    least = tuple(math.ceil(side * found.least_growth / STRIDE) * STRIDE for side in size)
    text = f"{least[0]:,}" if least[0] == least[1] else input_text((least[0], least[1]))
    advice = f"the least that keeps them is {text}, or use --tile"
    warnings.warn(f"{count} --size {input_text(size)}; {advice}", stacklevel=3)


def _sides_px(sample: Sample, size: tuple[int, int], mode: Mode) -> Float[np.ndarray, " n"]:
    """Returns the shorter side of each box in pixels of the input."""
    height, width = sample.stated_size or sample.size()
    shown = (height, width)
    if sample.tiling is not None:
        shown = min(height, sample.tiling.size_hw[0]), min(width, sample.tiling.size_hw[1])
    placement = place(shown, size, mode)
    scale = np.array([width * placement.scale_x, height * placement.scale_y])
    return np.asarray((sample.boxes_cxcywh[:, 2:] * scale).min(axis=1), np.float64)
