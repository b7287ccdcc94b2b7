"""`slim`: one command from photos to a smaller detector and the table that proves it.

Dense training; from an early epoch of that sparsity training, plan, cut, repair and fine-tuning; evaluation,
export and, where asked for, the controls.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from seyolo.progress import Progress, Silent
from seyolo.training.trackers import NoTracker, OpenTracker
from seyolo.verbs.calibration import plan_of
from seyolo.verbs.controls import ControlName, Finished, control_results, joined_rows, kept_rows
from seyolo.verbs.slim_config import SlimConfig
from seyolo.verbs.slim_run import SlimRun


def slim(
    config: SlimConfig,
    folder: str | Path,
    resume: bool = False,
    *,
    controls: Sequence[ControlName] = (),
    progress: Progress | None = None,
    tracker: OpenTracker | None = None,
) -> dict[str, Any]:
    """Trains, cuts and fine-tunes; returns what `results.json` holds.

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
    judgements = run.judge_stages(models)
    results = run.results(models, plan, judgements)
    rows = kept_rows(run.folder)
    if controls:
        final, judgement = list(models.values())[-1], list(judgements.values())[-1]
        rows = joined_rows(rows, control_results(Finished(run, dense, final, judgement), controls))
    if rows:
        results["controls"] = rows
    run.report(models, plan, results, judgements)
    return results
