"""Options of `train`."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from cyclopts import Parameter

from seyolo.errors import UsageError
from seyolo.options.model import ModelOptions
from seyolo.options.parameters import Size, check_choice, check_size
from seyolo.options.training import Schedule, TrainingOptions, check_strength, check_teacher_weight

USUAL_EPOCHS = 50
TrainSparsity = Literal["l1", "proximal", "group"]


@Parameter(name="*", group="Parameters")
@dataclass(frozen=True)
class TrainOptions(ModelOptions, TrainingOptions):
    """Options of `train`, all that a resumed run needs; raises UsageError and BackendError."""

    data: Path | None = None
    """a data set as it is: folder, archive, data.yaml, Darknet .data or COCO .json; with the splits train and
    val, or with one split, whose images are divided."""

    model: str | None = None
    """a zoo name such as yolov3@0.25, a .cfg or a checkpoint [default: the checkpoint in --weights,
    else yolov3@0.25]."""

    sparsity: TrainSparsity | None = None
    """push batch-normalisation scales to zero: l1 by its subgradient as published, proximal, or group, which
    shrinks tied channels together."""

    s: float | None = None
    """strength of the sparsity; 0.01 unless given."""

    schedule: Schedule = "constant"
    """schedule of the strength: constant, or decay linearly to zero."""

    epochs: int | None = None
    """passes over the training images [default: 50, and more where there are few images]."""

    size: Size = None
    """input in pixels: 416, or 416x256 (width x height) [default: that of a .cfg or checkpoint, 416 for a zoo
    name]."""

    teacher: Path | None = None
    """a trained checkpoint of the same classes, or a .cfg with its .weights beside it, to learn from besides
    the labels."""

    distill: float | None = None
    """weight of the teacher; 1, like the labels, unless given."""

    def __post_init__(self) -> None:
        ModelOptions.__post_init__(self)
        TrainingOptions.__post_init__(self)
        check_size(self)
        if self.epochs is not None and self.epochs < 1:
            raise UsageError(f"--epochs {self.epochs}: at least 1")
        check_choice("--schedule", self.schedule, get_args(Schedule))
        if self.sparsity is not None:
            check_choice("--sparsity", self.sparsity, get_args(TrainSparsity))
        elif self.s is not None:
            advice = "say which with --sparsity l1, proximal or group"
            raise UsageError(f"--s is the strength of sparsity training; {advice}")
        check_strength(self.s)
        if self.teacher is None and self.distill is not None:
            raise UsageError("--distill is how much a teacher counts; say which with --teacher MODEL")
        check_teacher_weight(self.distill)
