"""Options of training: augmentation, loss, schedule, sparsity, and the folder of a run."""

import math
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, Any, Literal, Self, get_args

from cyclopts import Parameter

from seyolo.errors import UsageError
from seyolo.options.parameters import (
    AUGMENTATION,
    REPEATABLE,
    RUN,
    SPARSITY,
    PythonOnly,
    check_choice,
    check_device,
    memory_bytes,
)
from seyolo.options.tile import TileOptions, check_tiles

USUAL_LR = 1.5e-3
MAX_LR = 10.0
MAX_SCALES_RATE = 1000.0
MAX_CLASS_WEIGHT = 1000.0
MAX_SEED = (1 << 32) - 1
Schedule = Literal["constant", "decay"]
SlimSparsity = Literal["group", "steered", "proximal", "l1"]
OptimizerName = Literal["adamw", "muon"]
TrackerName = Literal["tensorboard", "mlflow", "wandb"]


@dataclass(frozen=True)
class Augmentation:
    """Probabilities and ranges of the random changes; colour and flip are drawn for each source image."""

    mosaic: float = 1.0
    """probability that a training image is a mosaic; else it is one letterboxed image."""

    grid_probabilities: tuple[float, ...] = (0.5, 0.25, 0.12, 0.08, 0.05)
    """entry i is the probability that a mosaic has (i + 1)² tiles."""

    scale_min: float = 0.7
    """lower end of the log-uniform zoom; 1 just covers the tile in a mosaic, and is the letterbox scale in a
    single image."""

    scale_max: float = 1.4
    """upper end of the zoom."""

    aspect: float = 0.15
    """width over height changes by a factor up to `1 + aspect`, or its inverse."""

    translate: float = 0.05
    """largest part of the shorter side by which an image may leave its tile; below 1, so that some of the
    image always shows."""

    keep_object: float = 0.8
    """probability that a crop holds one of the image's objects."""

    flip: float = 0.5
    """probability of mirroring left and right."""

    hue: float = 0.015
    """largest shift of the hue, as a part of the colour circle."""

    saturation: float = 0.7
    """largest relative change of the saturation."""

    value: float = 0.4
    """largest relative change of the brightness."""

    gamma: float = 0.35
    """largest |log| of the exponent of the brightness."""

    min_visible: float = 0.3
    """a box is kept when at least this part of its area is still visible."""

    min_side_px: float = 3.0
    """a box is kept when what is visible is at least this wide and high, in pixels."""

    def plain(self) -> Self:
        """Returns the recipe of the last epochs: single images near the scale of evaluation."""
        single = replace(self, mosaic=min(0.3, self.mosaic))
        return single if self.scale_min == self.scale_max else replace(single, scale_min=0.5, scale_max=1.25)


NO_ZOOM = {"scale_min": 1.0, "scale_max": 1.0, "aspect": 0.0, "translate": 0.0}
NO_COLOUR = {"hue": 0.0, "saturation": 0.0, "value": 0.0, "gamma": 0.0}


@dataclass(frozen=True)
class LossWeights:
    """Weights of the terms of the detection loss."""

    box: float = 7.5
    """of the distance between boxes (complete IoU)."""

    objectness: float = 0.5
    """of the objectness."""

    classes: float = 0.5
    """of the classes."""

    def as_tuple(self) -> tuple[float, float, float]:
        """Returns the weights of boxes, objectness and classes."""
        return self.box, self.objectness, self.classes


