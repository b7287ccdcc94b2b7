"""`train` and `resume_train`.

A run writes down what it was asked for, so that `resume_train` needs nothing but the folder. Besides what
`seyolo.training.loop` writes there are images: train_batch.jpg at its start; at its end curves.png,
precision_recall.png, confidence.png, val_predictions.jpg and, with sparsity, scales_over_time.png.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from seyolo.checkpoint import read_checkpoint
from seyolo.darknet.placement import GateKind
from seyolo.darknet.sections import Join
from seyolo.data.datasets import load_dataset
from seyolo.errors import UsageError
from seyolo.files import write_json
from seyolo.opening.description import CHECKPOINT, Attention, make_attention
from seyolo.opening.model import open_model
from seyolo.progress import Progress, Silent
from seyolo.pruning.groups.groups import tied_scales
from seyolo.report.figures.train_run import write_batch, write_train_figures
from seyolo.runs import existing_run, new_run
from seyolo.torchnet.build import DarknetModel, from_checkpoint
from seyolo.torchnet.device import torch_device
from seyolo.training.config import TrainConfig
from seyolo.training.distillation import Distillation, check_teacher
from seyolo.training.distributed import on_leader
from seyolo.training.environment import keep_command
from seyolo.training.loop import TrainResult, first_batch
from seyolo.training.loop import train as run_train
from seyolo.training.prepare import starting_model
from seyolo.training.run_folder import can_resume
from seyolo.training.sparsity import PUBLISHED_STRENGTH, make_sparsity
from seyolo.training.trackers import Monitor, OpenTracker, TrackerName, chosen_tracker
from seyolo.training.validation import validation_splits
from seyolo.verbs.settings import attention_of, check_training, chosen_model, read_settings

DEFAULT_DISTILL = 1.0
SETTINGS_FILE = "command.json"


@dataclass(frozen=True)
class TrainSettings:
    """What `train` is asked for: all that a resumed run needs."""

    data: str
    model: str
    weights: str | None
    attention: Attention | None
    sparsity: str | None
    strength: float
    schedule: str
    epochs: int
    batch_size: int
    size_px: int
    learning_rate: float
    seed: int
    device: str
    multi_scale: bool
    teacher: str | None = None
    distill: float = DEFAULT_DISTILL
    sync_bn: bool = False

    def train_config(self) -> TrainConfig:
        """The training loop's part of the settings."""
        return TrainConfig(
            epochs=self.epochs,
            batch_size=self.batch_size,
            size_px=self.size_px,
            learning_rate=self.learning_rate,
            seed=self.seed,
            device=self.device,
            multi_scale=self.multi_scale,
            sync_bn=self.sync_bn,
        )


@on_leader
def train(
    data: str | Path,
    model: str | Path | None = None,
    *,
    weights: str | Path | None = None,
    attention: GateKind | None = None,
    at: str | Sequence[str] = (),
    reduction: int = 16,
    join: Join = "scale",
    sparsity: str | None = None,
    s: float | None = None,
    schedule: str = "constant",
    epochs: int = 100,
    batch: int = 16,
    size: int = 416,
    lr: float = 1.5e-3,
    seed: int = 0,
    device: str = "cpu",
    multi_scale: bool = False,
    sync_bn: bool = False,
    teacher: str | Path | None = None,
    distill: float | None = None,
    folder: str | Path | None = None,
    progress: Progress | None = None,
    tracker: TrackerName | OpenTracker | None = None,
) -> TrainResult:
    """Trains a detector on a data set's `train` split and keeps the checkpoint that is best on `val`.

    In a program that `torchrun` starts several times, all of them train together and get the result.

    Args:
        data: a `data.yaml`, Darknet `.data`, COCO `.json` or VOC folder.
        model: a zoo name, a `.cfg` or a checkpoint; by default the checkpoint in `weights`, else yolov3@0.25.
        weights: what to start from; random without.
        attention: `se` or `cbam` gates to attach, at the places `at` with `reduction` and `join`.
        sparsity: `l1` (subgradient, as published), `proximal` or `group` (lasso over tied channels), of
            strength `s` (0.01 unless given).
        schedule: of the strength: `constant`, or `decay` linearly to zero.
        epochs, batch, size, lr, seed, device: of training; `size` is the side of the square input in pixels.
        multi_scale: draw another input size for each epoch.
        sync_bn: normalise the images of all processes by common statistics.
        teacher: a trained checkpoint, or a `.cfg` with its `.weights` beside it, to learn from besides the
            labels; of the same classes, strides and anchors per cell.
        distill: how much the teacher counts; 1, like the labels, unless given.
        folder: of the run; by default a new one under `runs/train`.
        progress: where to tell how far it is.
        tracker: `tensorboard`, or what opens another `seyolo.training.trackers.Tracker`.

    Raises:
        SeyoloError: one of its kinds, for whatever the user can mend.
    """
    opener = chosen_tracker(tracker)
    model, weights = chosen_model(model, weights)
    check_training(epochs=epochs, batch=batch, lr=lr, seed=seed, device=device)
    settings = TrainSettings(
        data=str(data),
        model=model,
        weights=weights,
        attention=make_attention(model, attention, at, reduction, join),
        sparsity=sparsity,
        strength=_strength(sparsity, s),
        schedule=schedule,
        epochs=epochs,
        batch_size=batch,
        size_px=size,
        learning_rate=lr,
        seed=seed,
        device=device,
        multi_scale=multi_scale,
        teacher=None if teacher is None else str(teacher),
        distill=_distill(teacher, distill),
        sync_bn=sync_bn,
    )
    folder = Path(folder) if folder is not None else new_run("train")
    return _train(settings, folder, resume=False, progress=progress, tracker=opener)


