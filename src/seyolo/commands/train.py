"""`seyolo train`: dense training, sparsity training, fine-tuning."""

from __future__ import annotations

from rich.console import Group

import seyolo
from seyolo.commands.output import Json, check_target, show
from seyolo.data.datasets import load_dataset
from seyolo.errors import UsageError, counted
from seyolo.options.parameters import required
from seyolo.options.stored import read_train_options
from seyolo.options.train import TrainOptions
from seyolo.options.training import RunOptions
from seyolo.progress import console_progress
from seyolo.report.verdict import train_verdict
from seyolo.results import best_by, read_start
from seyolo.runs import BEST_FILE, NewRun
from seyolo.runtime.shipped import check_network

DEFAULTS = TrainOptions()
NEW_RUN = RunOptions()


def train(*, options: TrainOptions = DEFAULTS, run: RunOptions = NEW_RUN, json: Json = None) -> None:
    """Train a detector, dense or with sparsity, or fine-tune one.

    Args:
        json: write the result here as JSON, too; - is stdout.
    """
    check_target(json)
    check_network(options.model, options.weights)
    progress = console_progress()
    if run.resume is not None:
        folder = run.resume
        result = seyolo.api.resume_train(folder, progress, run.tracker, run.data_changed)
    else:
        data = required(options.data, "--data")
        asked, found = options.num_classes, len(load_dataset(data).names)
        if asked not in (None, found):
            advice = f"{data} names {counted(found, 'class')}; leave --num-classes out"
            raise UsageError(f"--num-classes {asked}: {advice}")
        new = NewRun("train", run.name)
        result = seyolo.train(
            data, options.model, options=options, folder=new, progress=progress, tracker=run.tracker
        )
        folder = new.taken
    best = folder / BEST_FILE
    figures = {name: getattr(result, name) for name in ("best_ap", "best_epoch", "history")}
    value = {"checkpoint": best, **figures, **({"start": result.start} if result.start else {})}
    row = result.best_row
    verdict = train_verdict(row, read_start(folder))
    is_sparse = read_train_options(folder).sparsity is not None
    ap = f"{best_by(row)} {result.best_ap:.3f}{verdict.remark()}"
    # Sparsity is complete after the last epoch, so that is the one which is kept, better or not.
    place = f"in epoch {result.best_epoch}" if result.best_epoch else "at the start, no epoch was better"
    what = f"{ap} after the last epoch" if is_sparse else f"best {ap} {place}"
    said = f"{what}: {best}"
    show(value, Group(*verdict.lines(), said), json)
