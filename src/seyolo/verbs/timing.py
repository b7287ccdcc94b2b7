"""Latency of the networks of a run, and the estimated time of the run."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory

from seyolo.checkpoint import write_checkpoint
from seyolo.data.datasets import Dataset
from seyolo.exporting.formats import export
from seyolo.runtime.benchmark import benchmark
from seyolo.runtime.choice import open_backend
from seyolo.runtime.protocol import Backend
from seyolo.torchnet.build import DarknetModel, to_checkpoint
from seyolo.training.step import measure_step_seconds
from seyolo.verbs.slim_config import SlimConfig

TEACHER_SHARE = 0.25
"""Time of the teacher's forward pass, as a share of a training step of the dense network."""


def measure_latency(
    models: Mapping[str, DarknetModel], int8: Path | None = None
) -> dict[str, dict[str, float]]:
    """Measures median milliseconds per image on torch and ONNX Runtime at batch 1, interleaved in one run.

    Args:
        models: by stage.
        int8: an int8 file that is timed on ONNX Runtime, too.

    Returns:
        Milliseconds by stage, or `int8`, and runtime.
    """
    with TemporaryDirectory() as folder:
        backends = {}
        for name, model in models.items():
            stem = Path(folder) / name
            write_checkpoint(stem.with_suffix(".safetensors"), to_checkpoint(model))
            export(model, stem.with_suffix(".onnx"))
            backends[f"{name} torch"] = open_backend(stem.with_suffix(".safetensors"))
            backends[f"{name} onnxruntime"] = open_backend(stem.with_suffix(".onnx"))
        if int8 is not None:
            backends["int8 onnxruntime"] = open_backend(int8)
        timings = median_ms(backends)
    latency: dict[str, dict[str, float]] = {}
    for key, milliseconds in timings.items():
        name, _, kind = key.rpartition(" ")
        latency.setdefault(name, {})[kind] = round(milliseconds, 3)
    return latency


def median_ms(backends: Mapping[str, Backend]) -> dict[str, float]:
    """Measures median milliseconds per image at batch 1, interleaved in one run."""
    return {timing.name: timing.p50_ms for timing in benchmark(backends, repeats=30, warmup=5)}


def estimate_seconds(
    model: DarknetModel, dataset: Dataset, config: SlimConfig, kept_share: float
) -> dict[str, float]:
    """Estimates the time of each training stage from a few measured steps of the dense network.

    Args:
        model: the dense network; it is not changed.
        dataset: its `train` split is used.
        config: the options of the run.
        kept_share: share of the MACs that the pruned network has.

    Returns:
        Seconds by stage. A step of a pruned network is estimated to take the square root of its share of the
        MACs: memory traffic shrinks with the width, arithmetic with its square.
    """
    step = measure_step_seconds(model, dataset, config.train_config("dense"))
    images = len(dataset.split("train"))
    epochs = config.stage_epochs()
    per_epoch = step * images / config.batch_size
    teacher = TEACHER_SHARE if config.distill else 0.0
    factors = {"dense": 1.0, "sparse": 1.0, "finetuned": kept_share**0.5 + teacher}
    return {name: per_epoch * epochs[name] * factors[name] for name in epochs}