@on_leader
def resume_train(
    folder: str | Path,
    progress: Progress | None = None,
    tracker: TrackerName | OpenTracker | None = None,
) -> TrainResult:
    """Goes on with a training run exactly where its last finished epoch left it.

    Raises:
        TrainingError: the folder holds no run of `train`.
    """
    folder = existing_run(folder, SETTINGS_FILE)
    values = read_settings(folder / SETTINGS_FILE)
    values["attention"] = attention_of(values["attention"])
    opener = chosen_tracker(tracker)
    return _train(TrainSettings(**values), folder, can_resume(folder), progress, opener)


def _train(
    settings: TrainSettings, folder: Path, resume: bool, progress: Progress | None, tracker: OpenTracker
) -> TrainResult:
    torch_device(settings.device)
    dataset = load_dataset(settings.data)
    config = settings.train_config()
    distillation = None
    if settings.teacher is not None:
        distillation = Distillation(_open_teacher(settings.teacher), settings.distill, settings.teacher)
    is_new = not (folder / SETTINGS_FILE).exists()
    if resume:
        model = from_checkpoint(read_checkpoint(folder / "last.safetensors"))
    else:
        model = starting_model(settings.model, dataset, config, settings.weights, settings.attention)
        if distillation is not None:
            check_teacher(model, distillation)
        write_json(folder / SETTINGS_FILE, asdict(settings))
        images, targets = first_batch(dataset, config)
        write_batch(folder, images.numpy(), targets.numpy(), dataset.names)
    keep_command(folder, is_new=is_new)
    sparsity = None
    if settings.sparsity is not None:
        ties = tied_scales(model.network)
        sparsity = make_sparsity(settings.sparsity, settings.strength, settings.schedule, ties)
    result = run_train(
        model,
        dataset,
        config,
        folder,
        sparsity=sparsity,
        distillation=distillation,
        resume=resume,
        monitor=Monitor(progress or Silent(), tracker),
    )
    samples = [sample for split in validation_splits(dataset) for sample in dataset.split(split)]
    write_train_figures(folder, result.model, samples, config.size_px, result.history)
    return result


def _strength(sparsity: str | None, s: float | None) -> float:
    if sparsity is None and s is not None:
        raise UsageError(
            "--s is the strength of sparsity training; say which with --sparsity l1, proximal or group"
        )
    return PUBLISHED_STRENGTH if s is None else s


def _distill(teacher: str | Path | None, distill: float | None) -> float:
    if teacher is None and distill is not None:
        raise UsageError("--distill is how much a teacher counts; say which with --teacher MODEL")
    return DEFAULT_DISTILL if distill is None else distill


def _open_teacher(teacher: str) -> DarknetModel:
    path = Path(teacher)
    if path.suffix != CHECKPOINT and not (path.suffix == ".cfg" and path.with_suffix(".weights").is_file()):
        raise UsageError(
            f"--teacher {teacher}: a teacher is a trained {CHECKPOINT} checkpoint, "
            "or a .cfg with its .weights beside it"
        )
    return open_model(path)
