"""Options of `slim`, and the epochs that follow from them."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Literal, Self, get_args

from cyclopts import Parameter

from seyolo.errors import UsageError
from seyolo.options.budget import EXAMPLES, Budget, parse_budgets
from seyolo.options.cut import CutOptions
from seyolo.options.model import ModelOptions
from seyolo.options.parameters import REPEATABLE, Flag, Size, check_choice, check_size
from seyolo.options.training import SparsityOptions, TrainingOptions, check_teacher_weight

Repair = Literal["reconstruct", "recalibrate", "none"]
SlimActivation = Literal["relu", "relu6", "leaky"]
ControlName = Literal["dense", "uniform", "scratch", "random", "lowres", "int8", "plain"]
CONTROL_NAMES: tuple[ControlName, ...] = get_args(ControlName)

USUAL_EPOCHS, MOST_EPOCHS = 16, 1_000_000
SLIM_SHARE = 2.0
"""Epochs of the slim network for one of the dense one: at 30 % of the MACs that takes about as long."""
BRANCH_SHARE, SPARSE_SHARE = 0.06, 0.18
"""Shares of all epochs of the slim network: those of dense training, and those of sparsity training."""
SLIM_CUT = CutOptions(blocks=False)
SLIM_BUDGET = f"what the result may cost: {EXAMPLES} [default: macs=30%]."


@Parameter(name="*", group="Parameters")
@dataclass(frozen=True)
class SlimOptions(ModelOptions, TrainingOptions, SparsityOptions):
    """Options of `slim`: all that a resumed run needs.

    A slim network starts from the dense one as it was at `branch_epoch`, and sees twice as many epochs in
    all as that sees, in about the same time. Its learning rate continues where dense training was, and falls
    once over the rest (decision 0009). A branch where dense training ends, or given weights (`epochs` 0),
    start that schedule anew, at two thirds of the rate.

    Raises UsageError and BackendError for values that make no sense or contradict each other.
    """

    data: Path | None = None
    """a data set as it is: folder, archive, data.yaml, Darknet .data or COCO .json; with the splits train and
    val, and more for the table, or with one split, whose images are divided."""

    model: str | None = None
    """a zoo name such as yolov3@0.25, a .cfg or a checkpoint [default: the checkpoint in --weights,
    else yolov3@0.25]."""

    budget: Annotated[tuple[str, ...], REPEATABLE, Parameter(help=SLIM_BUDGET)] = ("macs=30%",)

    size: Size = None
    """input in pixels: 416, or 416x256 (width x height) [default: that of a .cfg or checkpoint, 416 for a zoo
    name]."""

    epochs: int | None = None
    """epochs of dense training; the slim network sees twice as many unless its stages are set [default: 16,
    and more where there are few images, or 0 for trained weights]."""

    branch_epoch: int | None = None
    """epoch of dense training from which slimming starts [default: 6 % of the slim network's epochs, or the
    last where nothing is trained after the cut]."""

    sparse_epochs: int | None = None
    """epochs of sparsity training [default: 18 % of the slim network's epochs]."""

    finetune_epochs: int | None = None
    """epochs after the cut [default: the rest]."""

    finetune: Annotated[bool, Parameter(negative="--no-finetune")] = True
    """without it the run ends after the cut."""

    controls: Annotated[tuple[str, ...], REPEATABLE] = ()
    """train and judge beside it what else as many images buy: dense, uniform, scratch, random, lowres, int8,
    plain, or all; with --resume they are added to a finished run."""

    cut: CutOptions = SLIM_CUT
    """options of the plan; `blocks` is taken from below."""

    blocks: Flag = False
    """whole residual blocks may be removed."""

    repair: Repair = "reconstruct"
    """fit the kept kernels to what the network put out before the cut (reconstruct), only measure batch
    normalisation anew (recalibrate), or leave the pruned network as it is (none)."""

    activation: SlimActivation | None = None
    """what activates the slim network from fine-tuning on; relu is the fastest in int8 [default: what the
    model has]."""

    distill: float = 0.0
    """weight of the dense network as a teacher in fine-tuning; the labels count 1."""

    def __post_init__(self) -> None:
        ModelOptions.__post_init__(self)
        TrainingOptions.__post_init__(self)
        check_size(self)
        SparsityOptions.__post_init__(self)
        check_choice("--repair", self.repair, get_args(Repair))
        check_teacher_weight(self.distill)
        if self.activation is not None:
            check_choice("--activation", self.activation, get_args(SlimActivation))
            if self.finetune_epochs == 0 or not self.finetune:
                raise UsageError("--activation needs fine-tuning, in which the network learns it")
        for name in ("epochs", "sparse_epochs", "finetune_epochs"):
            if not 0 <= (getattr(self, name) or 0) <= MOST_EPOCHS:
                limits = f"at least 0 and at most {MOST_EPOCHS:,}"
                raise UsageError(f"--{name.replace('_', '-')} {getattr(self, name)}: {limits}")
        for control in self.controls:
            if control not in (*CONTROL_NAMES, "all"):
                raise UsageError(f"--controls {control}: there are {', '.join(CONTROL_NAMES)}, and all")
        object.__setattr__(self, "cut", replace(self.cut, blocks=self.blocks))
        parse_budgets(self.budget)

    @property
    def budgets(self) -> tuple[Budget, ...]:
        """The budgets, parsed."""
        return parse_budgets(self.budget)

    def chosen_controls(self) -> tuple[ControlName, ...]:
        """Returns the controls asked for in the order of the table; `all` stands for every one."""
        return tuple(name for name in CONTROL_NAMES if name in self.controls or "all" in self.controls)

    def dense_epochs(self) -> int:
        """Returns the epochs of dense training."""
        return USUAL_EPOCHS if self.epochs is None else self.epochs

    def stage_epochs(self) -> dict[str, int]:
        """Returns the epochs of each training stage in order."""
        usual = SLIM_SHARE * (self.dense_epochs() or USUAL_EPOCHS)
        sparse, tune = self.sparse_epochs, self.finetune_epochs
        if sparse is None:
            sparse = max(1, round(SPARSE_SHARE * usual))
        if tune is None:
            tune = max(1, round(usual) - sparse - (self.branch() if self.is_early() else 0))
        return {"dense": self.dense_epochs(), "sparse": sparse, "finetuned": tune if self.finetune else 0}

    def branch(self) -> int:
        """Returns the epoch of dense training that slimming starts from; 0 for given weights."""
        epochs = self.dense_epochs()
        if self.branch_epoch is not None:
            return min(self.branch_epoch, epochs)
        if not self.finetune or self.finetune_epochs == 0:
            return epochs  # what is not trained after the cut needs a network that is trained before it
        return min(epochs, max(1, round(BRANCH_SHARE * SLIM_SHARE * epochs)))

    def is_early(self) -> bool:
        """Returns whether slimming starts before dense training ends."""
        return self.branch() < self.dense_epochs()

    def epochs_seen(self) -> dict[str, int]:
        """Returns the epochs of training behind the network of each stage."""
        stages = self.stage_epochs()
        cut = self.branch() + stages["sparse"]
        seen = {"dense": stages["dense"], "sparse": cut, "pruned": cut}
        return seen | {"finetuned": cut + stages["finetuned"]}

    def equal_images(self) -> Self:
        """Returns the options with which the slim network sees as many images as the dense one.

        Epochs of a stage that are given stay as they are.
        """
        epochs = self.dense_epochs()
        branch, sparse, tune = self.branch_epoch, self.sparse_epochs, self.finetune_epochs
        branch = max(1, round(BRANCH_SHARE * epochs)) if branch is None else branch
        sparse = round(SPARSE_SHARE * epochs) if sparse is None else sparse
        tune = max(0, epochs - branch - sparse) if tune is None else tune
        return replace(self, epochs=epochs, branch_epoch=branch, sparse_epochs=sparse, finetune_epochs=tune)

    def plan_options(self) -> CutOptions:
        """Returns the options of the plan, with what follows from sparsity training.

        Channels that steered training fades are ranked by the scales that it presses on, while training
        continues.
        """
        fades = self.sparsity == "steered" and self.stage_epochs()["sparse"] > 0
        if fades and self.cut.importance in (None, "bn"):
            return replace(self.cut, importance="bn", tied=self.cut.tied or "max")
        return self.cut
