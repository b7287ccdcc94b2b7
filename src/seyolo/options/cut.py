"""Options of a plan: everything that decides which channels are pruned, besides the budget."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal, get_args

from cyclopts import Parameter, Token

from seyolo.errors import UsageError
from seyolo.options.parameters import PythonOnly

Scope = Literal["all", "plain"]
Importance = Literal["obs", "bn", "norm", "group", "taylor", "uniform", "random"]
Tied = Literal["max", "mean", "sum"]


def _layer_numbers(_: Any, tokens: Sequence[Token]) -> tuple[int, ...]:
    """Reads layer numbers from arguments such as `12,16`."""
    numbers = [number.strip() for token in tokens for number in token.value.split(",") if number.strip()]
    for number in numbers:
        if not number.isdecimal():
            raise UsageError(f"--keep {number}: layers are named by their numbers, as in --keep 12,16")
    return tuple(map(int, numbers))


KEEP = Parameter(negative=(), consume_multiple=True, show_default=False, converter=_layer_numbers)


@Parameter(name="*", group="Plan")
@dataclass(frozen=True)
class CutOptions:
    """Options that decide which channels a plan prunes, besides its budget.

    Raises:
        UsageError: an unknown name, a multiple below 1, a share outside [0, 1], or a negative evenness.

    Example:
        >>> seyolo.api.PlanOptions(scope="plain", multiple=4).multiple
        4
    """

    scope: Scope = "all"
    """all, or plain for convolutions that no shortcut touches, as the published cut does."""

    multiple: int | None = None
    """kept channels are multiples of this [default: 8, and 16 in groups of 128 and more]."""

    least_share: float = 0.0
    """every group of channels keeps at least this share, from 0 to 1."""

    evenness: float | None = None
    """the larger, the more all groups narrow alike; with 0 importance alone decides [default: 2 for obs; else
    0 where a quarter of the MACs stays, 0.5 from 15 % on, 1 below]."""

    keep: Annotated[tuple[int, ...], KEEP] = ()
    """layers whose channels all stay, by their numbers in seyolo info --layers, as in 12,16; may be given
    several times."""

    importance: Importance | None = None
    """which channels stay: those without which the outputs change most on training images, for what they cost
    (obs), or with large batch-normalisation scales (bn), kernels (norm), both over all that is tied (group),
    effect on the loss on training images (taylor); uniform and random are controls [default: obs with --data,
    but bn where channels fade (steered); else bn]."""

    blocks: PythonOnly[bool] = True
    """whole residual blocks may be removed; never with scope plain or a budget of channels."""

    tied: PythonOnly[Tied | None] = None
    """the score of tied convolutions from their own scores: their maximum, mean or sum."""

    size_hw: PythonOnly[tuple[int, int] | None] = None
    """(height, width) in pixels at which MACs and milliseconds are counted; by default the model's."""

    def __post_init__(self) -> None:
        if self.scope not in get_args(Scope):
            raise UsageError(f"--scope {self.scope}: there is no such scope; choose all or plain")
        if self.multiple is not None and self.multiple < 1:
            raise UsageError(f"--multiple {self.multiple}: channels are kept in multiples of at least 1")
        if not 0 <= self.least_share <= 1:
            raise UsageError(f"--least-share {self.least_share}: a share between 0 and 1")
        if self.evenness is not None and not 0 <= self.evenness < math.inf:
            raise UsageError(f"--evenness {self.evenness}: 0 or above")
        if self.importance is not None and self.importance not in get_args(Importance):
            known = ", ".join(get_args(Importance))
            raise UsageError(f"--importance {self.importance}: there are {known}")

    def in_words(self) -> dict[str, object]:
        """Returns options whose default is not one value, as in a run with images: `cut.importance`."""
        usual = {"importance": "obs", "multiple": "8, and 16 in groups of 128 and more"}
        usual["evenness"] = "2" if self.importance in (None, "obs") else "0 to 1, by the MACs that stay"
        given = {name: getattr(self, name) for name in usual}
        return {f"cut.{name}": usual[name] if value is None else value for name, value in given.items()}


DEFAULT_CUT = CutOptions()
