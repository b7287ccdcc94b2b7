"""`seyolo slim`: the main job."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter
from rich.console import Group

import seyolo
from seyolo.commands.options import (
    MODEL_DEFAULTS,
    PLAN_DEFAULTS,
    RUN_DEFAULTS,
    SPARSITY_DEFAULTS,
    Json,
    RunOptions,
    SparsityOptions,
)
from seyolo.commands.output import check_target, remark, show
from seyolo.commands.settings import required
from seyolo.options.cut import CutOptions
from seyolo.options.model import ModelOptions
from seyolo.options.parameters import REPEATABLE
from seyolo.progress import console_progress
from seyolo.report.tables.controls import controls_table
from seyolo.report.tables.stages import stage_table
from seyolo.results import SlimResults
from seyolo.runs import new_run, resumable
from seyolo.runtime.shipped import refuse_shipped


def slim(
    *,
    data: Path | None = None,
    model: str | None = None,
    budget: Annotated[tuple[str, ...], REPEATABLE] = (),
    size: int = 416,
    epochs: int | None = None,
    branch_epoch: int | None = None,
    sparse_epochs: int | None = None,
    finetune_epochs: int | None = None,
    finetune: Annotated[bool, Parameter(negative="--no-finetune")] = True,
    controls: Annotated[tuple[str, ...], REPEATABLE] = (),
    sparsity: SparsityOptions = SPARSITY_DEFAULTS,
    choices: CutOptions = PLAN_DEFAULTS,
    blocks: Annotated[bool, Parameter(negative=())] = False,
    repair: Literal["reconstruct", "recalibrate", "none"] = "reconstruct",
    distill: float = 0.0,
    start: ModelOptions = MODEL_DEFAULTS,
    run: RunOptions = RUN_DEFAULTS,
    json: Json = None,
) -> None:
    """Photos in, a slim detector and its before/after table out.

    Trains dense. From an early epoch of that, trains sparse, cuts to the budget, repairs and fine-tunes, for
    twice as many epochs and about as long in all. Then evaluates on every split but train, exports and draws.
    Prints an estimate of the time first. Ctrl-C loses no finished epoch. Weights that are trained for the
    data's classes are slimmed as they are, without dense training.

    Args:
        data: a data.yaml, Darknet .data, COCO .json or VOC folder with the splits train and val, and more for
            the table.
        model: a zoo name such as yolov3@0.25, a .cfg or a checkpoint.
        budget: what the result may cost: macs=30%, macs=1.2G, params=2.4M, latency=8ms@onnxruntime (or
            opencv, torch), channels=85% (removed); may be given several times, then all hold
            [default: macs=30%].
        size: side of the square input in pixels.
        epochs: of dense training; the slim network sees twice as many unless its stages are set [default: 30,
            or 0 for trained weights].
        branch_epoch: of dense training, from which slimming goes its own way [default: 6 % of the slim
            network's epochs, or the last where nothing is trained after the cut].
        sparse_epochs: of sparsity training [default: 18 % of the slim network's epochs].
        finetune_epochs: after the cut [default: the rest].
        finetune: without it the run ends after the cut.
        controls: train and judge beside it what else as many images buy: dense, uniform, scratch, random,
            lowres, int8, plain, or all; with --resume they are added to a finished run.
        blocks: residual blocks may go as a whole.
        repair: fit the kept kernels to what the network put out before the cut (reconstruct), only measure
            batch normalisation anew (recalibrate), or leave the network as it is cut (none).
        distill: how much the dense network counts as a teacher in fine-tuning; the labels count 1.
        json: write results.json's content here, too; - is stdout.
    """
    check_target(json)
    refuse_shipped(model)
    progress = console_progress()
    if run.resume is not None:
        folder = run.resume
        with resumable("slim", folder):
            results = seyolo.api.resume_slim(folder, progress, controls, run.tracker)
    else:
        folder = new_run("slim", run.name)
        with resumable("slim", folder):
            results = seyolo.slim(
                required(data, "--data"),
                model,
                weights=start.weights,
                attention=start.attention,
                at=start.at,
                reduction=start.reduction,
                join=start.join,
                budget=budget or "macs=30%",
                size=size,
                epochs=epochs,
                branch_epoch=branch_epoch,
                sparse_epochs=sparse_epochs,
                finetune_epochs=finetune_epochs,
                finetune=finetune,
                controls=controls,
                batch=run.batch,
                lr=run.lr,
                seed=run.seed,
                device=run.device,
                train_settings={"sync_bn": True} if run.sync_bn else None,
                folder=folder,
                progress=progress,
                tracker=run.tracker,
                **sparsity.as_keywords(),
                cut=replace(choices, blocks=blocks),
                repair=repair,
                distill=distill,
            )
    typed = SlimResults.from_json(results)
    tables = [stage_table(typed)]
    if typed.controls:
        tables.append(controls_table(typed.controls))
    show(results, Group(*tables), json)
    remark(f"all of it on one page: {folder / 'report.html'}; models and images lie beside it")
