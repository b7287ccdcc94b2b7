"""What decides a plan besides its budget: the choices of `seyolo.prune` and of the verb, in one place."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, get_args

from seyolo.errors import UsageError
from seyolo.pruning.importance.scores import Method, Tied

Scope = Literal["all", "plain"]


@dataclass(frozen=True)
class PlanOptions:
    """How a plan decides which channels go.

    Attributes:
        scope: `all`, or `plain` for convolutions that no shortcut touches.
        multiple: kept channels are multiples of this, or the whole width; by default 8, and 16 in groups of
            128 channels and more.
        least_share: every group keeps at least this share of its channels.
        evenness: keeps groups from starving: the r-th best of n channels counts (n / r)^evenness times its
            importance. With 0 importance alone decides; the larger, the more all groups narrow alike. Left
            open it follows from how much stays, see `usual_evenness`.
        keep: layers whose output channels all stay, and with them whatever is tied to these.
        blocks: whether residual blocks may go as a whole; in scope `plain` and with `channels=` none does.
        method: the importance: `bn`, `norm`, `group`, `taylor`, `obs`, or the controls `uniform` and
            `random`; by default `obs` where there are images to measure it on, else `bn`.
        tied: how tied scores become one, as in `importance`.
        size: (height, width) in pixels at which MACs and milliseconds count; by default the `[net]` size.

    Raises:
        UsageError: an unknown scope, a multiple below 1, a share outside [0, 1], or a negative evenness.
    """

    scope: Scope = "all"
    multiple: int | None = None
    least_share: float = 0.0
    evenness: float | None = None
    keep: tuple[int, ...] = ()
    blocks: bool = True
    method: Method | None = None
    tied: Tied | None = None
    size: tuple[int, int] | None = None

    def __post_init__(self) -> None:
        if self.scope not in get_args(Scope):
            raise UsageError(f"there is no scope {self.scope!r}; choose all or plain")
        if self.multiple is not None and self.multiple < 1:
            raise UsageError(f"multiple={self.multiple}: channels are kept in multiples of at least 1")
        if not 0 <= self.least_share <= 1:
            raise UsageError(
                f"least_share={self.least_share}: the share every group keeps is between 0 and 1"
            )
        if self.evenness is not None and not 0 <= self.evenness < math.inf:
            raise UsageError(f"evenness={self.evenness}: 0 or above")


def usual_evenness(method: Method, macs_share: float) -> float:
    """How evenly groups narrow by an importance where a plan leaves this share of the MACs.

    Measured in decisions 0012 and 0016.
    """
    if method == "obs":
        return 2.0
    if macs_share >= 0.25:
        return 0.0
    return 0.5 if macs_share >= 0.15 else 1.0


DEFAULTS = PlanOptions()
