"""Options of the sparsity training of `slim`."""

import math
from dataclasses import dataclass
from typing import Annotated, Literal, get_args

from seyolo.errors import UsageError
from seyolo.options.parameters import SPARSITY, check_choice

Schedule = Literal["constant", "decay"]
SlimSparsity = Literal["group", "steered", "proximal", "l1"]
MAX_SCALES_RATE = 1000.0


def check_strength(s: float | None) -> None:
    """Refuses a strength that would not push.

    Raises:
        UsageError: the strength is 0, negative or not a number.
    """
    if s is not None and not s > 0:
        raise UsageError(f"--s {s:g}: the strength of sparsity training must be above 0")


def check_teacher_weight(weight: float | None) -> None:
    """Refuses a weight of the teacher that makes no sense.

    Raises:
        UsageError: the weight is negative or not a number.
    """
    if weight is not None and not 0 <= weight < math.inf:
        raise UsageError(f"--distill {weight:g}: the teacher's weight must be a number from 0 on")


@dataclass(frozen=True)
class SparsityOptions:
    """Options of the training that prepares a network for the cut.

    Raises:
        UsageError: a value that makes no sense, or options that contradict each other.
    """

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
            raise UsageError(
                "--rounds tightens the budget of steered sparsity training: add --sparsity steered"
            )
        rate = self.scales_rate
        if rate is not None and not 0 < rate <= MAX_SCALES_RATE:
            raise UsageError(f"--scales-rate {rate:g}: above 0 and at most {MAX_SCALES_RATE:g}")
