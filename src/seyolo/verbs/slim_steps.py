"""`slim`: from photos to a smaller detector and its before/after table.

Dense training; from an early epoch of it sparsity training, plan, pruning, repair and fine-tuning; then
evaluation, export and the requested controls.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from seyolo.progress import Progress, Silent
from seyolo.results import SlimResults
from seyolo.training.trackers import NoTracker, OpenTracker
from seyolo.verbs.calibration import plan_of
from seyolo.verbs.controls import ControlName, Finished, control_results, joined_rows, kept_rows
from seyolo.verbs.slim_config import SlimConfig
from seyolo.verbs.slim_report import report_slim_run
from seyolo.verbs.slim_results import judge_stages, slim_results
from seyolo.verbs.slim_run import SlimRun


def slim(
    config: SlimConfig,
    folder: str | Path,
    resume: bool = False,
    *,
    controls: Sequence[ControlName] = (),
    progress: Progress | None = None,
    tracker: OpenTracker | None = None,
) -> SlimResults:
    """Trains, prunes, fine-tunes, evaluates, exports and reports.

    Args:
        config: what is asked for.
        folder: the run's folder.
        resume: go on with the run in `folder`.
        controls: what to train beside it, see `verbs.controls`; they may be added to a finished run, whose
            other controls keep their rows.
        progress: where to tell how far it is.
        tracker: opens what each training stage tells its figures to.

    Raises:
        TrainingError: the folder holds another run, or nothing to resume.
        BudgetError: the budget cannot be met; checked before the first hour is spent.
    """
    run = SlimRun(config, Path(folder), progress or Silent(), tracker=tracker or NoTracker)
    run.check_folder(resume)
    start = run.starting_model()
    rough = plan_of(start, config, None, run.progress)
    run.begin()
    run.announce(start, rough)
    dense = run.dense(start)
    sparse = run.sparse(run.branch(dense))
    plan = run.plan(sparse)
    pruned = run.cut(sparse, plan)
    slim_model = run.finetune(pruned, dense)
    models = {"dense": dense, "sparse": sparse, "pruned": pruned, "finetuned": slim_model}
    if not config.finetune:
        del models["finetuned"]
    judgements = judge_stages(run, models)
    results = slim_results(run, models, plan, judgements)
    rows = kept_rows(run.folder)
    if controls:
        final, judgement = list(models.values())[-1], list(judgements.values())[-1]
        rows = joined_rows(rows, control_results(Finished(run, dense, final, judgement), controls))
    results = replace(results, controls=rows)
    report_slim_run(run.folder, run.dataset, models, plan, judgements, results=results)
    return results
