"""Latency of several detectors, measured in one run.

The detectors are warmed up and interleaved: every round runs each detector once, so that a machine that slows
down slows all of them and their ratio holds. Before every turn the benchmark rests: the threads of a runtime
spin for milliseconds after its work and would take cores from the next runtime.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

import numpy as np
from jaxtyping import Float64, UInt8

from seyolo.errors import UsageError, counted
from seyolo.runtime.inference import Thresholds, detect_images
from seyolo.runtime.protocol import Backend

Clock = Callable[[], int]  # nanoseconds from a fixed start, such as `time.perf_counter_ns`
REST_S = 0.01  # PyTorch's threads spin for about 5 ms; a single model rests too, so that its figures compare
Parts = Float64[np.ndarray, "repeats parts"]  # milliseconds of letterbox, inference and post-processing
Key = TypeVar("Key")
Turn = Callable[[int, Clock], Sequence[int]]  # turn number -> clock at the start and after each part


@dataclass(frozen=True)
class Timing:
    """Latency of one detector in milliseconds: medians (p50) and 95th percentiles over the rounds.

    `p50_ms` and `p95_ms` are inference alone, `total_*` from decoded image to detections, all at batch 1.
    `pictures_per_s` is the number of timed images by their total time, one image at a time;
    `batch_pictures_per_s` is the same at `batch` images at a time and `batch_network_per_s` its inference
    alone; both are None where `batch` is 1. `noise` of the inference and `total_noise` are half the distance
    of the 10 % and 90 % quantiles as a share of the median.
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
    noise: float
    total_noise: float


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
    """Measures the latency of detectors in one run.

    Args:
        backends: the detectors by their names in the table.
        repeats, warmup: rounds that are timed, and rounds before them that are not.
        images: decoded BGR images, taken in turn; by default one drawn 1280x720 image.
        confidence: threshold of the post-processing.
        batch: also time this many images at once; a file made for batch 1 runs once per image.
        clock: returns nanoseconds.

    Raises:
        UsageError: no detectors, no images, or a number below 1.
    """
    if images is None:
        images = [gradient_image(720, 1280)]
    if not backends or not images or repeats < 1 or warmup < 0 or batch < 1:
        raise UsageError(
            "a benchmark needs at least one model, one image, one repeat and a batch of 1; got "
            f"{counted(len(backends), 'model')}, {counted(len(images), 'image')}, "
            f"{counted(repeats, 'repeat')}, {counted(warmup, 'warm-up round')}, "
            f"a batch of {batch}"
        )
    turns = {
        (name, count): partial(detect_timed, backend, images, count=count, confidence=confidence)
        for name, backend in backends.items()
        for count in sorted({1, batch})
    }
    durations = time_interleaved(turns, repeats, warmup, clock)
    return [_summarise(name, durations[name, 1], durations[name, batch], batch) for name in backends]


def time_interleaved(turns: Mapping[Key, Turn], repeats: int, warmup: int, clock: Clock) -> dict[Key, Parts]:
    """Runs the turns in rounds; returns the duration of each part in milliseconds."""
    readings: dict[Key, list[Sequence[int]]] = {name: [] for name in turns}
    for number in (*range(warmup), *range(repeats)):
        for name, turn in turns.items():
            time.sleep(REST_S)
            readings[name].append(turn(number, clock))
    timed = {name: np.array(rows[warmup:], dtype=np.int64) for name, rows in readings.items()}
    return {name: np.diff(rows, axis=1) / 1e6 for name, rows in timed.items()}


def gradient_image(height: int, width: int) -> UInt8[np.ndarray, "height width 3"]:
    """Returns a smooth image without objects."""
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
) -> list[int]:
    """Detects in the next `count` images; reads the clock at the start and after each of the three steps."""
    chosen = [images[(number * count + index) % len(images)] for index in range(count)]
    readings = [clock()]
    detect_images(backend, chosen, Thresholds(confidence), after_step=lambda: readings.append(clock()))
    return readings


def _summarise(name: str, parts_ms: Parts, batch_parts_ms: Parts, batch: int) -> Timing:
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
        noise=_noise(inference),
        total_noise=_noise(total),
    )


def _noise(milliseconds: Float64[np.ndarray, " repeats"]) -> float:
    low, median, high = np.percentile(milliseconds, [10, 50, 90])
    return float((high - low) / 2 / median)


def _per_second(parts_ms: Parts) -> float:
    return len(parts_ms) / float(parts_ms.sum()) * 1e3
