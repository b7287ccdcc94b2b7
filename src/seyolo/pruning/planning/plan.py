"""The plan: which channels go, as data that can be printed, written to JSON, read back and applied.

A plan knows the network it was made for by a fingerprint of its layers and is refused on any other.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence, Set
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Self, TypedDict

import numpy as np

from seyolo.darknet.cfg import Network
from seyolo.darknet.sections import Convolutional, Net
from seyolo.errors import PlanError
from seyolo.pruning.groups.atoms import BoolArray, IntArray
from seyolo.pruning.groups.blocks import Block, find_blocks
from seyolo.pruning.groups.groups import Group, Groups, find_groups, keep_masks
from seyolo.pruning.planning.cost_model import CostModel


class GroupCut(TypedDict):
    """One group: its convolutions, and the output channels of the first of them that stay and go.

    A convolution that owns two channels of every slot stands twice in `layers`.
    """

    layers: list[int]
    kept: list[int]
    removed: list[int]


class Width(TypedDict):
    """Filters of one convolution before and after."""

    layer: int
    before: int
    after: int


@dataclass(frozen=True)
class Plan:
    """What a cut does.

    Attributes:
        params, macs: of the slim network, exact, MACs at `input_size`.
        dense_params, dense_macs: of the network before.
        input_size: (height, width) in pixels.
        groups: every group that is not fixed.
        widths: every convolution; one that goes with its block has 0 after.
        blocks_removed: indices of the shortcuts whose residual block goes as a whole.
        budget: the limits as text.
        scope: `all` or `plain`.
        multiple: what kept counts are multiples of.
        evenness: how much groups were made to narrow alike, as in `PlanOptions`.
        importance: what ranked the channels, a `Method`.
        fingerprint: of the network the plan is for.
        latency_ms: predicted milliseconds of an image per backend whose latency table was at hand.
        measured_ms: the same, measured on the network the plan gives, where that was done.
        dense_ms: of the dense network, measured side by side with it.
    """

    params: int
    macs: int
    dense_params: int
    dense_macs: int
    input_size: tuple[int, int]
    groups: tuple[GroupCut, ...]
    widths: tuple[Width, ...]
    blocks_removed: tuple[int, ...]
    budget: str
    scope: str
    multiple: int
    fingerprint: str
    latency_ms: Mapping[str, float] = field(default_factory=dict)
    measured_ms: Mapping[str, float] = field(default_factory=dict)
    dense_ms: Mapping[str, float] = field(default_factory=dict)
    evenness: float = 0.0
    importance: str = "bn"

    @property
    def removes_nothing(self) -> bool:
        """Whether the slim network would be the dense one."""
        return not any(cut["removed"] for cut in self.groups) and not self.blocks_removed

    def to_json(self) -> str:
        """The plan as indented JSON."""
        return json.dumps(asdict(self), indent=2) + "\n"

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Reads what `to_json` wrote.

        Raises:
            PlanError: not JSON, or not a plan.
        """
        try:
            return cls.from_dict(json.loads(text))
        except ValueError as error:
            raise PlanError(f"a plan is JSON, this is not: {error}") from None

    @classmethod
    def from_dict(cls, value: Any) -> Self:
        """The plan of parsed JSON.

        Raises:
            PlanError: a key is missing or holds something else.
        """
        try:
            height, width = value["input_size"]
            return cls(
                params=int(value["params"]),
                macs=int(value["macs"]),
                dense_params=int(value["dense_params"]),
                dense_macs=int(value["dense_macs"]),
                input_size=(int(height), int(width)),
                groups=tuple(_group_cut(cut) for cut in value["groups"]),
                widths=tuple(_width(width) for width in value["widths"]),
                blocks_removed=tuple(int(layer) for layer in value["blocks_removed"]),
                budget=str(value["budget"]),
                scope=str(value["scope"]),
                multiple=int(value["multiple"]),
                fingerprint=str(value["fingerprint"]),
                latency_ms=_milliseconds(value, "latency_ms"),
                measured_ms=_milliseconds(value, "measured_ms"),
                dense_ms=_milliseconds(value, "dense_ms"),
                evenness=float(value.get("evenness", 0.0)),
                importance=str(value.get("importance", "bn")),
            )
        except (KeyError, IndexError, TypeError, ValueError, AttributeError) as error:
            raise PlanError(f"this is not a plan: {type(error).__name__} at {error}") from None

    def table(self) -> list[tuple[int, int, int]]:
        """Rows (layer, filters before, filters after), one per convolution."""
        return [(width["layer"], width["before"], width["after"]) for width in self.widths]

    def masks(self, network: Network) -> tuple[BoolArray, ...]:
        """Per layer (C,): True for the output channels that stay; all False in a removed block.

        Raises:
            PlanError: the plan is for another network, or was edited into something impossible.
        """
        groups, blocks, kept = self._choice(network)
        masks = keep_masks(groups, kept)
        # A removed block's shortcut stands for its trunk, so its channels stay.
        inside = {layer for block in blocks for layer in block.layers} - {block.shortcut for block in blocks}
        return tuple(np.zeros_like(mask) if layer in inside else mask for layer, mask in enumerate(masks))

    def recounted(self, network: Network) -> Plan:
        """The plan with the numbers that its groups and blocks give, at the size of `network`.

        For a plan that was edited: latencies stay only where its widths are still those they are of.

        Raises:
            PlanError: as `masks`.
        """
        groups, blocks, kept = self._choice(network)
        gone = {index for block in blocks for index in block.inner}
        plan = describe_cut(
            network,
            groups,
            [indices[:0] if index in gone else indices for index, indices in enumerate(kept)],
            budget=self.budget,
            scope=self.scope,
            multiple=self.multiple,
            evenness=self.evenness,
            importance=self.importance,
            blocks=blocks,
        )
        if (plan.widths, plan.input_size) != (self.widths, self.input_size):
            return plan
        return replace(plan, latency_ms=self.latency_ms, measured_ms=self.measured_ms, dense_ms=self.dense_ms)

    def _choice(self, network: Network) -> tuple[Groups, list[Block], list[IntArray]]:
        """The network's groups, the blocks that go, and the slots of each group that the plan keeps."""
        if self.fingerprint != fingerprint(network):
            raise PlanError(f"the plan is for another network than {network.source}; make a new plan for it")
        groups = find_groups(network)
        blocks = self._removed(find_blocks(network, groups))
        gone = {layer for block in blocks for layer in block.layers}
        return groups, blocks, self._kept(groups, gone)

    def _removed(self, blocks: Sequence[Block]) -> list[Block]:
        """Those of the network's removable blocks that the plan removes."""
        unknown = set(self.blocks_removed) - {block.shortcut for block in blocks}
        if unknown:
            known = ", ".join(str(block.shortcut) for block in blocks) or "none"
            raise PlanError(
                f"blocks_removed: layer {min(unknown)} ends no removable residual block; they end in {known}"
            )
        return [block for block in blocks if block.shortcut in self.blocks_removed]

    def _kept(self, groups: Groups, gone: Set[int]) -> list[IntArray]:
        """Per group the indices of its kept slots; `gone` are the layers of removed blocks."""
        free = [group for group in groups.groups if not group.fixed]
        if len(free) != len(self.groups):
            raise PlanError(f"the plan has {len(self.groups)} groups, the network {len(free)}")
        cuts = iter(self.groups)
        return [
            np.arange(group.num_channels) if group.fixed else _kept_slots(group, next(cuts), gone)
            for group in groups.groups
        ]


