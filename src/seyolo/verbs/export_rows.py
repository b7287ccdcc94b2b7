"""Figures of exported files: error against the model, size and latency, each on the file's usual runtime."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float32

from seyolo.exporting.onnx import raw_output
from seyolo.exporting.parity import Written, sample_image
from seyolo.options.export import FileOptions
from seyolo.runtime.benchmark import Timing, benchmark
from seyolo.runtime.choice import open_backend
from seyolo.runtime.protocol import Backend
from seyolo.torchnet.build import DarknetModel

SECONDS, LEAST_REPEATS, MOST_REPEATS = 1.0, 3, 20  # of the latency of one file


@dataclass(frozen=True)
class ExportedRow:
    """Figures of one exported file.

    Attributes:
        file: the one to open.
        precision: of its kernels: `f32`, `f16` (computed in float32) or `int8`.
        runtime: that ran it; None with suppression inside, which is compared as the file is written.
        size_bytes: with the files beside it.
        error_px, error_score: largest difference from the model, of boxes and of scores, on a drawn image.
        agreement: share of boxes that an int8 file and the model both find on the calibration set, which
            must be 95 % for the file to be written.
        float_bytes: size of the weights in float32, of an int8 file.
        p50_ms: median latency of the network in one thread at batch 1.
        noise: of this latency, as in `Timing`.
    """

    file: Path
    precision: str
    size_bytes: int
    runtime: str | None = None
    error_px: float | None = None
    error_score: float | None = None
    agreement: float | None = None
    p50_ms: float | None = None
    noise: float | None = None
    float_bytes: int | None = None


def exported_rows(
    model: DarknetModel, made: Sequence[tuple[Written, FileOptions]]
) -> tuple[ExportedRow, ...]:
    """Returns the figures of files, in their order; latencies are measured in one interleaved run."""
    opened = [written.files[0] for written, options in made if not options.nms]
    num_threads = torch.get_num_threads()  # of the whole process, which PyTorch's backend sets
    try:
        backends = {path: open_backend(path, threads=1) for path in opened}
        timings = _timings(backends)
    finally:
        torch.set_num_threads(num_threads)
    net = model.network.net
    sample = sample_image(net.height, net.width, np.random.default_rng(0), channels=net.channels)
    drawn = _Drawn(sample, raw_output(model, sample)) if backends else None
    return tuple(
        _row(model, *each, backends.get(each[0].files[0]), timings.get(each[0].files[0]), drawn=drawn)
        for each in made
    )


class _Drawn(NamedTuple):
    image: Float32[np.ndarray, "1 c h w"]
    expected: Float32[np.ndarray, "1 p columns"]  # what the model makes of it


def _row(
    model: DarknetModel,
    written: Written,
    options: FileOptions,
    backend: Backend | None,
    timing: Timing | None,
    *,
    drawn: _Drawn | None,
) -> ExportedRow:
    file, agreement = written.files[0], written.agreement
    precision = "int8" if options.int8 else "f16" if options.half else "f32"
    size_bytes = sum(path.stat().st_size for path in written.files)
    float_bytes = 4 * sum(value.numel() for value in model.parameters()) if options.int8 else None
    if backend is None or timing is None or drawn is None:
        return ExportedRow(file, precision, size_bytes, agreement=agreement, float_bytes=float_bytes)
    off = np.abs(backend.infer(drawn.image) - drawn.expected)
    return ExportedRow(
        file,
        precision,
        size_bytes,
        backend.name,
        float(off[..., :4].max()),
        float(off[..., 4:].max()),
        agreement,
        timing.p50_ms,
        timing.noise,
        float_bytes,
    )


def _timings(backends: Mapping[Path, Backend]) -> dict[Path, Timing]:
    if not backends:
        return {}
    named = {str(path): backend for path, backend in backends.items()}
    begin = time.perf_counter()
    benchmark(named, repeats=1, warmup=1)
    round_s = (time.perf_counter() - begin) / 2 / len(named)
    repeats = min(max(int(SECONDS / round_s), LEAST_REPEATS), MOST_REPEATS)
    timings = benchmark(named, repeats=repeats, warmup=0)
    return {Path(timing.name): timing for timing in timings}
