"""`seyolo slim`: the main job."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

import seyolo
from seyolo.commands.options import (
    MODEL_DEFAULTS,
    RUN_DEFAULTS,
    Json,
    ModelOptions,
    Repeatable,
    RunOptions,
)
from seyolo.commands.output import check_target, remark, show
from seyolo.commands.settings import required
from seyolo.progress import console_progress
from seyolo.report.table import stage_table
from seyolo.runs import new_run, resumable


def slim(
    *,
    data: Path | None = None,
    model: str | None = None,
    budget: Annotated[tuple[str, ...], Repeatable] = (),
    size: int = 416,
    epochs: int | None = None,
    sparse_epochs: int | None = None,
    finetune_epochs: int | None = None,
    finetune: Annotated[bool, Parameter(negative="--no-finetune")] = True,
    start: ModelOptions = MODEL_DEFAULTS,
    run: RunOptions = RUN_DEFAULTS,
    json: Json = None,
) -> None:
    """Photos in, a slim detector and its before/after table out.

    Trains dense, trains sparse, cuts to the budget, recalibrates, fine-tunes, evaluates on every split but
    train, exports and draws. Prints an estimate of the time first. Ctrl-C loses no finished epoch.

    Args:
        data: a data.yaml, Darknet .data, COCO .json or VOC folder with the splits train and val, and more for
            the table.
        model: a zoo name such as yolov3@0.25, a .cfg or a checkpoint.
        budget: what the result may cost: macs=30%, macs=1.2G, params=2.4M, channels=85% (removed); may be
            given several times, then all hold [default: macs=30%].
        size: side of the square input in pixels.
        epochs: of the dense stage; the other stages follow in proportion.
        sparse_epochs: of sparsity training.
        finetune_epochs: of fine-tuning.
        finetune: without it the run ends after the cut.
        json: write results.json's content here, too; - is stdout.
    """
    check_target(json)
    progress = console_progress()
    if run.resume is not None:
        folder = run.resume
        with resumable("slim", folder):
            results = seyolo.api.resume_slim(folder, progress)
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
                sparse_epochs=sparse_epochs,
                finetune_epochs=finetune_epochs,
                finetune=finetune,
                batch=run.batch,
                lr=run.lr,
                seed=run.seed,
                device=run.device,
                folder=folder,
                progress=progress,
            )
    show(results, stage_table(results), json)
    remark(f"table, pictures and models are in {folder}")
