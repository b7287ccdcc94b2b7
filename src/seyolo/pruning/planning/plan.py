"""The plan: which channels and blocks to prune, as data that can be printed, edited, stored and applied.

A plan knows the network it was made for by a fingerprint of its layers and is refused on any other.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, field, fields, replace
from itertools import repeat
from typing import Any, NotRequired, Self, TypedDict

import numpy as np

from seyolo.darknet.cfg import Network
from seyolo.darknet.sections import Convolutional
from seyolo.errors import PlanError, TrainingError, counted
from seyolo.json_files import from_json, parse_json, to_json
from seyolo.notebook import head_html, table_html
from seyolo.options.cut import DEFAULT_CUT, CutOptions
from seyolo.pruning.groups.atoms import BoolArray, IntArray
from seyolo.pruning.groups.blocks import Block
from seyolo.pruning.groups.groups import Group, keep_masks
from seyolo.pruning.planning.limits import FLOOR
from seyolo.pruning.planning.prunable import PrunableNetwork


class GroupCut(TypedDict):
    """One group: its convolutions `layers`, and output channels of the first one, `kept` and `removed`.

    A convolution that owns two channels of every slot stands twice in `layers`. `prunable`, of
    a budget on channels, tells whether scope, layers to keep and importance allow to remove channels.
    """

    layers: list[int]
    kept: list[int]
    removed: list[int]
    prunable: NotRequired[bool]


class Width(TypedDict):
    """Filters of one convolution, by its index `layer`, `before` and `after`."""

    layer: int
    before: int
    after: int


class FoundAgain(TypedDict):
    """Boxes of the dense network on `images` of the calibration set, before and after pruning.

    It finds `boxes` there with a confidence of 0.25 or more, and the pruned network finds `found` of them.
    """

    images: int
    boxes: int
    found: int


BAR_CHARACTERS = 20
"""Length of the bar in a notebook of a convolution that keeps all its filters."""
Masks = tuple[BoolArray, ...]  # per layer (C,): True for the output channels that are kept


@dataclass(frozen=True, repr=False)
class Plan:
    """All that a cut does to a network, and what it costs before and after.

    Attributes:
        params, macs, dense_params, dense_macs: of the pruned and the dense network, MACs at `input_size`.
        input_size: (height, width) in pixels.
        groups: a dict of every group that is not fixed, see `GroupCut`.
        widths: a dict of every convolution, see `Width`; one that is removed with its block has 0 after.
        blocks_removed: indices of the shortcuts whose whole residual block is removed.
        budget: the limits as text.
        scope, multiple, evenness: as in `CutOptions`.
        importance: name of the importance that ranked the channels.
        fingerprint: of the dense network.
        latency_ms: predicted milliseconds of an image, per backend with a latency model.
        measured_ms: the same, measured on the pruned network.
        dense_ms: of the dense network, measured side by side with it.
        found_again: boxes of the dense network that the pruned one finds; None, and not in the JSON, where it
            was pruned without images.

    Example:
        >>> model = seyolo.load("yolov3-tiny@0.25", num_classes=1)
        >>> slim, plan = seyolo.prune(model, budget="macs=50%")
        >>> plan.macs <= 0.5 * plan.dense_macs
        True
        >>> seyolo.Plan.from_json(plan.to_json()) == plan
        True
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
    found_again: FoundAgain | None = None
    _masks: Masks | None = field(default=None, init=False, repr=False, compare=False)

    def __repr__(self) -> str:
        blocks = f", without {counted(len(self.blocks_removed), 'block')}" if self.blocks_removed else ""
        params = f"{self.dense_params:,} to {self.params:,} parameters"
        return f"<Plan: {self.budget}; {params}, {self.dense_macs:,} to {self.macs:,} MACs{blocks}>"

    def _repr_html_(self) -> str:
        """Returns the filters of every convolution before and after, for notebooks."""
        rows = [
            [str(layer), str(before), str(after), "█" * round(BAR_CHARACTERS * after / before)]
            for layer, before, after in self.table()
        ]
        table = table_html(["layer", "filters", "kept", "share kept"], rows, left=frozenset({3}))
        return head_html(repr(self)[1:-1]) + table

    @property
    def removes_nothing(self) -> bool:
        """True where the pruned network would be the dense one."""
        return not any(cut["removed"] for cut in self.groups) and not self.blocks_removed

    def to_json(self) -> str:
        """Returns the plan as indented JSON."""
        values = {f.name: getattr(self, f.name) for f in fields(self) if f.init}
        if self.found_again is None:
            del values["found_again"]
        return json.dumps(to_json(values), indent=2) + "\n"

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Reads what `to_json` returns; keys that older versions did not write take their defaults.

        Raises:
            PlanError: not JSON, or not a plan; the message names the key.
        """
        try:
            return from_json(parse_json(text), cls)
        except ValueError as error:
            raise PlanError(f"a plan is JSON, this is not: {error}") from None
        except TrainingError as error:
            raise PlanError(f"this is not a plan: {error}") from None

    def prunable_channels(self) -> dict[int, int] | None:
        """Returns per convolution the output channels that may be removed; None for other budgets."""
        found = dict.fromkeys((width["layer"] for width in self.widths), 0)
        for cut in self.groups:
            if "prunable" not in cut:
                return None
            for layer in cut["layers"] if cut["prunable"] else ():
                found[layer] += len(cut["kept"]) + len(cut["removed"])
        return found

    def table(self) -> list[tuple[int, int, int]]:
        """Returns rows (layer, filters before, filters after), one per convolution."""
        return [(width["layer"], width["before"], width["after"]) for width in self.widths]

    def masks(self, network: Network) -> Masks:
        """Returns per layer (C,): True for the output channels to keep; all False in a removed block.

        Raises:
            PlanError: the plan is for another network, or was edited into something impossible.
        """
        prunable = PrunableNetwork(network)
        _check_same(self, prunable)
        if self._masks is None:
            removed = _removed_blocks(self, prunable.blocks)
            self.carry(kept_masks(prunable, kept_slots(self, prunable), removed))
        assert self._masks is not None
        return self._masks

    def carry(self, masks: Masks | None) -> Self:
        """Returns this plan, which from now on carries its masks; `dataclasses.replace` drops them."""
        object.__setattr__(self, "_masks", masks)
        return self

    def changed(self, **figures: Any) -> Self:
        """Returns a plan of the same channels with other figures."""
        return replace(self, **figures).carry(self._masks)


def counted_plan(
    prunable: PrunableNetwork,
    kept: Sequence[IntArray],
    options: CutOptions,
    budget: str,
    importance: str = "bn",
    *,
    may_prune: Sequence[bool] | None = None,
) -> Plan:
    """Returns the plan that keeps given channels, with their cost and masks.

    `kept` are per group the indices of the slots to keep, none of a group in a removed block. Of the options
    scope, multiple and evenness are written into the plan. `may_prune` is what `prunable_groups` returns.
    """
    costs = prunable.costs
    counts = np.array([len(slots) for slots in kept])
    removed = [block for block in prunable.blocks if block.is_gone(counts)]
    masks = kept_masks(prunable, kept, removed)
    cuts = zip(prunable.groups.groups, kept, may_prune or repeat(None), strict=False)
    return Plan(
        params=costs.params(counts),
        macs=costs.macs(counts),
        dense_params=costs.params(costs.widths),
        dense_macs=costs.macs(costs.widths),
        input_size=prunable.size_hw,
        groups=tuple(_group_cut(*each) for each in cuts if not each[0].fixed),
        widths=tuple(
            Width(layer=index, before=section.filters, after=int(masks[index].sum()))
            for index, section in enumerate(prunable.network.layers)
            if isinstance(section, Convolutional)
        ),
        blocks_removed=tuple(block.shortcut for block in removed),
        budget=budget,
        scope=options.scope,
        multiple=options.multiple or FLOOR,
        fingerprint=prunable.fingerprint,
        evenness=options.evenness or 0.0,
        importance=importance,
    ).carry(masks)


def recounted_plan(prunable: PrunableNetwork, plan: Plan) -> Plan:
    """Returns a plan with the figures that its groups and blocks give, for one that was edited.

    Latencies are kept only where widths and image size are unchanged.

    Raises:
        PlanError: the plan is for another network, or was edited into something impossible.
    """
    kept = kept_slots(plan, prunable)
    for block in _removed_blocks(plan, prunable.blocks):
        for index in block.inner:
            kept[index] = kept[index][:0]
    counted = counted_plan(
        prunable, kept, options=DEFAULT_CUT, budget=plan.budget, importance=plan.importance
    ).changed(scope=plan.scope, multiple=plan.multiple, evenness=plan.evenness)
    for cut, own in zip(counted.groups, plan.groups, strict=True):
        if "prunable" in own:
            cut["prunable"] = own["prunable"]
    if (counted.widths, counted.input_size) != (plan.widths, plan.input_size):
        return counted
    return counted.changed(latency_ms=plan.latency_ms, measured_ms=plan.measured_ms, dense_ms=plan.dense_ms)


def _group_cut(group: Group, kept: IntArray, may_prune: bool | None) -> GroupCut:
    removed = np.setdiff1d(np.arange(group.num_channels), kept)
    first = group.members[0]
    cut = GroupCut(layers=list(group.layers), kept=first[kept].tolist(), removed=first[removed].tolist())
    if may_prune is not None:
        cut["prunable"] = may_prune
    return cut


def kept_masks(prunable: PrunableNetwork, kept: Sequence[IntArray], removed: Sequence[Block]) -> Masks:
    """Returns per layer (C,): True for the output channels to keep; all False in a removed block."""
    # The shortcut of a removed block stands for its trunk, so its channels are kept.
    inside = {layer for block in removed for layer in block.layers if layer != block.shortcut}
    masks = keep_masks(prunable.groups, kept)
    return tuple(np.zeros_like(mask) if layer in inside else mask for layer, mask in enumerate(masks))


def kept_slots(plan: Plan, prunable: PrunableNetwork) -> list[IntArray]:
    """Returns per group the indices of the slots that a plan keeps, checked against the network."""
    _check_same(plan, prunable)
    removed = {layer for block in _removed_blocks(plan, prunable.blocks) for layer in block.layers}
    groups = prunable.groups.groups
    num_free = sum(not group.fixed for group in groups)
    if num_free != len(plan.groups):
        raise PlanError(f"the plan has {counted(len(plan.groups), 'group')}, the network {num_free}")
    cuts = iter(plan.groups)
    return [
        np.arange(group.num_channels) if group.fixed else _kept_of_group(group, next(cuts), removed)
        for group in groups
    ]


def _check_same(plan: Plan, prunable: PrunableNetwork) -> None:
    if plan.fingerprint != prunable.fingerprint:
        source = prunable.network.source
        raise PlanError(f"the plan is for another network than {source}; make a new plan for it")


def _removed_blocks(plan: Plan, blocks: Sequence[Block]) -> list[Block]:
    unknown = set(plan.blocks_removed) - {block.shortcut for block in blocks}
    if unknown:
        known = ", ".join(str(block.shortcut) for block in blocks) or "none"
        raise PlanError(
            f"blocks_removed: layer {min(unknown)} ends no removable residual block; they end in {known}"
        )
    return [block for block in blocks if block.shortcut in plan.blocks_removed]


def _kept_of_group(group: Group, cut: GroupCut, removed: Set[int]) -> IntArray:
    """Returns the slots of one group to keep; `removed` are the layers of removed blocks."""
    where = f"group of layers {cut['layers']}"
    if cut["layers"] != list(group.layers):
        raise PlanError(f"{where}: the network has {list(group.layers)} there")
    if sorted(cut["kept"] + cut["removed"]) != sorted(group.members[0].tolist()):
        raise PlanError(f"{where}: kept and removed together must name each of its channels once")
    if not cut["kept"] and not removed >= set(group.layers):
        raise PlanError(f"{where}: keep at least one channel, or name its block in blocks_removed")
    kept = np.flatnonzero(np.isin(group.members[0], cut["kept"]))
    if len(set(np.bincount(group.parts[kept], minlength=group.num_parts).tolist())) > 1:
        raise PlanError(f"{where}: each of its {group.num_parts} parts must keep equally many channels")
    return kept
