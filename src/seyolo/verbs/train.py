"""`train` and `resume_train`.

A run's folder holds its options, so that `resume_train` needs only the folder. Besides the files of
`seyolo.training.loop` there are images: train_batch.jpg at the start; at the end curves.png,
precision_recall.png, confidence.png, val_predictions.jpg and, with sparsity, scales_over_time.png.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Unpack

from seyolo.data.small_boxes import warn_of_small_boxes
from seyolo.errors import UsageError
from seyolo.files import write_json
from seyolo.json_files import to_json
from seyolo.opening.description import weights_beside
from seyolo.opening.network import open_model
from seyolo.options.keywords import TrainKeywords
from seyolo.options.parameters import build
from seyolo.options.stored import TRAIN_FILE, read_train_options
from seyolo.options.train import USUAL_EPOCHS, TrainOptions
from seyolo.progress import Keeping, Progress, RunClock, kept_warnings, shown_progress, tell
from seyolo.pruning.groups.groups import tied_scales
from seyolo.report.figures.bn_scales import SCALES_FIGURE
from seyolo.report.figures.train_run import write_batch, write_train_figures
from seyolo.report.record import read_training
from seyolo.runs import NewRun, new_run, resumed_run
from seyolo.runtime.shipped import CHECKPOINT, is_checkpoint
from seyolo.sizes import USUAL_SIZE
from seyolo.torchnet.build import DarknetModel
from seyolo.torchnet.device import limited_threads
from seyolo.training.config import TrainConfig
from seyolo.training.distillation import Distillation, check_teacher, with_classes_of
from seyolo.training.distributed import on_leader
from seyolo.training.loop import TrainResult, first_batch
from seyolo.training.loop import train as run_train
from seyolo.training.run_folder import RunState, check_environment, keep_command, saved_state
from seyolo.training.sparsity import PUBLISHED_STRENGTH, Sparsity, make_sparsity
from seyolo.training.step import measure_step_seconds
from seyolo.training.trackers import Monitor, OpenTracker, TrackerName, chosen_tracker
from seyolo.training.validation import validation_splits
from seyolo.verbs.announce import Place, announce_task, announce_time, run_start, training_seconds
from seyolo.verbs.effort import with_effort
from seyolo.verbs.readiness import scales_of_training
from seyolo.verbs.stages import TEACHER_SHARE
from seyolo.verbs.start import (
    check_classes,
    check_data,
    check_machine,
    is_trained,
    model_to_train,
    open_data,
    with_model,
)

DEFAULT_DISTILL = 1.0
FIGURES_S = 2.6  # beside other work; 0.9 s of processor time


@on_leader
def train(
    data: str | Path,
    model: str | Path | None = None,
    *,
    options: TrainOptions | None = None,
    folder: str | Path | NewRun | None = None,
    progress: Progress | bool | None = True,
    tracker: TrackerName | OpenTracker | None = None,
    **keywords: Unpack[TrainKeywords],
) -> TrainResult:
    """Trains a detector on a data set's `train` split and keeps the checkpoint that is best on `val`.

    Given weights of the same classes stay the best where no epoch is better.
    In a program that `torchrun` starts several times, all of them train together and get the result.

    Args:
        data: a data set as it is: a folder, an archive, or the file that describes it.
        model: a zoo name, a `.cfg`, a checkpoint or a shipped detector; by default the checkpoint in
            `weights`, else yolov3@0.25.
        options: all options at once; `keywords` take the place of their values.
        folder: the run's folder; by default a new one under `runs/train`.
        progress: True shows it as the command line does, or in a notebook; False does not; or a receiver.
        tracker: `tensorboard`, `mlflow` or `wandb`, or a function that opens another
            `seyolo.training.trackers.Tracker`.
        keywords: the fields of `seyolo.options.train.TrainOptions`, where each is explained.

    Raises:
        SeyoloError: one of its kinds, for whatever the user can mend.

    Example:
        >>> trained = seyolo.train("hands/data.yaml", "yolov3-tiny@0.25", epochs=20, size=320)
        >>> 0 <= trained.best_ap <= 1
        True
    """
    given = {**keywords, "data": data, "model": model and str(model)}
    chosen = build(TrainOptions, "train", options, given)
    opener = chosen_tracker(tracker)

    def write(path: Path) -> None:
        keep_command(path.parent, is_new=True)
        write_json(path, to_json(chosen))

    with kept_warnings(shown_progress(progress)) as keeping:
        chosen = with_effort(with_model(chosen, keeping), USUAL_EPOCHS)
        with new_run("train", folder or NewRun("train"), TRAIN_FILE, write) as run_folder:
            return _train(chosen, run_folder, None, progress=keeping, tracker=opener)


@on_leader
def resume_train(
    folder: str | Path,
    progress: Progress | bool | None = True,
    tracker: TrackerName | OpenTracker | None = None,
    data_changed: bool = False,
) -> TrainResult:
    """Continues a training run exactly where it was stopped.

    Args:
        folder: of the run.
        progress: as in `train`.
        tracker: as in `train`.
        data_changed: goes on although images or labels have changed since the run began.

    Raises:
        TrainingError: the folder holds no run of `train`, another process works in it, or the data changed.

    Example:
        >>> seyolo.api.resume_train("runs/train/train").model.names
        ('hand',)
    """
    shown = kept_warnings(shown_progress(progress))
    with shown as keeping, resumed_run("train", folder, TRAIN_FILE) as run_folder:
        options = read_train_options(run_folder)
        check_machine(options)
        opener = chosen_tracker(tracker)
        assert options.epochs is not None
        state = saved_state(run_folder, options.epochs)
        keep_command(run_folder, is_new=False)
        with limited_threads(options.threads):
            check_environment(run_folder)
        return _train(options, run_folder, state, data_changed, progress=keeping, tracker=opener)


def _train(
    options: TrainOptions,
    folder: Path,
    state: RunState | None,
    data_changed: bool = False,
    *,
    progress: Keeping,
    tracker: OpenTracker,
) -> TrainResult:
    progress.keep_in(folder)
    with limited_threads(options.threads):
        run = _Run(options, folder, state, progress, data_changed)
        distillation = _distillation(options, run.dataset.names)
        model = run.model(distillation)
        clock = run.announce(model)
        result = run_train(
            model,
            run.dataset,
            run.config,
            folder,
            sparsity=_sparsity(options, model),
            distillation=distillation,
            state=state,
            monitor=Monitor(run.progress, tracker, clock=clock, settings=to_json(options)),
        )
        samples = [sample for split in run.validation for sample in run.dataset.split(split)]
        write_train_figures(folder, result.model, samples, run.config.size_hw, read_training(folder))
        if options.sparsity is not None:
            tell(progress, scales_of_training(result.model, folder / SCALES_FIGURE))
        return result


class _Run:
    """A run of `train`: its data set, checked against that of the run so far, and its configuration."""

    def __init__(
        self,
        options: TrainOptions,
        folder: Path,
        state: RunState | None,
        progress: Progress,
        data_changed: bool,
    ) -> None:
        self.options, self.folder, self.state, self.progress = options, folder, state, progress
        self.config = TrainConfig.of(options, epochs=options.epochs, size=options.size or USUAL_SIZE)
        self.dataset = open_data(options, folder, progress)
        self.validation = validation_splits(self.dataset)
        check_data(folder, self.dataset, ["train", *self.validation], data_changed)

    def model(self, distillation: Distillation | None) -> DarknetModel:
        """Returns the model to train: that of the state, or a new one, with the first batch in a picture."""
        if self.state is not None:
            model = self.state.model(self.folder)
            check_classes(self.folder, model.names, self.dataset)
            self.config = replace(self.config, start_counts=bool(self.state.record.start))
            return model
        model = model_to_train(self.options, self.dataset, self.config)
        counts = self.options.sparsity is None and is_trained(self.options, model)
        self.config = replace(self.config, start_counts=counts)
        if distillation is not None:
            check_teacher(model, distillation)
        mode = model.network.net.letterbox_mode
        warn_of_small_boxes(self.dataset.split("train"), self.config.size_hw, mode)
        images, targets = first_batch(self.dataset, self.config, model.network.net)
        write_batch(self.folder, images.numpy(), targets.numpy(), self.dataset.names)
        return model

    def announce(self, model: DarknetModel) -> RunClock:
        """Tells what the run will do; returns the clock of its time, estimated from a few measured steps."""
        start = run_start(self.options, self.dataset, model, {"train": self.config})
        announce_task(start, self.dataset, model, self.progress)
        step_s = measure_step_seconds(model, self.dataset, self.config, self.progress)
        step_s *= 1 + (TEACHER_SHARE if self.options.teacher else 0)
        parts = {"train": training_seconds(self.config, self.dataset, step_s), "figures": FIGURES_S}
        seconds = sum(parts.values())
        done = self.state.record.epoch / self.config.epochs if self.state else 0.0
        place = Place(self.folder, "train", seconds - done * parts["train"])
        announce_time(replace(start, seconds=seconds), self.dataset, place, self.progress)
        return RunClock(parts)


def _sparsity(options: TrainOptions, model: DarknetModel) -> Sparsity | None:
    if options.sparsity is None:
        return None
    strength = PUBLISHED_STRENGTH if options.s is None else options.s
    return make_sparsity(options.sparsity, strength, options.schedule, tied_scales(model.network))


def _distillation(options: TrainOptions, names: Sequence[str]) -> Distillation | None:
    """Opens the teacher, if there is one, its classes in this order; refuses what is no trained model."""
    if options.teacher is None:
        return None
    path = options.teacher
    if not is_checkpoint(path) and weights_beside(path) is None:
        raise UsageError(
            f"--teacher {path}: a teacher is a trained {CHECKPOINT} checkpoint, "
            "or a .cfg with its .weights beside it"
        )
    weight = DEFAULT_DISTILL if options.distill is None else options.distill
    return with_classes_of(Distillation(open_model(path), weight, str(path)), names)
