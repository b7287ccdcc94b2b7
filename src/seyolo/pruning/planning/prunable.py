"""A network with all that pruning derives from its graph, each derived once, and ranked channels."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from seyolo.darknet.cfg import Network
from seyolo.darknet.sections import Net
from seyolo.pruning.groups.atoms import FloatArray
from seyolo.pruning.groups.blocks import Block, find_blocks
from seyolo.pruning.groups.groups import Groups, find_groups
from seyolo.pruning.planning.cost_model import CostModel


@dataclass(frozen=True, eq=False)
class PrunableNetwork:
    """A network at the input size at which its cost counts."""

    network: Network

    @property
    def size_hw(self) -> tuple[int, int]:
        """(height, width) of an image in pixels."""
        return self.network.net.height, self.network.net.width

    @cached_property
    def groups(self) -> Groups:
        return find_groups(self.network)

    @cached_property
    def blocks(self) -> tuple[Block, ...]:
        """The removable residual blocks."""
        return find_blocks(self.network, self.groups)

    @cached_property
    def costs(self) -> CostModel:
        """Parameters and MACs as functions of the kept channels."""
        return CostModel(self.network, self.groups, self.blocks)

    @cached_property
    def fingerprint(self) -> str:
        """The SHA-256 of what the layers compute; training keys, comments and image size do not count."""
        layers = tuple(replace(section, extras=(), comments=(), notes=()) for section in self.network.layers)
        text = Network(Net(channels=self.network.net.channels), layers).to_cfg()
        return hashlib.sha256(text.encode()).hexdigest()


@dataclass(frozen=True, eq=False)
class Ranked:
    """A network whose channels are ranked by an importance: all that allocation needs."""

    groups: Groups
    scores: Sequence[FloatArray]  # per group (num_channels,); a group with an infinite score is kept whole
    costs: CostModel
    blocks: Sequence[Block] = ()  # residual blocks that may be removed
    importance: str = "bn"  # name and kind, as in `Importance`
    per_cost: bool = False
