"""`seyolo benchmark`: latency of several models side by side."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import seyolo
from seyolo.commands.options import MODEL_DEFAULTS, Json, ModelOptions, open_detector, options_for
from seyolo.commands.output import check_target, show, table
from seyolo.comparison import unique_names
from seyolo.data.datasets import load_dataset
from seyolo.errors import UsageError
from seyolo.progress import console_progress


def benchmark(
    *models: str,
    data: Path | None = None,
    repeats: int = 50,
    threads: int | None = None,
    device: str = "cpu",
    start: ModelOptions = MODEL_DEFAULTS,
    json: Json = None,
) -> None:
    """Latency of several models side by side, interleaved in one run at batch 1, and their AP.

    Args:
        models: .onnx and .xml files, checkpoints, .cfg files with their weights; zoo names run with random
            weights. Weights and model options are for the zoo names and .cfg files among them.
        data: a data set; its pictures are used, and AP is measured on every split but train (needs PyTorch).
        repeats: timed rounds.
        threads: of the CPU.
        device: cpu, cuda or cuda:N.
        json: write the result here as JSON, too; - is stdout.
    """
    check_target(json)
    if not models:
        raise UsageError("benchmark needs models: seyolo benchmark MODEL...")
    dataset = None if data is None else load_dataset(data)
    backends = {
        name: open_detector(
            str(model), options_for(str(model), start), device=device, threads=threads, random=True
        )
        for name, model in unique_names(models).items()
    }
    timings = seyolo.benchmark(backends, dataset, repeats=repeats)
    rows, values = [], []
    for timing, backend in zip(timings, backends.values(), strict=True):
        metrics = {}
        if dataset is not None:
            metrics = seyolo.evaluate(backend, dataset, progress=console_progress())
        scores = {f"AP {split}": measured.ap for split, measured in metrics.items()}
        rows.append(
            {
                "model": timing.name,
                "runtime": backend.name,
                "p50 ms": timing.p50_ms,
                "p95 ms": timing.p95_ms,
                "with pre/post ms": timing.total_p50_ms,
                **scores,
            }
        )
        values.append(
            {
                **asdict(timing),
                "runtime": backend.name,
                "input_size": list(backend.input_size),
                "metrics": {split: {"ap": m.ap, "ap50": m.ap50} for split, m in metrics.items()},
            }
        )
    show({"models": values}, table(rows), json)
