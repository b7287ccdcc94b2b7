"""`seyolo train`: dense training, sparsity training, fine-tuning."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

import seyolo
from seyolo.commands.options import MODEL_DEFAULTS, RUN_DEFAULTS, Json, RunOptions
from seyolo.commands.output import check_target, show
from seyolo.commands.settings import matching_classes, required
from seyolo.data.datasets import load_dataset
from seyolo.options.model import ModelOptions
from seyolo.progress import console_progress
from seyolo.runs import new_run, resumable
from seyolo.runtime.shipped import refuse_shipped


def train(
    *,
    data: Path | None = None,
    model: str | None = None,
    sparsity: Literal["l1", "proximal", "group"] | None = None,
    s: float | None = None,
    schedule: Literal["constant", "decay"] = "constant",
    epochs: int = 100,
    size: int = 416,
    multi_scale: Annotated[bool, Parameter(negative=())] = False,
    teacher: str | None = None,
    distill: float | None = None,
    start: ModelOptions = MODEL_DEFAULTS,
    run: RunOptions = RUN_DEFAULTS,
    json: Json = None,
) -> None:
    """Train a detector, dense or with sparsity, or fine-tune one.

    Args:
        data: a data.yaml, Darknet .data, COCO .json or VOC folder with the splits train and val.
        model: a zoo name such as yolov3@0.25, a .cfg or a checkpoint; by default the checkpoint in --weights.
        sparsity: push batch-normalisation scales to zero: l1 by its subgradient as published, proximal, or
            group, which shrinks tied channels together.
        s: strength of the sparsity; 0.01 unless given.
        schedule: of the strength: constant, or decay linearly to zero.
        epochs: passes over the training images.
        size: side of the square input in pixels.
        multi_scale: draw another input size for each epoch.
        teacher: a trained checkpoint of the same classes, or a .cfg with its .weights beside it, to learn
            from besides the labels.
        distill: how much the teacher counts; 1, like the labels, unless given.
        json: write the result here as JSON, too; - is stdout.
    """
    check_target(json)
    refuse_shipped(model)
    progress = console_progress()
    if run.resume is not None:
        folder = run.resume
        with resumable("train", folder):
            result = seyolo.api.resume_train(folder, progress, run.tracker)
    else:
        data = required(data, "--data")
        matching_classes(start.num_classes, len(load_dataset(data).names), str(data))
        folder = new_run("train", run.name)
        with resumable("train", folder):
            result = seyolo.train(
                data,
                model,
                weights=start.weights,
                attention=start.attention,
                at=start.at,
                reduction=start.reduction,
                join=start.join,
                sparsity=sparsity,
                s=s,
                schedule=schedule,
                epochs=epochs,
                batch=run.batch,
                size=size,
                lr=run.lr,
                seed=run.seed,
                device=run.device,
                multi_scale=multi_scale,
                sync_bn=run.sync_bn,
                teacher=teacher,
                distill=distill,
                folder=folder,
                progress=progress,
                tracker=run.tracker,
            )
    best = folder / "best.safetensors"
    value = {
        "checkpoint": best,
        "best_ap": result.best_ap,
        "best_epoch": result.best_epoch,
        "history": result.history,
    }
    show(value, f"best AP on val {result.best_ap:.3f} in epoch {result.best_epoch}: {best}", json)
