"""`seyolo study`: gates x places x joins x budgets x seeds, as one table."""

from __future__ import annotations

from importlib import import_module

from seyolo.commands.output import Json, check_target, remark, show
from seyolo.detecting.run_folder import Shard, parse_shard
from seyolo.errors import UsageError
from seyolo.json_files import to_json
from seyolo.options.parameters import required
from seyolo.options.study import StudyOptions, StudySettings, check_settings
from seyolo.options.training import RunOptions
from seyolo.progress import console_progress
from seyolo.report.tables.study import study_notes, study_table
from seyolo.runs import RUNS
from seyolo.runtime.shipped import check_network

AXES, SETTINGS, NEW_RUN = StudyOptions(), StudySettings(), RunOptions()
MOST_NAMED = 8


def study(
    *,
    axes: StudyOptions = AXES,
    options: StudySettings = SETTINGS,
    run: RunOptions = NEW_RUN,
    shard: str | None = None,
    json: Json = None,
) -> None:
    """Does attention help? Gates, places, joins, budgets and seeds, trained on as many images each.

    Every network is trained dense once for each seed and slimmed to every budget. Tables of means and
    deviations are written as CSV, Markdown and LaTeX, with a chart. A study that was stopped goes on with
    --resume, or with the same command and --name; more gates, places, joins, budgets and seeds extend it.
    What is missing is named at the end. Several processes or machines work on it by --name and --shard 1/4,
    2/4, ...

    Args:
        shard: this worker's number and how many there are, such as 2/8: it takes every eighth network.
        json: write the rows here as JSON, too; - is stdout.
    """
    check_target(json)
    part = Shard() if shard is None else parse_shard(shard)
    check_network(options.model, options.weights)
    verb = import_module("seyolo.verbs.study")
    worker = {"shard": part, "progress": console_progress(), "tracker": run.tracker}
    if run.resume is not None:
        outcome = verb.resume_study(run.resume, data_changed=run.data_changed, **worker)
    else:
        data = required(options.data, "--data")
        settings = options.slim()
        check_settings(settings)
        if part.count > 1 and run.name is None:
            raise UsageError(f"--shard {shard}: give all workers the same --name")
        folder = None if run.name is None else RUNS / "study" / run.name
        outcome = verb.study(data, settings.model, options=settings, folder=folder, **worker, **vars(axes))
    values = {"rows": to_json(outcome.rows), "missing": list(outcome.missing)}
    table = study_table(outcome.rows, outcome.num_seeds) if outcome.rows else "no network is done yet"
    show(values, table, json)
    for note in study_notes(outcome.rows) if outcome.rows else ():
        remark(note)
    if outcome.missing:
        named = ", ".join(outcome.missing[:MOST_NAMED]) + (", …" if len(outcome.missing) > MOST_NAMED else "")
        remark(f"missing: {named} ({len(outcome.missing)} in all); go on with: {outcome.command}")
    page = f"; as a page: seyolo report {outcome.folder}" if outcome.rows else ""
    remark(f"tables and chart: {outcome.folder / 'study.csv'}, .md, .tex, .png and .pdf, networks.csv{page}")
