"""Results of a slimming run: cost, file size, AP and latency of every stage."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from seyolo.darknet.cost import cost
from seyolo.evaluation.evaluate import Judgement, ap_lead, split_metrics
from seyolo.pruning.planning.plan import Plan
from seyolo.results import SlimResults, StageResult, readiness_from
from seyolo.runtime.choice import open_backend
from seyolo.runtime.protocol import Backend
from seyolo.torchnet.build import DarknetModel
from seyolo.verbs.judging import judge
from seyolo.verbs.slim_exports import INT8_FILE, WRITTEN, write_exports
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
