"""Parity check of every export: the file must give the model's output on the same image.

Int8 changes the numbers by design; there the detections must agree.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
from jaxtyping import Bool, Float, Float32

from seyolo.boxes import iou_matrix
from seyolo.detections import Detections
from seyolo.errors import ExportError, counted

Images = Float32[np.ndarray, "N C H W"]
Raw = Float[np.ndarray, "... columns"]  # boxes in 4 columns, scores in the others: (N, P, 5+C) of a network
TOLERANCE = 1e-4  # relative to the largest value; on trained networks rounding errors are ten times smaller
SURE, UNSURE = 0.25, 0.15  # what one runtime detects at the first confidence, the other must at the second
SAME_BOX_IOU = 0.7
LEAST_AGREEMENT = 0.95  # share of the boxes above `SURE` that both runtimes must detect
FUSING_FORM = ".xml, or .onnx with --for its runtime"  # rounds only what convolutions read


class Written(NamedTuple):
    """Files of one format, the first of which is opened; of int8 the share of boxes equal to the model's."""

    files: tuple[Path, ...]
    agreement: float | None = None


def sample_image(
    height: int, width: int, generator: np.random.Generator, num_images: int = 1, channels: int = 3
) -> Images:
    """Returns images in [0, 1] with the statistics of photographs: soft shapes, edges and some grain."""
    images = []
    for _ in range(num_images):
        coarse = generator.random((max(2, height // 32), max(2, width // 32), channels), dtype=np.float32)
        image: Any = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)
        image = image.reshape(height, width, channels)  # OpenCV drops the axis of one channel
        left, top = int(generator.integers(width)), int(generator.integers(height))
        image[top:, left:] = 1 - image[top:, left:]
        image += generator.normal(0, 0.02, image.shape).astype(np.float32)
        images.append(np.clip(image, 0, 1).transpose(2, 0, 1))
    return np.ascontiguousarray(images, dtype=np.float32)


def relative_error(actual: Raw, expected: Raw) -> float:
    """Returns the largest difference of two raw outputs, relative to the largest expected value.

    Boxes (pixels) and scores (probabilities) have separate scales, and the larger error counts: on one scale
    pixels would hide a wrong score. Infinite when shapes differ or a number is not finite.
    """
    if actual.shape != expected.shape or not np.isfinite(actual).all() or not np.isfinite(expected).all():
        return float("inf")
    parts = (slice(0, 4), slice(4, None))
    return max(_peak_error(actual[..., part], expected[..., part]) for part in parts)


def _peak_error(actual: Float[np.ndarray, "..."], expected: Float[np.ndarray, "..."]) -> float:
    peak = max(float(np.abs(expected).max(initial=0.0)), float(np.finfo(np.float32).tiny))
    return float(np.abs(actual.astype(np.float64) - expected).max(initial=0.0)) / peak


def require_parity(actual: Raw, expected: Raw, runtime: str, tolerance: float = TOLERANCE) -> float:
    """Returns the relative error; an ExportError refuses one above `tolerance`."""
    error = relative_error(actual, expected)
    if error > tolerance:
        message = f"{runtime} gives another output than the model: relative error {error:.1e}, at most"
        raise ExportError(f"{message} {tolerance:.0e} is accepted; nothing was written")
    return error


def box_agreement(expected: Sequence[Detections], actual: Sequence[Detections]) -> float:
    """Returns the share of `SURE` boxes of either side that the other has at `UNSURE`; nan without any."""
    pairs = list(zip(expected, actual, strict=True))
    found = [_found_in(other, one) for pair in pairs for one, other in (pair, reversed(pair))]
    flags = np.concatenate([np.zeros(0, bool), *found])
    return float(flags.mean()) if flags.size else float("nan")


def found_again(expected: Sequence[Detections], actual: Sequence[Detections]) -> tuple[int, int]:
    """Returns how many of the `SURE` boxes the other side has at `UNSURE`, and how many there are."""
    found = [_found_in(other, one) for one, other in zip(expected, actual, strict=True)]
    return sum(int(flags.sum()) for flags in found), sum(map(len, found))


def _found_in(other: Detections, one: Detections) -> Bool[np.ndarray, " sure"]:
    """Tells for each box of `one` above `SURE` whether `other` has it with the same class."""
    sure = one[one.scores >= SURE]
    overlaps = iou_matrix(sure.boxes, other.boxes) * (sure.class_ids[:, None] == other.class_ids)
    found: Bool[np.ndarray, " sure"] = overlaps.max(axis=1, initial=0.0) >= SAME_BOX_IOU
    return found


def require_agreement(
    expected: Sequence[Detections], actual: Sequence[Detections], runtime: str, other_form: str = FUSING_FORM
) -> float:
    """Returns the share of boxes that agree, at least `LEAST_AGREEMENT`, see `box_agreement`.

    Raises:
        ExportError: fewer agree, and the message names the other form of int8; or there are no boxes.
    """
    agreement = box_agreement(expected, actual)
    if np.isnan(agreement):
        raise ExportError(
            f"nothing was found on {counted(len(expected), 'image')}, so int8 cannot be compared with the "
            "model; train it first, or give images of what it knows; nothing was written"
        )
    if agreement < LEAST_AGREEMENT:
        raise ExportError(
            f"{runtime} in int8 shares {agreement:.1%} of its boxes with the model on "
            f"{counted(len(expected), 'image')}, at least {LEAST_AGREEMENT:.0%} is accepted; give more or "
            f"other images, or try the other form of int8 ({other_form}); nothing was written"
        )
    return agreement
