"""Results of a slimming run: exported files, figures of every stage, and the files that report them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

from seyolo.checkpoint import write_checkpoint
from seyolo.darknet.cost import cost
from seyolo.data.datasets import Dataset
from seyolo.errors import ExportError, UsageError
from seyolo.evaluation.evaluate import Judgement, ap_lead, curves_by_split, split_metrics
from seyolo.exporting.formats import export
from seyolo.files import write_json, write_text
from seyolo.pruning.planning.plan import Plan
from seyolo.report.figures.slim_run import write_example_images, write_slim_figures
from seyolo.report.pages.write import PAGE_FILE, write_report
from seyolo.report.record import write_curves
from seyolo.report.tables.classes import slim_classes
from seyolo.report.tables.files import markdown
from seyolo.report.tables.slim import controls_markdown, markdown_table
from seyolo.results import EPOCH_0_FILE, RESULTS_FILE, SlimResults, StageResult, read_readiness
from seyolo.runs import BEST_FILE, SLIM_CHECKPOINT, SLIM_INT8, SLIM_ONNX
from seyolo.runtime.benchmark import Timing, benchmark
from seyolo.runtime.choice import open_backend
from seyolo.runtime.protocol import Backend
from seyolo.torchnet.build import DarknetModel, to_checkpoint
from seyolo.verbs.calibration import int8_images
from seyolo.verbs.slim_run import SlimRun

DARKNET_FILES = "slim.cfg + slim.weights"
WRITTEN = "written"
Models = Mapping[str, DarknetModel]  # of every stage in order: the dense one first, the slim one last


class Latency(NamedTuple):
    """Median milliseconds of a network, and their noise as in `StageResult`."""

    ms: float
    noise: float


def slim_results(
    run: SlimRun, models: Models, plan: Plan, judgements: Mapping[str, Judgement]
) -> SlimResults:
    """Exports the networks, times every stage, and collects the results of the run."""
    run.progress.message("exporting and timing every stage")
    names, num_classes = list(models), len(run.dataset.names)
    dense, slim = names[0], names[-1]
    artefacts = write_exports(run.folder, models[dense], models[slim], run.dataset)
    int8 = run.folder / SLIM_INT8 if artefacts[SLIM_INT8] == WRITTEN else None
    latency = measure_latency(models, int8)
    stages = [_stage(run, name, models[name], latency[name], judgements[name]) for name in names]
    return SlimResults(
        stages=tuple(stages),
        int8=_int8_row(run, stages[-1], int8, latency["int8"]) if int8 else None,
        lead=ap_lead(judgements[slim], judgements[dense], num_classes),
        plan=json.loads(plan.to_json()),
        readiness=read_readiness(run.folder / "readiness.json"),
        start_kept=(run.folder / "finetuned" / EPOCH_0_FILE).exists(),
        budget=run.config.budget,
        seed=run.config.seed,
        data=str(run.config.data),
        artefacts=artefacts,
    )


def _stage(
    run: SlimRun, name: str, model: DarknetModel, latency: Mapping[str, Latency], judgement: Judgement
) -> StageResult:
    counted = cost(model.network, *run.size_hw)
    return StageResult(
        stage=name,
        epochs=run.epochs_seen()[name],
        params=counted.params,
        size_bytes=_checkpoint_size(run.folder, name),
        macs=counted.macs,
        input_size=run.size_hw,
        metrics=split_metrics(judgement, run.dataset.names),
        latency_ms={runtime: found.ms for runtime, found in latency.items()},
        latency_noise={runtime: found.noise for runtime, found in latency.items()},
    )


def _int8_row(run: SlimRun, slim: StageResult, path: Path, latency: Mapping[str, Latency]) -> StageResult:
    """Returns the row of the int8 file: the slim network's, with its own size, AP and latency."""
    found = run.judge(open_backend(path), title="evaluating int8")
    return replace(
        slim,
        stage="int8",
        size_bytes=path.stat().st_size,
        metrics=split_metrics(found, run.dataset.names),
        latency_ms={runtime: found.ms for runtime, found in latency.items()},
        latency_noise={runtime: found.noise for runtime, found in latency.items()},
    )


