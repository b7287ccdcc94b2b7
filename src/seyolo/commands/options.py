"""Options that several verbs share, as frozen dataclasses that the command line flattens into flags."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, TypedDict

from cyclopts import Parameter

from seyolo.options.cut import CutOptions
from seyolo.options.model import ModelOptions

if TYPE_CHECKING:
    pass

SlimSparsity = Literal["group", "steered", "proximal", "l1"]

Json = Annotated[Path | None, Parameter(name="--json", allow_leading_hyphen=True)]
"""A file for the results as JSON; `-` is stdout, which then carries nothing else."""


@Parameter(name="*", group="Run")
@dataclass(frozen=True)
class RunOptions:
    """What every training verb takes.

    Attributes:
        batch: images per step, in all processes together.
        lr: peak learning rate.
        seed: of everything random.
        device: cpu, cuda or cuda:N.
        name: the run's folder is runs/VERB/NAME; by default the verb, numbered when taken.
        sync_bn: where torchrun starts several processes, normalise by the statistics of all their images.
        resume: go on with the run in this folder; its settings are kept, other options are not needed.
        tracker: follow training in TensorBoard, too: tensorboard --logdir runs.
    """

    batch: int = 16
    lr: float = 1.5e-3
    seed: int = 0
    device: str = "cpu"
    name: str | None = None
    sync_bn: Annotated[bool, Parameter(negative=())] = False
    resume: Path | None = None
    tracker: Literal["tensorboard"] | None = None


class SparsityKeywords(TypedDict):
    """`SparsityOptions` as keyword arguments."""

    sparsity: SlimSparsity
    strength: float | None
    schedule: Literal["constant", "decay"]
    scales_rate: float | None
    rounds: int


@Parameter(name="*", group="Sparsity training")
@dataclass(frozen=True)
class SparsityOptions:
    """How sparsity training makes a network ready for the cut.

    Attributes:
        sparsity: group (tied channels together), proximal and l1 (as published) push every scale towards
            zero; steered fades what the budget leaves out.
        s: strength [default: group and proximal move a scale by half of where it starts from, however many
            steps there are; 0.2 steered, 0.01 l1].
        schedule: of the strength unless steered: constant, or decay linearly to zero.
        scales_rate: learning rate of the scales as a multiple of that of kernels; 10 lets them move apart
            [default: 10 for group and proximal, else 1].
        rounds: in how many steps steered training tightens the budget.
    """

    sparsity: SlimSparsity = "group"
    s: float | None = None
    schedule: Literal["constant", "decay"] = "constant"
    scales_rate: float | None = None
    rounds: int = 1

    def as_keywords(self) -> SparsityKeywords:
        """The options as keyword arguments of `seyolo.slim`."""
        return {
            "sparsity": self.sparsity,
            "strength": self.s,
            "schedule": self.schedule,
            "scales_rate": self.scales_rate,
            "rounds": self.rounds,
        }


MODEL_DEFAULTS = ModelOptions()
RUN_DEFAULTS = RunOptions()
SPARSITY_DEFAULTS = SparsityOptions()
PLAN_DEFAULTS = CutOptions()
