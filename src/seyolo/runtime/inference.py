"""Path of an image through a detector: letterbox, network with box decoding, non-maximum suppression.

The detector, the benchmark, the evaluation and the int8 check all detect by these two functions.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Self

import numpy as np
from jaxtyping import Float32, UInt8

from seyolo.detections import Detections
from seyolo.errors import UsageError
from seyolo.letterbox import Fit, Placement
from seyolo.runtime.protocol import Backend

Infer = Callable[[Float32[np.ndarray, "n c h w"]], Float32[np.ndarray, "n p columns"]]  # as `Backend.infer`


@dataclass(frozen=True)
class Thresholds:
    """Settings of non-maximum suppression; a UsageError refuses one outside its range."""

    confidence: float = 0.25  # smallest score kept, in [0, 1]
    iou_threshold: float = 0.6  # in [0, 1]; above it, the lower-scored of two boxes of a class is dropped
    max_detections: int = 300  # boxes kept per image, the best ones

    def __post_init__(self) -> None:
        for option in ("confidence", "iou_threshold"):
            value = getattr(self, option)
            if not 0 <= value <= 1:
                raise UsageError(f"{option} must be between 0 and 1, got {value}")
        if self.max_detections < 1:
            raise UsageError(f"max_detections must be at least 1, got {self.max_detections}")

    def of(self, model: object) -> Self:
        """Returns those for a model: no suppression where the file has its own inside."""
        layout = getattr(model, "layout", None)
        return replace(self, iou_threshold=1.0) if layout is not None and layout.is_suppressed else self


def detect_images(
    backend: Backend,
    images: Sequence[UInt8[np.ndarray, "H W 3"]],
    thresholds: Thresholds,
    names: Sequence[str] = (),
    after_step: Callable[[], object] = lambda: None,
) -> list[Detections]:
    """Returns the detections of decoded BGR images of any sizes, which run as one batch.

    `after_step` is called after letterbox, after inference and after suppression, to measure their time.
    """
    batch, placements = Fit.of(backend).batch(images)
    after_step()
    raw = backend.infer(batch)
    after_step()
    found = suppressed(raw, placements, thresholds.of(backend), names)
    after_step()
    return found


def suppressed(
    raw: Float32[np.ndarray, "n p columns"],
    placements: Sequence[Placement],
    thresholds: Thresholds,
    names: Sequence[str] = (),
) -> list[Detections]:
    """Returns the detections in a network's output for a batch, in pixels of the source images."""
    limits = thresholds.confidence, thresholds.iou_threshold, thresholds.max_detections
    return [
        Detections.from_raw(rows, placement, *limits, names=names)
        for rows, placement in zip(raw, placements, strict=True)
    ]
