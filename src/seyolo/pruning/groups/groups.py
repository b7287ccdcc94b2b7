"""Channel groups: output channels that must be kept or removed together, derived from the graph alone.

Tied atoms (see `atoms`) form a slot, the smallest unit that can be removed. Slots owned by the same
convolutions form a `Group`, whose slot k stands for one channel of each of them. The rules use neither layer
numbers nor names of architectures. The squeeze of an SE gate is a group like any other; its excite is tied to
the map it scales.

A split (`[route] groups=`) and a grouped convolution require that every part of their input keeps equally
many channels. Where the parts are exactly one group, `parts` names them and allocation may choose freely
within each part; elsewhere channel i of every part is tied, which is stricter and always correct.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from seyolo.darknet.cfg import Network
from seyolo.darknet.graph import IMAGE, channels, inputs
from seyolo.darknet.sections import Convolutional
from seyolo.pruning.groups.atoms import BoolArray, IntArray, Split, Walk
from seyolo.pruning.groups.rules import RULES


@dataclass(frozen=True, eq=False)
class Group:
    """Channels of the same convolutions, removed one slot at a time.

    Attributes:
        layers: the owning convolution of each member row, ascending; one that owns two channels of every
            slot stands twice. Empty for channels of the image.
        members: (len(layers), num_channels): the output channel of that convolution in each slot.
        slots: (num_channels,) the slots' numbers in `Groups.slots`.
        parts: (num_channels,) the part of each slot; every part must keep equally many.
        fixed: no channel may be removed.
        in_shortcut: a shortcut reads or adds these channels.
    """

    layers: tuple[int, ...]
    members: IntArray
    slots: IntArray
    parts: IntArray
    fixed: bool
    in_shortcut: bool

    @property
    def num_channels(self) -> int:
        return len(self.slots)

    @property
    def num_parts(self) -> int:
        """The number of parts that must keep equally many channels; 1 without a split."""
        return int(self.parts.max()) + 1


@dataclass(frozen=True, eq=False)
class Groups:
    """All groups of a network; every slot belongs to exactly one."""

    groups: tuple[Group, ...]  # in the order of their first atom; the image's channels come first
    slots: tuple[IntArray, ...]  # per layer (C,) the slot of each output channel
    image: IntArray  # (C,) the slot of each channel of the image

    @property
    def num_slots(self) -> int:
        """The number of slots of all groups."""
        return sum(group.num_channels for group in self.groups)

    def read_from(self, source: int) -> IntArray:
        """Returns the slots of the output of a layer; -1 is the image."""
        return self.image if source == IMAGE else self.slots[source]


def keep_masks(groups: Groups, kept: Sequence[IntArray]) -> tuple[BoolArray, ...]:
    """Returns per layer (C,): True for the output channels to keep; `kept` are indices of slots per group."""
    keeps = np.zeros(groups.num_slots, dtype=bool)
    for group, indices in zip(groups.groups, kept, strict=True):
        keeps[group.slots[indices]] = True
    return tuple(keeps[slots] for slots in groups.slots)


def find_groups(network: Network) -> Groups:
    """Returns the channel groups of any network."""
    walk = _walk(network)
    splits = walk.splits
    while True:
        groups, slot_of_atom = _collect(walk)
        parts_of, conflicts = _assign_parts(groups, [(s, slot_of_atom[s.vector]) for s in splits])
        if not conflicts:
            break
        for split in conflicts:
            parts = np.split(split.vector, split.num_parts)
            for part in parts[1:]:
                walk.tie(parts[0], part)
        splits = [split for split in splits if split not in conflicts]
    groups = [replace(group, parts=parts_of.get(i, group.parts)) for i, group in enumerate(groups)]
    vectors = tuple(slot_of_atom[vector] for vector in walk.vectors)
    return Groups(tuple(groups), vectors, slot_of_atom[walk.image])


def tied_scales(network: Network) -> list[list[tuple[str, IntArray]]]:
    """Returns per group its batch normalisations `layers.N.bn`, each with its channel in every slot."""
    ties = []
    for group in find_groups(network).groups:
        owners = [
            (f"layers.{layer}.bn", members)
            for layer, members in zip(group.layers, group.members, strict=True)
            if isinstance(section := network.layers[layer], Convolutional) and section.batch_normalize
        ]
        if owners:
            ties.append(owners)
    return ties


def _walk(network: Network) -> Walk:
    channels(network)  # refuses layers that do not fit
    walk = Walk(network.net.channels)
    for section, sources in zip(network.layers, inputs(network), strict=True):
        read = [walk.read(source) for source in sources]
        walk.vectors.append(RULES[type(section)].atoms(walk, section, read))
    walk.fix(walk.vectors[-1])
    return walk


def _collect(walk: Walk) -> tuple[list[Group], IntArray]:
    """Returns the groups without parts, and the slot of each atom."""
    roots = walk.roots()
    fixed, in_shortcut = (set(roots[sorted(marked)].tolist()) for marked in (walk.fixed, walk.in_shortcut))
    owner, channel = np.array(walk.owner), np.array(walk.channel)
    atoms_of: dict[int, list[int]] = {}
    for atom, root in enumerate(roots.tolist()):
        atoms_of.setdefault(root, []).append(atom)
    alike: dict[tuple[tuple[int, ...], bool, bool], list[list[int]]] = {}
    for root, atoms in atoms_of.items():
        key = tuple(owner[atoms].tolist()), root in fixed, root in in_shortcut
        alike.setdefault(key, []).append(atoms)
    slot_of_root = np.zeros_like(roots)
    groups: list[Group] = []
    num_slots = 0
    for (owners, is_fixed, touched), slots in alike.items():
        numbers = np.arange(num_slots, num_slots + len(slots))
        num_slots += len(slots)
        rows = np.array(slots).T
        slot_of_root[rows[0]] = numbers  # a set's lowest atom is its root
        layers = tuple(layer for layer in owners if layer != IMAGE)
        members = channel[rows[np.array(owners) != IMAGE]]
        groups.append(Group(layers, members, numbers, np.zeros_like(numbers), is_fixed, touched))
    return groups, slot_of_root[roots]


def _assign_parts(
    groups: Sequence[Group], splits: Sequence[tuple[Split, IntArray]]
) -> tuple[dict[int, IntArray], list[Split]]:
    """Returns per divided group the part of each slot, and the splits that no single group can express."""
    group_of_slot = np.concatenate([np.full(group.num_channels, i) for i, group in enumerate(groups)])
    parts_of: dict[int, IntArray] = {}
    conflicts: list[Split] = []
    for split, slots in splits:
        index = int(group_of_slot[slots[0]])
        group = groups[index]
        # A group's slots are numbered consecutively, so sorting lines them up with the group's own order.
        order = np.argsort(slots)
        part = order // (len(slots) // split.num_parts)
        whole = np.array_equal(slots[order], group.slots)
        if not whole or not np.array_equal(parts_of.setdefault(index, part), part):
            conflicts.append(split)
    return parts_of, conflicts