@dataclass(frozen=True)
class TrainingOptions(TileOptions):
    """Options of training; raises UsageError and BackendError for values out of their range."""

    batch: Annotated[int | Literal["auto"], RUN] = "auto"
    """images per step, in all processes together; auto takes 16, and fewer where there are few images."""

    lr: Annotated[float | Literal["auto"], RUN] = "auto"
    """peak learning rate; auto takes 0.0015, and three tenths of it where given weights are slimmed on
    few images."""

    optimizer: Annotated[OptimizerName, RUN] = "muon"
    """muon for the kernels in front of batch normalisation and adamw for the rest, or adamw for all, which
    needs twice the epochs."""

    seed: Annotated[int, RUN] = 0
    """seed of everything random."""

    device: Annotated[str, RUN] = "auto"
    """cpu, cuda, cuda:N or N for the GPU of that number; auto takes a GPU where there is one."""

    threads: Annotated[int | None, RUN] = None
    """threads of the CPU [default: one per core]."""

    patience: Annotated[int | None, RUN] = None
    """stop dense training and fine-tuning after this number of epochs without a better AP on val."""

    freeze: Annotated[int, RUN] = 0
    """keep this number of first layers as they are in dense training, as `seyolo info --layers` numbers them;
    needs trained weights."""

    class_weights: Annotated[tuple[str, ...], RUN, REPEATABLE] = ()
    """weight of a class in the loss, such as hand=2, or auto: rare classes weigh more, by the inverse square
    root of their boxes [default: 1]."""

    mosaic: Annotated[bool, AUGMENTATION] = True
    """join several images into one, which makes objects of all sizes."""

    flip: Annotated[bool, AUGMENTATION] = True
    """mirror left and right; not where the side decides the class, as with letters."""

    zoom: Annotated[bool, AUGMENTATION] = True
    """enlarge, reduce, stretch and shift."""

    colour: Annotated[bool, AUGMENTATION] = True
    """change hue, saturation and brightness; not where the colour decides the class."""

    sync_bn: Annotated[bool, Parameter(negative=(), group="Run")] = False
    """where torchrun starts several processes, normalise by the statistics of all their images."""

    multi_scale: Annotated[bool, Parameter(negative=(), group="Run")] = False
    """draw another input size for each epoch."""

    save_every: Annotated[float, RUN] = 5.0
    """minutes after which the state inside an epoch is saved; 0 saves after each epoch only."""

    cache: Annotated[str, RUN] = "3GB"
    """memory for decoded images, in each process: 4GB, 500MB, or 0; other images are decoded at every use."""

    weight_decay: PythonOnly[float] = 0.02
    """weight decay of AdamW."""

    warmup_epochs: PythonOnly[float] = 1.0
    """epochs in which the learning rate rises to its peak."""

    plain_share: PythonOnly[float] = 0.15
    """share of the epochs at the end that see single images instead of mosaics."""

    average_decay: PythonOnly[float] = 0.999
    """decay of the moving average of the weights."""

    average_ramp_updates: PythonOnly[float] = 300.0
    """steps in which that decay rises to its value."""

    top_k: PythonOnly[int] = 10
    """candidate cells per object whose IoU decides how many of them learn it."""

    gradient_clip: PythonOnly[float] = 10.0
    """largest norm of the gradient."""

    loss: PythonOnly[LossWeights] = field(default_factory=LossWeights)
    """weights of the terms of the loss."""

    augmentation: PythonOnly[Augmentation] = field(default_factory=Augmentation)
    """changes made to training images."""

    evaluations: PythonOnly[int] = 8
    """evaluations on val during the run."""

    mixed_precision: PythonOnly[bool] = True
    """bfloat16 autocast where the device gains from it."""

    loader_workers: PythonOnly[int | None] = None
    """threads that draw images, or processes beside a GPU; by default on up to eight cores."""

    def __post_init__(self) -> None:
        check_device(self, has_auto=True)
        check_tiles(self)
        for name, what in {"batch": "image per step", "threads": "thread", "patience": "epoch"}.items():
            if isinstance(number := getattr(self, name), int) and number < 1:
                raise UsageError(f"--{name} {number}: at least one {what}")
        if self.freeze < 0:
            raise UsageError(f"--freeze {self.freeze}: a number of layers, from 0 on")
        for text in self.class_weights:
            class_weight(text)
        if self.lr != "auto" and not 0 < self.lr <= MAX_LR:
            raise UsageError(f"--lr {self.lr:g}: a learning rate above 0 and at most {MAX_LR:g}")
        check_choice("--optimizer", self.optimizer, get_args(OptimizerName))
        if not 0 <= self.seed <= MAX_SEED:
            raise UsageError(f"--seed {self.seed}: a whole number from 0 to {MAX_SEED}")
        memory_bytes("--cache", self.cache)
        if not 0 <= self.save_every < math.inf:
            raise UsageError(f"--save-every {self.save_every:g}: minutes, from 0 on")

    def recipe(self) -> Augmentation:
        """Returns the augmentation without what is switched off."""
        off: dict[str, Any] = {} if self.mosaic else {"mosaic": 0.0}
        off |= {} if self.flip else {"flip": 0.0}
        off |= {} if self.zoom else NO_ZOOM
        off |= {} if self.colour else NO_COLOUR
        return replace(self.augmentation, **off)