def describe_cut(
    network: Network,
    groups: Groups,
    kept: Sequence[IntArray],
    *,
    budget: str,
    scope: str,
    multiple: int,
    evenness: float = 0.0,
    importance: str = "bn",
    blocks: Sequence[Block] = (),
    size: tuple[int, int] | None = None,
) -> Plan:
    """The plan that keeps the channels `kept` of each group; `size` is (height, width) in pixels.

    Those of `blocks` that keep nothing of a group are removed.
    """
    size = size or (network.net.height, network.net.width)
    model = CostModel(network, groups, size, blocks)
    counts = np.array([len(indices) for indices in kept])
    gone = [block for block in blocks if block.is_gone(counts)]
    no_longer = {layer for block in gone for layer in block.layers}
    return Plan(
        params=model.params(counts),
        macs=model.macs(counts),
        dense_params=model.params(model.widths),
        dense_macs=model.macs(model.widths),
        input_size=size,
        groups=tuple(
            _cut(group, indices)
            for group, indices in zip(groups.groups, kept, strict=True)
            if not group.fixed
        ),
        widths=_widths(network, keep_masks(groups, kept), no_longer),
        blocks_removed=tuple(block.shortcut for block in gone),
        budget=budget,
        scope=scope,
        multiple=multiple,
        fingerprint=fingerprint(network),
        evenness=evenness,
        importance=importance,
    )


def fingerprint(network: Network) -> str:
    """SHA-256 of what the layers compute; training keys, comments and the image's size do not count."""
    layers = tuple(replace(section, extras=(), comments=(), notes=()) for section in network.layers)
    text = Network(Net(channels=network.net.channels), layers).to_cfg()
    return hashlib.sha256(text.encode()).hexdigest()


def _cut(group: Group, kept: IntArray) -> GroupCut:
    removed = np.setdiff1d(np.arange(group.num_channels), kept)
    first = group.members[0]
    return GroupCut(layers=list(group.layers), kept=first[kept].tolist(), removed=first[removed].tolist())


def _widths(network: Network, masks: Sequence[BoolArray], no_longer: Set[int]) -> tuple[Width, ...]:
    return tuple(
        Width(
            layer=index,
            before=section.filters,
            after=0 if index in no_longer else int(masks[index].sum()),
        )
        for index, section in enumerate(network.layers)
        if isinstance(section, Convolutional)
    )


def _kept_slots(group: Group, cut: GroupCut, gone: Set[int]) -> IntArray:
    where = f"group of layers {cut['layers']}"
    if cut["layers"] != list(group.layers):
        raise PlanError(f"{where}: the network has {list(group.layers)} there")
    if sorted(cut["kept"] + cut["removed"]) != sorted(group.members[0].tolist()):
        raise PlanError(f"{where}: kept and removed together must name each of its channels once")
    if not cut["kept"] and not gone >= set(group.layers):
        raise PlanError(f"{where}: at least one channel stays, or its block goes (blocks_removed)")
    kept = np.flatnonzero(np.isin(group.members[0], cut["kept"]))
    if len(set(np.bincount(group.parts[kept], minlength=group.num_parts).tolist())) > 1:
        raise PlanError(f"{where}: each of its {group.num_parts} parts must keep equally many channels")
    return kept


def _group_cut(value: Mapping[str, Any]) -> GroupCut:
    layers, kept, removed = ([int(n) for n in value[key]] for key in ("layers", "kept", "removed"))
    return GroupCut(layers=layers, kept=kept, removed=removed)


def _width(value: Mapping[str, Any]) -> Width:
    return Width(layer=int(value["layer"]), before=int(value["before"]), after=int(value["after"]))


def _milliseconds(value: Mapping[str, Any], key: str) -> dict[str, float]:
    """Milliseconds per backend; none in plans of before they were written down."""
    return {str(backend): float(ms) for backend, ms in value.get(key, {}).items()}
