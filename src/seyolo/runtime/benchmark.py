"""Latency of several detectors measured side by side.

Batch 1, warmed up, and interleaved: every round runs each detector once, so that a machine that slows down
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

import numpy as np
from jaxtyping import Float64, UInt8

from seyolo.detections import Detections
from seyolo.errors import UsageError
from seyolo.letterbox import letterbox, to_tensor
from seyolo.runtime.backend import Backend

Clock = Callable[[], int]
"""Nanoseconds from a fixed start, such as `time.perf_counter_ns`."""

REST_S = 0.01
"""PyTorch's threads spin some 5 ms. One model alone rests, too, so that it is timed as beside others."""

Turn = Callable[[int, Clock], Sequence[int]]
"""Does the work of turn number n and returns the clock's readings: at the start and after each part."""


@dataclass(frozen=True)
class Timing:
    """Latency of one detector in milliseconds: medians (p50) and 95th percentiles over the rounds.

    `p50_ms` and `p95_ms` are inference alone, `total_*` a decoded photo to its detections.
    """

    name: str
    repeats: int
    p50_ms: float
    p95_ms: float
    preprocess_p50_ms: float
    postprocess_p50_ms: float
    total_p50_ms: float
    total_p95_ms: float


def benchmark(
    backends: Mapping[str, Backend],
    repeats: int = 50,
    warmup: int = 5,
    images: Sequence[UInt8[np.ndarray, "H W 3"]] | None = None,
    *,
    confidence: float = 0.25,
    clock: Clock = time.perf_counter_ns,
) -> list[Timing]:
    """Times detectors against each other, in one run.

    Args:
        backends: the detectors by the name they have in the table.
        repeats: timed rounds, at least 1.
        warmup: rounds before them that do not count.
        images: decoded BGR photos, taken in turn; by default one drawn 1280x720 picture.
        confidence: of the post-processing.
        clock: where the time comes from.

    Raises:
        UsageError: no detectors, no photos, or less than one round.
    """
    if images is None:
        images = [gradient_picture(720, 1280)]
    if not backends or not images or repeats < 1 or warmup < 0:
        raise UsageError(
            "a benchmark needs at least one model, one picture and one repeat; got "
            f"{len(backends)} models, {len(images)} pictures, {repeats} repeats, {warmup} warm-up rounds"
        )
    turns = {name: partial(_detect, backend, images, confidence) for name, backend in backends.items()}
    durations = time_interleaved(turns, repeats, warmup, clock)
    return [_summarise(name, durations[name]) for name in backends]


def time_interleaved(
    turns: Mapping[str, Turn], repeats: int, warmup: int, clock: Clock
) -> dict[str, Float64[np.ndarray, "repeats parts"]]:
    """Runs the turns round robin and returns the duration of each part in milliseconds."""
    readings: dict[str, list[Sequence[int]]] = {name: [] for name in turns}
    rounds = [(number, False) for number in range(warmup)] + [(number, True) for number in range(repeats)]
    for number, counts in rounds:
        for name, turn in turns.items():
            time.sleep(REST_S)
            reading = turn(number, clock)
            if counts:
                readings[name].append(reading)
    return {name: np.diff(np.array(rows, dtype=np.int64), axis=1) / 1e6 for name, rows in readings.items()}


def gradient_picture(height: int, width: int) -> UInt8[np.ndarray, "height width 3"]:
    """A smooth picture without anything to find, for when no photos are given."""
    down = np.linspace(0, 255, height)[:, None, None]
    right = np.linspace(0, 255, width)[None, :, None]
    return np.broadcast_to((down + right) / 2, (height, width, 3)).astype(np.uint8)


def _detect(
    backend: Backend,
    images: Sequence[UInt8[np.ndarray, "H W 3"]],
    confidence: float,
    number: int,
    clock: Clock,
) -> tuple[int, int, int, int]:
    image = images[number % len(images)]
    start = clock()
    fitted, placement = letterbox(image, backend.input_size, backend.letterbox_mode)
    batch = to_tensor(fitted)[None]
    prepared = clock()
    raw = backend.infer(batch)
    inferred = clock()
    Detections.from_raw(raw[0], placement, confidence)
    return start, prepared, inferred, clock()


def _summarise(name: str, parts_ms: Float64[np.ndarray, "repeats 3"]) -> Timing:
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
    )