def class_weight(text: str) -> tuple[str, float] | None:
    """Returns class and weight of a text such as hand=2, None for auto; raises UsageError for another."""
    if text == "auto":
        return None
    name, _, number = text.rpartition("=")
    try:
        weight = float(number)
    except ValueError:
        weight = math.nan
    if not name or not 0 < weight <= MAX_CLASS_WEIGHT:
        limits = f"a class and a number above 0 and at most {MAX_CLASS_WEIGHT:g}, such as hand=2, or auto"
        raise UsageError(f"--class-weights {text}: expected {limits}")
    return name, weight


def check_strength(s: float | None) -> None:
    """Raises UsageError for a strength of sparsity training that is 0, negative or not a number."""
    if s is not None and not s > 0:
        raise UsageError(f"--s {s:g}: the strength of sparsity training must be above 0")


def check_teacher_weight(weight: float | None) -> None:
    """Raises UsageError for a weight of the teacher that is negative or not a number."""
    if weight is not None and not 0 <= weight < math.inf:
        raise UsageError(f"--distill {weight:g}: the teacher's weight must be a number from 0 on")


@dataclass(frozen=True)
class SparsityOptions:
    """Options of the sparsity training of `slim`, which prepares a network for the cut."""

    sparsity: Annotated[SlimSparsity, SPARSITY] = "group"
    """group (tied channels together), proximal and l1 (as published) push every scale towards zero; steered
    fades what the budget leaves out."""

    s: Annotated[float | None, SPARSITY] = None
    """strength [default: group and proximal move a scale by half of where it starts from, however many steps
    there are; 0.2 steered, 0.01 l1]."""

    schedule: Annotated[Schedule, SPARSITY] = "constant"
    """schedule of the strength unless steered: constant, or decay linearly to zero."""

    scales_rate: Annotated[float | None, SPARSITY] = None
    """learning rate of the scales as a multiple of that of kernels; 10 lets them move apart [default: 10 for
    group and proximal, else 1]."""

    rounds: Annotated[int, SPARSITY] = 1
    """in how many steps steered training tightens the budget."""

    def __post_init__(self) -> None:
        check_choice("--sparsity", self.sparsity, get_args(SlimSparsity))
        check_choice("--schedule", self.schedule, get_args(Schedule))
        check_strength(self.s)
        if self.rounds < 1:
            raise UsageError(f"--rounds {self.rounds}: at least one")
        if self.rounds > 1 and self.sparsity != "steered":
            needed = "add --sparsity steered"
            raise UsageError(f"--rounds tightens the budget of steered sparsity training: {needed}")
        rate = self.scales_rate
        if rate is not None and not 0 < rate <= MAX_SCALES_RATE:
            raise UsageError(f"--scales-rate {rate:g}: above 0 and at most {MAX_SCALES_RATE:g}")


@Parameter(name="*", group="Run")
@dataclass(frozen=True)
class RunOptions:
    """Options of the folder of a run and of what is shown while it runs; no part of its settings."""

    name: str | None = None
    """the run's folder is runs/VERB/NAME; by default the verb, numbered when taken."""

    resume: Path | None = None
    """continue the run in this folder; its settings are kept, other options are not needed."""

    tracker: TrackerName | None = None
    """follow training in TensorBoard (tensorboard --logdir runs), MLflow or Weights & Biases, too."""

    data_changed: Annotated[bool, Parameter(negative=())] = False
    """with --resume: go on although images or labels have changed since the run began."""
