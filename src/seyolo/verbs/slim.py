"""`slim` and `resume_slim`: from photos to a smaller detector and the table that compares the two.

Dense training; from an early epoch of that sparsity training, plan, cut, repair and fine-tuning; evaluation,
export and, where asked for, the controls.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Unpack

from seyolo.data.datasets import load_dataset
from seyolo.errors import TrainingError, UsageError
from seyolo.files import write_json
from seyolo.json_files import from_json
from seyolo.opening.network import load
from seyolo.options.cut import CutOptions
from seyolo.options.keywords import SlimKeywords
from seyolo.options.parameters import build
from seyolo.options.slim import USUAL_EPOCHS, SlimOptions
from seyolo.options.stored import SLIM_FILE, read_slim_options, stored_slim
from seyolo.progress import Keeping, Progress, Silent, kept_warnings, shown_progress, tell
from seyolo.report.outcomes import SlimOutcome
from seyolo.results import RESULTS_FILE, SlimResults, read_results
from seyolo.runs import NewRun, existing_run, new_run, resumed_run
from seyolo.runtime.shipped import is_checkpoint
from seyolo.torchnet.device import limited_threads
from seyolo.training.distributed import on_leader
from seyolo.training.run_folder import ENVIRONMENT_FILE, check_environment, describe_environment, keep_command
from seyolo.training.trackers import NoTracker, OpenTracker, TrackerName, chosen_tracker
from seyolo.verbs.calibration import plan_of
from seyolo.verbs.controls import Finished, control_results, joined_rows
from seyolo.verbs.effort import with_effort
from seyolo.verbs.slim_results import report_slim_run, slim_results
from seyolo.verbs.slim_run import SlimRun
from seyolo.verbs.start import check_data, with_model

OLD_NAMES = {"strength": "s"}  # keyword arguments of version 0.1.0, and their names today


@on_leader
def slim(
    data: str | Path,
    model: str | Path | None = None,
    *,
    options: SlimOptions | None = None,
    train_settings: Mapping[str, Any] | None = None,
    folder: str | Path | NewRun | None = None,
    progress: Progress | bool | None = True,
    tracker: TrackerName | OpenTracker | None = None,
    **keywords: Unpack[SlimKeywords],
) -> SlimOutcome:
    """Trains a detector, prunes it to a budget, fine-tunes it and compares the two.

    Args:
        data: a data set as it is: a folder, an archive, or the file that describes it.
        model: a zoo name, a `.cfg`, a checkpoint or a shipped detector; by default the checkpoint in
            `weights`, else yolov3@0.25.
        options: all options at once; `keywords` take the place of their values.
        train_settings: options of training by name, `sync_bn` for instance; another way to give `keywords`.
        folder: the run's folder; by default a new one under `runs/slim`.
        progress: True shows it as the command line does, or in a notebook; False does not; or a receiver.
        tracker: `tensorboard`, `mlflow` or `wandb`, or a function that opens another
            `seyolo.training.trackers.Tracker`.
        keywords: the fields of `seyolo.options.slim.SlimOptions` and those of the cut, `PlanOptions`, where
            each is explained.

    Returns:
        The content of `results.json`; `folder` is that of the run.

    Raises:
        SeyoloError: one of its kinds, for whatever the user can mend.

    Example:
        >>> results = seyolo.slim("hands/data.yaml", "yolov3-tiny@0.25", budget="macs=30%", epochs=20)
        >>> results["stages"][-1]["metrics"]["val"]
        {'ap': ..., 'ap50': ...}
    """
    given: dict[str, Any] = {**(train_settings or {}), **keywords}
    given = {OLD_NAMES.get(name, name): value for name, value in given.items()}
    if "cut" in given:
        given.setdefault("blocks", from_json(given["cut"], CutOptions).blocks)
    chosen = build(SlimOptions, "slim", options, given | {"data": data, "model": model and str(model)})
    opener = chosen_tracker(tracker)
    place = folder or NewRun("slim")
    with kept_warnings(shown_progress(progress)) as keeping:
        results = run_slim(_resolved(chosen, keeping), place, progress=keeping, tracker=opener)
    return SlimOutcome(results, place.taken if isinstance(place, NewRun) else Path(place))


@on_leader
def resume_slim(
    folder: str | Path,
    progress: Progress | bool | None = True,
    controls: str | Sequence[str] = (),
    tracker: TrackerName | OpenTracker | None = None,
    *,
    data_changed: bool = False,
) -> SlimOutcome:
    """Continues a run of `slim` where it was stopped; `controls` may be added to a finished one.

    Args:
        folder: of the run.
        progress: as in `slim`.
        controls: as in `slim`.
        tracker: as in `slim`.
        data_changed: goes on although images or labels have changed since the run began.

    Raises:
        TrainingError: the folder holds no run of `slim`, another process works in it, or the data changed.

    Example:
        >>> seyolo.api.resume_slim("runs/slim/slim")["stages"][-1]["metrics"]["val"]
        {'ap': ..., 'ap50': ...}
    """
    folder = existing_run(folder, SLIM_FILE)
    options = read_slim_options(folder)
    asked = build(SlimOptions, "resume_slim", options, {"controls": controls}).controls
    options = replace(options, controls=tuple(dict.fromkeys(options.controls + asked)))
    opener = chosen_tracker(tracker)
    with kept_warnings(shown_progress(progress)) as keeping:
        results = run_slim(
            options, folder, resume=True, progress=keeping, tracker=opener, data_changed=data_changed
        )
    return SlimOutcome(results, folder)


def run_slim(
    options: SlimOptions,
    folder: str | Path | NewRun,
    resume: bool = False,
    *,
    progress: Progress | None = None,
    tracker: OpenTracker | None = None,
    data_changed: bool = False,
) -> SlimResults:
    """Trains, prunes, fine-tunes, evaluates, exports and reports.

    The options have model, epochs and attention sites filled in. With `resume` the run in the folder goes
    on; its controls keep their rows beside new ones.

    Raises:
        TrainingError: the folder holds another run, or nothing to resume.
        BudgetError: the budget cannot be met; found out before training.
    """

    def write(path: Path) -> None:
        keep_command(path.parent, is_new=True)
        write_json(path.with_name(ENVIRONMENT_FILE), describe_environment())
        write_json(path, stored_slim(options))

    if isinstance(folder, NewRun) or not resume:
        opened = new_run("slim", folder, SLIM_FILE, write)
    else:
        opened = resumed_run("slim", folder, SLIM_FILE)
    with limited_threads(options.threads), opened as path:
        if isinstance(progress, Keeping):
            progress.keep_in(path)
        if resume:
            stored = read_slim_options(path)
            if stored != replace(options, controls=stored.controls):
                raise TrainingError(f"{path}: the run there was started with other settings")
            if stored != options:  # controls were added
                write_json(path / SLIM_FILE, stored_slim(options))
            keep_command(path, is_new=False)
            check_environment(path)
        run = SlimRun(options, path, progress or Silent(), tracker=tracker or NoTracker)
        check_data(path, run.dataset, run.dataset.splits, data_changed)
        return _results(run)


def _results(run: SlimRun) -> SlimResults:
    """Runs every stage that is not done, and writes results and report."""
    options, start = run.config, run.starting_model()
    rough = plan_of(start, options, None, run.progress)
    earlier = run.folder / RESULTS_FILE
    rows = read_results(earlier).controls if earlier.exists() else ()
    run.announce(start, rough, {row.control for row in rows})
    dense = run.dense(start)
    sparse = run.sparse(run.branch(dense))
    plan = run.plan(sparse)
    pruned = run.cut(sparse, plan)
    slim_model = run.finetune(pruned, dense)
    models = {"dense": dense, "sparse": sparse, "pruned": pruned, "finetuned": slim_model}
    if not options.finetune:
        del models["finetuned"]
    judgements = {name: run.judge(model, title=f"evaluating {name}") for name, model in models.items()}
    results = slim_results(run, models, plan, judgements)
    controls = options.chosen_controls()
    if controls:
        final, judgement = list(models.values())[-1], list(judgements.values())[-1]
        rows = joined_rows(rows, control_results(Finished(run, dense, final, judgement), controls))
    results = replace(results, controls=rows)
    report_slim_run(run, models, plan, judgements, results)
    return results


def _resolved(options: SlimOptions, progress: Progress | None) -> SlimOptions:
    """Returns the options with model, input size, sites of attention and epochs of dense training."""
    options = with_model(options, progress)
    has_weights = options.weights is not None or is_checkpoint(options.model)
    if options.epochs is None and has_weights and options.attention is None and _is_whole(options):
        options = replace(options, epochs=0)
    if options.epochs == 0 and not has_weights:
        raise UsageError("--epochs 0 leaves out dense training: give trained weights with --weights")
    if options.epochs == 0 and options.freeze:
        raise UsageError("--freeze is of dense training; train with --epochs, or leave it out")
    chosen = with_effort(options, USUAL_EPOCHS)
    if options.sparse_epochs is None and chosen.sparse_epochs == 0:
        reason = "as on few images it takes away what given weights know"
        tell(progress, [f"sparsity training: left out, {reason}; --sparse-epochs N trains it"])
    return chosen


def _is_whole(options: SlimOptions) -> bool:
    """Returns whether the weights are all the network has, heads for the data's classes included."""
    assert options.model is not None
    assert options.data is not None
    names = load_dataset(options.data).names
    transfer: Any = load(options.model, options.weights, names=names).provenance.get("transfer", {})
    return not transfer.get("random")
