"""A network whose channels are ranked by an importance."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from seyolo.pruning.groups.blocks import Block
from seyolo.pruning.groups.groups import Groups
from seyolo.pruning.importance.importance import FloatArray
from seyolo.pruning.planning.cost_model import CostModel


@dataclass(frozen=True, eq=False)
class Ranked:
    """All that allocation needs of a network.

    Attributes:
        groups: its channel groups.
        scores: per group (num_channels,) importance; a group with an infinite score is kept whole.
        costs: what it costs with fewer channels.
        blocks: residual blocks that may be removed.
        importance: name of the importance.
        per_cost: as in `Importance`.
    """

    groups: Groups
    scores: Sequence[FloatArray]
    costs: CostModel
    blocks: Sequence[Block] = ()
    importance: str = "bn"
    per_cost: bool = False
