"""Results of a slimming run: exported files, figures of every stage, and the files that report them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from seyolo.checkpoint import write_checkpoint
from seyolo.darknet.cost import cost
from seyolo.data.datasets import Dataset
from seyolo.errors import ExportError, UsageError
from seyolo.evaluation.evaluate import Judgement
from seyolo.evaluation.splits import ap_lead, curves_by_split, split_metrics
from seyolo.exporting.formats import export
from seyolo.exporting.quantize import calibration_images
from seyolo.files import write_json, write_text
from seyolo.pruning.planning.plan import Plan
from seyolo.report.figures.examples import write_example_images
from seyolo.report.figures.slim_run import write_slim_figures
from seyolo.report.pages.write import PAGE_FILE, write_report
from seyolo.report.record import write_curves
from seyolo.report.tables.controls import controls_markdown
from seyolo.report.tables.stages import markdown_table
from seyolo.results import RESULTS_FILE, SlimResults, StageResult, readiness_from
from seyolo.runtime.choice import open_backend
from seyolo.runtime.protocol import Backend
from seyolo.torchnet.build import DarknetModel, to_checkpoint
from seyolo.verbs.evaluate import judge
from seyolo.verbs.slim_run import SlimRun
from seyolo.verbs.timing import measure_latency

Models = Mapping[str, DarknetModel]
"""The network of every stage in order: the dense one first, the slim one last."""


def judge_stages(run: SlimRun, models: Models) -> dict[str, Judgement]:
    """Returns labels and detections of every stage."""
    return {name: _judge(run, model, name) for name, model in models.items()}


def slim_results(
    run: SlimRun, models: Models, plan: Plan, judgements: Mapping[str, Judgement]
) -> SlimResults:
    """Exports the networks, times every stage, and collects the results of the run.

    Args:
        run: its folder receives the exported files and holds readiness.json.
        models: the network of every stage.
        plan: of the cut.
        judgements: labels and detections of every stage.
    """
    run.progress.message("exporting and timing every stage")
    names, num_classes = list(models), len(run.dataset.names)
    dense, slim = names[0], names[-1]
    artefacts = write_exports(run.folder, models[dense], models[slim], run.dataset)
    int8 = run.folder / INT8_FILE if artefacts[INT8_FILE] == WRITTEN else None
    latency = measure_latency(models, int8)
    stages = [_stage(run, name, models[name], latency[name], judgements[name]) for name in names]
    return SlimResults(
        stages=tuple(stages),
        int8=_int8_row(run, stages[-1], int8, latency["int8"]) if int8 else None,
        lead=ap_lead(judgements[slim], judgements[dense], num_classes),
        plan=json.loads(plan.to_json()),
        readiness=readiness_from(json.loads((run.folder / "readiness.json").read_text(encoding="utf-8"))),
        budget=run.config.budget,
        seed=run.config.seed,
        data=str(run.config.data),
        artefacts=artefacts,
    )


def _judge(run: SlimRun, model: DarknetModel | Backend, name: str) -> Judgement:
    config, title = run.config, f"evaluating {name}"
    return judge(model, run.dataset, config.size, device=config.device, progress=run.progress, title=title)


def _stage(
    run: SlimRun, name: str, model: DarknetModel, latency_ms: Mapping[str, float], judgement: Judgement
) -> StageResult:
    counted = cost(model.network, *run.size_hw)
    return StageResult(
        stage=name,
        epochs=run.config.epochs_seen()[name],
        params=counted.params,
        size_bytes=_checkpoint_size(run.folder, name),
        macs=counted.macs,
        input_size=run.size_hw,
        metrics=split_metrics(judgement, len(run.dataset.names)),
        latency_ms=latency_ms,
    )


def _int8_row(run: SlimRun, slim: StageResult, path: Path, latency_ms: Mapping[str, float]) -> StageResult:
    """Returns the row of the int8 file: the slim network's, with its own size, AP and latency."""
    found = _judge(run, open_backend(path), "int8")
    return replace(
        slim,
        stage="int8",
        size_bytes=path.stat().st_size,
        metrics=split_metrics(found, len(run.dataset.names)),
        latency_ms=latency_ms,
    )


def _checkpoint_size(folder: Path, stage: str) -> int:
    """Returns the bytes of a stage's file; a stage of no epochs has that of the stage before it."""
    if stage == "pruned":
        return (folder / "pruned.safetensors").stat().st_size
    path = folder / stage / "best.safetensors"
    if path.exists():
        return path.stat().st_size
    return _checkpoint_size(folder, {"sparse": "dense", "finetuned": "pruned"}[stage])


INT8_FILE = "slim_int8.onnx"
DARKNET_FILES = "slim.cfg + slim.weights"
WRITTEN = "written"


def write_exports(folder: Path, dense: DarknetModel, slim: DarknetModel, dataset: Dataset) -> dict[str, str]:
    """Writes slim.safetensors, .onnx, .cfg and .weights, slim_int8.onnx and dense.onnx.

    Args:
        folder: of the run.
        dense, slim: the networks.
        dataset: its `train` split calibrates int8.

    Returns:
        By file `written`, or why it does not exist.
    """
    write_checkpoint(folder / "slim.safetensors", to_checkpoint(slim))
    export(dense, folder / "dense.onnx")
    export(slim, folder / "slim.onnx")
    return {
        **dict.fromkeys(("slim.safetensors", "dense.onnx", "slim.onnx"), WRITTEN),
        INT8_FILE: write_int8(slim, folder / INT8_FILE, dataset),
        DARKNET_FILES: _write_darknet(slim, folder / "slim.cfg"),
    }


def write_int8(model: DarknetModel, path: Path, dataset: Dataset) -> str:
    """Writes a network in int8, calibrated on training images.

    Args:
        model: the network in float32.
        path: of the `.onnx` file.
        dataset: its `train` split is the calibration set.

    Returns:
        `written`, or why int8 is not applicable: too few images, or the detections change too much.
    """
    try:
        export(model, path, int8=True, pictures=calibration_images(dataset.images("train")))
    except (ExportError, UsageError) as error:
        return f"not applicable: {error}"
    return WRITTEN


def _write_darknet(model: DarknetModel, path: Path) -> str:
    try:
        export(model, path)
    except ExportError as error:
        return f"not applicable: {error}"
    return WRITTEN


def report_slim_run(
    folder: Path,
    dataset: Dataset,
    models: Mapping[str, DarknetModel],
    plan: Plan,
    judgements: Mapping[str, Judgement],
    *,
    results: SlimResults,
) -> None:
    """Writes results.json, table.md, controls.md, the figures, curves.json and report.html.

    Args:
        folder: of the run.
        dataset: that the networks were evaluated on.
        models: the network of every stage.
        plan: of the cut.
        judgements: labels and detections of every stage.
        results: of the run.
    """
    write_json(folder / RESULTS_FILE, results.to_json())
    write_text(folder / "table.md", markdown_table(results) + "\n")
    if results.controls:
        write_text(folder / "controls.md", controls_markdown(results.controls))
    write_slim_figures(folder, models, plan, dataset, judgements)
    num_classes = len(dataset.names)
    curves = {stage: curves_by_split(found, num_classes) for stage, found in judgements.items()}
    write_curves(folder, curves)
    write_example_images(folder, dataset, judgements)
    write_report([folder], folder / PAGE_FILE)