def _checkpoint_size(folder: Path, stage: str) -> int:
    """Returns the bytes of a stage's file; a stage of no epochs has that of the stage before it."""
    if stage == "pruned":
        return (folder / "pruned.safetensors").stat().st_size
    path = folder / stage / BEST_FILE
    if path.exists():
        return path.stat().st_size
    return _checkpoint_size(folder, {"sparse": "dense", "finetuned": "pruned"}[stage])


def write_exports(folder: Path, dense: DarknetModel, slim: DarknetModel, dataset: Dataset) -> dict[str, str]:
    """Writes slim.safetensors, .onnx, .cfg and .weights, slim_int8.onnx and dense.onnx.

    Returns by file `written`, or why it does not exist.
    """
    write_checkpoint(folder / SLIM_CHECKPOINT, to_checkpoint(slim))
    export(dense, folder / "dense.onnx")
    export(slim, folder / SLIM_ONNX)
    return {
        **dict.fromkeys((SLIM_CHECKPOINT, "dense.onnx", SLIM_ONNX), WRITTEN),
        SLIM_INT8: write_int8(slim, folder / SLIM_INT8, dataset),
        DARKNET_FILES: _write_darknet(slim, folder / "slim.cfg"),
    }


def write_int8(model: DarknetModel, path: Path, dataset: Dataset) -> str:
    """Writes a network in int8, calibrated on the `train` split.

    Returns `written`, or why int8 is not applicable: too few images, or the detections change too much.
    """
    try:
        export(model, path, int8=True, pictures=int8_images(dataset))
    except (ExportError, UsageError) as error:
        return f"not applicable: {error}"
    return WRITTEN


def _write_darknet(model: DarknetModel, path: Path) -> str:
    try:
        export(model, path)
    except ExportError as error:
        return f"not applicable: {error}"
    return WRITTEN


def measure_latency(models: Models, int8: Path | None = None) -> dict[str, dict[str, Latency]]:
    """Measures the latency of each stage, and of an `int8` file, on torch and ONNX Runtime."""
    with TemporaryDirectory() as folder:
        backends = {}
        for name, model in models.items():
            checkpoint, onnx = Path(folder) / f"{name}.safetensors", Path(folder) / f"{name}.onnx"
            write_checkpoint(checkpoint, to_checkpoint(model))
            export(model, onnx)
            backends[f"{name} torch"] = open_backend(checkpoint)
            backends[f"{name} onnxruntime"] = open_backend(onnx)
        if int8 is not None:
            backends["int8 onnxruntime"] = open_backend(int8)
        timings = timed(backends)
    latency: dict[str, dict[str, Latency]] = {}
    for timing in timings:
        name, _, kind = timing.name.rpartition(" ")
        latency.setdefault(name, {})[kind] = Latency(round(timing.p50_ms, 3), round(timing.noise, 4))
    return latency


def timed(backends: Mapping[str, Backend]) -> list[Timing]:
    """Measures the latency per image at batch 1, interleaved in one run."""
    return benchmark(backends, repeats=30, warmup=5)


def report_slim_run(
    run: SlimRun, models: Models, plan: Plan, judgements: Mapping[str, Judgement], results: SlimResults
) -> None:
    """Writes results.json, table.md, controls.md, the figures, curves.json and report.html."""
    folder, dataset = run.folder, run.dataset
    write_json(folder / RESULTS_FILE, results.to_json())
    classes = slim_classes(results)
    table = classes.table()
    by_class = f"{markdown(table.header, table.rows)}\n" * bool(classes)
    write_text(folder / "table.md", f"{markdown_table(results)}\n{by_class}")
    if results.controls:
        write_text(folder / "controls.md", controls_markdown(results.controls))
    write_slim_figures(folder, models, plan, dataset, judgements)
    num_classes = len(dataset.names)
    write_curves(folder, {stage: curves_by_split(found, num_classes) for stage, found in judgements.items()})
    write_example_images(folder, dataset, judgements)
    write_report([folder], folder / PAGE_FILE)
