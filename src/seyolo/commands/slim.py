"""`seyolo slim`: the main job."""

from __future__ import annotations

from dataclasses import replace

from rich.console import Group

import seyolo
from seyolo.commands.output import Json, check_target, remark, show
from seyolo.options.parameters import required
from seyolo.options.slim import SlimOptions
from seyolo.options.stored import read_slim_options
from seyolo.options.training import RunOptions
from seyolo.progress import console_progress
from seyolo.report.tables.classes import slim_classes
from seyolo.report.tables.slim import controls_table, files_text, int8_lines, stage_table
from seyolo.report.verdict import slim_verdict, summary
from seyolo.results import SlimResults, read_start
from seyolo.runs import NewRun
from seyolo.runtime.shipped import check_network

DEFAULTS = SlimOptions()
NEW_RUN = RunOptions()


def slim(*, options: SlimOptions = DEFAULTS, run: RunOptions = NEW_RUN, json: Json = None) -> None:
    """Photos in, a slim detector and its before/after table out.

    Trains the dense network. From an early epoch of it, trains with sparsity, prunes to the budget, repairs
    and fine-tunes: twice as many epochs, in about the same time. Then evaluates on every split but train,
    exports, and writes the report. Prints an estimate of the time first. A run that was stopped, whenever
    and however, goes on with --resume. Weights that are trained for the data's classes need no dense training
    and are slimmed as they are.

    Args:
        json: write results.json's content here, too; - is stdout.
    """
    check_target(json)
    check_network(options.model, options.weights)
    progress = console_progress()
    if run.resume is not None:
        folder = run.resume
        results = seyolo.api.resume_slim(
            folder, progress, options.controls, run.tracker, data_changed=run.data_changed
        )
    else:
        data = required(options.data, "--data")
        options = replace(options, budget=options.budget or DEFAULTS.budget)
        new = NewRun("slim", run.name)
        results = seyolo.slim(
            data, options.model, options=options, folder=new, progress=progress, tracker=run.tracker
        )
        folder = new.taken
    typed = SlimResults.from_json(results)
    controls = [controls_table(typed.controls)] if typed.controls else []
    is_new = read_slim_options(folder).activation is not None
    verdict = slim_verdict(typed, read_start(folder), new_activation=is_new)
    said = [*verdict.lines(), summary(typed, verdict)]
    parts = [
        stage_table(typed),
        files_text(typed),
        *int8_lines(typed),
        *slim_classes(typed).parts(),
        *controls,
    ]
    show(results, Group(*said, *parts), json)
    remark(f"all of it on one page: {folder / 'report.html'}; models and images lie beside it")
