"""Latency of several detectors measured side by side.

Warmed up, and interleaved: every round runs each detector once, so that a machine that slows down
(heat, a neighbour) slows all of them alike and their ratio stays honest. Before every turn there is a rest:
a runtime's threads keep spinning for milliseconds after its work, and would take the next one's cores. A turn
is timed in three parts, letterbox, inference and post-processing, whose sum is what a user waits for. The
timing core takes its clock from outside.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

import numpy as np
from jaxtyping import Float64, UInt8

from seyolo.detections import Detections
from seyolo.errors import UsageError
from seyolo.letterbox import to_batch
from seyolo.runtime.protocol import Backend

Clock = Callable[[], int]
"""Nanoseconds from a fixed start, such as `time.perf_counter_ns`."""

REST_S = 0.01
"""PyTorch's threads spin some 5 ms. One model alone rests, too, so that it is timed as beside others."""

Key = TypeVar("Key")
Turn = Callable[[int, Clock], Sequence[int]]
"""Does the work of turn number n and returns the clock's readings: at the start and after each part."""


@dataclass(frozen=True)
class Timing:
    """Latency of one detector in milliseconds: medians (p50) and 95th percentiles over the rounds.

    `p50_ms` and `p95_ms` are inference alone, `total_*` a decoded photo to its detections, all at batch 1.
    `pictures_per_s` counts all timed photos over all their time, one after the other;
    `batch_pictures_per_s` the same `batch` at a time, `batch_network_per_s` inference alone; both are None
    where `batch` is 1.
    """

    name: str
    repeats: int
    p50_ms: float
    p95_ms: float
    preprocess_p50_ms: float
    postprocess_p50_ms: float
    total_p50_ms: float
    total_p95_ms: float
    pictures_per_s: float
    batch: int
    batch_pictures_per_s: float | None
    batch_network_per_s: float | None


def benchmark(
    backends: Mapping[str, Backend],
    repeats: int = 50,
    warmup: int = 5,
    images: Sequence[UInt8[np.ndarray, "H W 3"]] | None = None,
    *,
    confidence: float = 0.25,
    batch: int = 1,
    clock: Clock = time.perf_counter_ns,
) -> list[Timing]:
    """Times detectors against each other, in one run.

    Args:
        backends: the detectors by the name they have in the table.
        repeats: timed rounds, at least 1.
        warmup: rounds before them that do not count.
        images: decoded BGR photos, taken in turn; by default one drawn 1280x720 image.
        confidence: of the post-processing.
        batch: so many photos at once are timed, too; a file made for one runs once for each.
        clock: where the time comes from.

    Raises:
        UsageError: no detectors, no photos, or less than one round or photo at once.
    """
    if images is None:
        images = [gradient_image(720, 1280)]
    if not backends or not images or repeats < 1 or warmup < 0 or batch < 1:
        raise UsageError(
            "a benchmark needs at least one model, one image, one repeat and a batch of 1; got "
            f"{len(backends)} models, {len(images)} images, {repeats} repeats, {warmup} warm-up rounds, "
            f"a batch of {batch}"
        )
    turns = {
        (name, count): partial(detect_timed, backend, images, count=count, confidence=confidence)
        for name, backend in backends.items()
        for count in sorted({1, batch})
    }
    durations = time_interleaved(turns, repeats, warmup, clock)
    return [_summarise(name, durations[name, 1], durations[name, batch], batch) for name in backends]


def time_interleaved(
    turns: Mapping[Key, Turn], repeats: int, warmup: int, clock: Clock
) -> dict[Key, Float64[np.ndarray, "repeats parts"]]:
    """Runs the turns round robin and returns the duration of each part in milliseconds."""
    readings: dict[Key, list[Sequence[int]]] = {name: [] for name in turns}
    rounds = [(number, False) for number in range(warmup)] + [(number, True) for number in range(repeats)]
    for number, counts in rounds:
        for name, turn in turns.items():
            time.sleep(REST_S)
            reading = turn(number, clock)
            if counts:
                readings[name].append(reading)
    return {name: np.diff(np.array(rows, dtype=np.int64), axis=1) / 1e6 for name, rows in readings.items()}


def gradient_image(height: int, width: int) -> UInt8[np.ndarray, "height width 3"]:
    """A smooth image without anything to find, for when no photos are given."""
    down = np.linspace(0, 255, height)[:, None, None]
    right = np.linspace(0, 255, width)[None, :, None]
    return np.broadcast_to((down + right) / 2, (height, width, 3)).astype(np.uint8)


def detect_timed(
    backend: Backend,
    images: Sequence[UInt8[np.ndarray, "H W 3"]],
    number: int,
    clock: Clock,
    *,
    count: int = 1,
    confidence: float = 0.25,
) -> tuple[int, int, int, int]:
    """A turn: the next `count` of the images, and the clock around letterbox, inference, post-processing."""
    photos = [images[(number * count + index) % len(images)] for index in range(count)]
    start = clock()
    batch, placements = to_batch(photos, backend.input_size, backend.letterbox_mode)
    prepared = clock()
    outputs = backend.infer(batch)
    inferred = clock()
    for raw, placement in zip(outputs, placements, strict=True):
        Detections.from_raw(raw, placement, confidence)
    return start, prepared, inferred, clock()


def _summarise(
    name: str,
    parts_ms: Float64[np.ndarray, "repeats 3"],
    batch_parts_ms: Float64[np.ndarray, "repeats 3"],
    batch: int,
) -> Timing:
    preprocess, inference, postprocess = parts_ms.T
    total = parts_ms.sum(axis=1)
    return Timing(
        name=name,
        repeats=len(total),
        p50_ms=float(np.median(inference)),
        p95_ms=float(np.percentile(inference, 95)),
        preprocess_p50_ms=float(np.median(preprocess)),
        postprocess_p50_ms=float(np.median(postprocess)),
        total_p50_ms=float(np.median(total)),
        total_p95_ms=float(np.percentile(total, 95)),
        pictures_per_s=_per_second(parts_ms),
        batch=batch,
        batch_pictures_per_s=batch * _per_second(batch_parts_ms) if batch > 1 else None,
        batch_network_per_s=batch * _per_second(batch_parts_ms[:, 1:2]) if batch > 1 else None,
    )


def _per_second(parts_ms: Float64[np.ndarray, "repeats 3"]) -> float:
    return len(parts_ms) / float(parts_ms.sum()) * 1e3
