"""Options of training that every training verb has, and those that only Python has."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from seyolo.errors import UsageError
from seyolo.options.augmentation import Augmentation
from seyolo.options.parameters import RUN, PythonOnly, check_device

MAX_LR = 10.0
MAX_SEED = (1 << 32) - 1
TrackerName = Literal["tensorboard"]


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
class TrainingOptions:
    """Options of training.

    Raises:
        UsageError: a number outside its range.
        BackendError: not cpu, cuda or cuda:N.
    """

    batch: Annotated[int, RUN] = 16
    """images per step, in all processes together."""

    lr: Annotated[float, RUN] = 1.5e-3
    """peak learning rate."""

    seed: Annotated[int, RUN] = 0
    """seed of everything random."""

    device: Annotated[str, RUN] = "cpu"
    """cpu, cuda or cuda:N."""

    sync_bn: Annotated[bool, Parameter(negative=(), group="Run")] = False
    """where torchrun starts several processes, normalise by the statistics of all their images."""

    multi_scale: Annotated[bool, Parameter(negative=(), group="Run")] = False
    """draw another input size for each epoch."""

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
        check_device(self.device)
        if self.batch < 1:
            raise UsageError(f"--batch {self.batch}: at least one image per step")
        if not 0 < self.lr <= MAX_LR:
            raise UsageError(f"--lr {self.lr:g}: a learning rate above 0 and at most {MAX_LR:g}")
        if not 0 <= self.seed <= MAX_SEED:
            raise UsageError(f"--seed {self.seed}: a whole number from 0 to {MAX_SEED}")


@Parameter(name="*", group="Run")
@dataclass(frozen=True)
class RunOptions:
    """Options of the folder of a run and of what is shown while it runs; no part of its settings."""

    name: str | None = None
    """the run's folder is runs/VERB/NAME; by default the verb, numbered when taken."""

    resume: Path | None = None
    """continue the run in this folder; its settings are kept, other options are not needed."""

    tracker: TrackerName | None = None
    """follow training in TensorBoard, too: tensorboard --logdir runs."""
