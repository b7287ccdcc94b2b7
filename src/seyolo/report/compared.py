"""Comparison of runs: options that differ, whether their data are the same, and groups of seeds."""

from __future__ import annotations

import os
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import takewhile
from typing import Any

from seyolo.data.fingerprint import DATA_FILE, read_fingerprint
from seyolo.errors import SeyoloError
from seyolo.json_files import from_json, to_json
from seyolo.options.slim import SlimOptions
from seyolo.options.stored import migrated_slim
from seyolo.options.train import TrainOptions
from seyolo.report.record import SlimRecord, TrainRecord, flat_settings
from seyolo.sizes import input_text, size_hw

Record = SlimRecord | TrainRecord
WITHOUT_EFFECT = frozenset(
    {"seed", "data", "device", "cache", "save_every", "loader_workers", "threads", "controls"}
)
"""Options that two runs of one group may differ in."""
MEASURED = ("size", "epochs", "seed")
"""Options that differ between verbs, too, where all of them have their defaults."""
DERIVED = ("epochs", "branch_epoch", "sparse_epochs", "finetune_epochs")


@dataclass(frozen=True, eq=False)
class Run:
    """A run in a comparison; `name` is unique there."""

    name: str
    record: Record

    @cached_property
    def settings(self) -> dict[str, Any]:
        """All options by today's names, flat, with defaults where the run was given none."""
        kind = SlimOptions if isinstance(self.record, SlimRecord) else TrainOptions
        given = dict(self.record.config)
        values = _filled(to_json(kind()), migrated_slim(given) if kind is SlimOptions else given)
        if kind is SlimOptions:
            values |= _derived(values)
        return flat_settings(values) | {"size": input_text(self.input_hw)}

    @cached_property
    def usual(self) -> dict[str, Any]:
        """The defaults of all options of its verb."""
        kind = SlimOptions if isinstance(self.record, SlimRecord) else TrainOptions
        values = to_json(kind())
        return flat_settings(values | _derived(values) if kind is SlimOptions else values)

    @property
    def input_hw(self) -> tuple[int, int]:
        """Height and width of the input in pixels."""
        if isinstance(self.record, SlimRecord):
            return self.record.results.dense.input_size
        return size_hw(self.record.config["size"])

    @property
    def data_name(self) -> str:
        """DATA as it was given."""
        given = self.record.results.data if isinstance(self.record, SlimRecord) else ""
        return str(self.settings["data"] or given)

    @cached_property
    def data(self) -> dict[str, int]:
        """Checksums of images, labels and classes by split, free of their place; empty in runs without."""
        if not (self.record.folder / DATA_FILE).is_file():
            return {}
        found = read_fingerprint(self.record.folder)
        entries = {
            split: sorted((os.path.basename(name), *entry) for name, entry in images.items())
            for split, images in found.splits.items()
        }
        return {split: zlib.crc32(repr((found.names, rows)).encode()) for split, rows in entries.items()}

    def has_data_of(self, other: Run) -> bool:
        """Tests whether two runs have the same data: by the splits that both kept, else by the path given."""
        if common := self.data.keys() & other.data.keys():
            return all(self.data[split] == other.data[split] for split in common)
        return self.data_name == other.data_name


@dataclass(frozen=True, eq=False)
class Group:
    """Runs that differ in the seed only, or a single run."""

    name: str
    runs: Sequence[Run]

    def title(self, network: str) -> str:
        """Returns the name of a network of the group: hands · slim (3 seeds)."""
        seeds = f" ({len(self.runs)} seeds)" if len(self.runs) > 1 else ""
        return f"{self.name} · {network}{seeds}"


def named_runs(records: Sequence[Record]) -> list[Run]:
    """Returns the runs with their names, or their folders where two names are equal."""
    names = [record.name for record in records]
    if len(set(names)) < len(names):
        names = [str(record.folder) for record in records]
    return [Run(*pair) for pair in zip(names, records, strict=True)]


def grouped(runs: Sequence[Run]) -> list[Group]:
    """Groups the runs of the same settings and data, whatever their seeds, in their order."""
    groups: list[list[Run]] = []
    for run in runs:
        same = next((group for group in groups if _is_repeated(group[0], run)), None)
        groups.append([run]) if same is None else same.append(run)
    names = [_common_name([run.name for run in group]) for group in groups]
    pairs = zip(names, groups, strict=True)
    return [Group(name if names.count(name) == 1 else group[0].name, group) for name, group in pairs]


def _is_repeated(one: Run, other: Run) -> bool:
    if type(one.record) is not type(other.record) or not one.has_data_of(other):
        return False
    names = (one.settings.keys() | other.settings.keys()) - WITHOUT_EFFECT
    return all(one.settings.get(name) == other.settings.get(name) for name in names)


def _common_name(names: Sequence[str]) -> str:
    """Returns the beginning that the names have in common, or the first name where they have none."""
    if len(names) == 1:
        return names[0]
    letters = takewhile(lambda column: len(set(column)) == 1, zip(*names, strict=False))
    return "".join(column[0] for column in letters).rstrip("-_. 0123456789") or names[0]


def differing(groups: Sequence[Group]) -> dict[str, list[list[Any]]]:
    """Returns the options that differ, by name: the values of each group, none where a verb lacks one.

    Runs of different verbs differ in an option where one of them does not have the default of its verb.
    """
    runs = [run for group in groups for run in group.runs]
    has_same_data = all(run.has_data_of(runs[0]) for run in runs)
    names = dict.fromkeys(name for run in runs for name in run.settings)
    return {
        name: [_values(name, group) for group in groups]
        for name in names
        if _differs(name, runs) and not (name == "data" and has_same_data)
    }


def _differs(name: str, runs: Sequence[Run]) -> bool:
    having = [run for run in runs if name in run.settings]
    if len({type(run.record) for run in runs}) > 1 and name not in MEASURED:
        return any(run.settings[name] != run.usual.get(name) for run in having) and _vary(name, runs)
    return _vary(name, runs)


def _vary(name: str, runs: Sequence[Run]) -> bool:
    values = [run.settings.get(name) for run in runs]
    return any(value != values[0] for value in values)


def _values(name: str, group: Group) -> list[Any]:
    found: list[Any] = []
    for run in group.runs:
        if name in run.settings and run.settings[name] not in found:
            found.append(run.settings[name])
    return found


def _filled(usual: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the options given, and defaults for the others."""
    nested = {
        name: _filled(value, given[name])
        for name, value in usual.items()
        if isinstance(value, dict) and isinstance(given.get(name), dict)
    }
    return {**usual, **given, **nested}


def _derived(values: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the epochs of the stages that follow from others; nothing for options of another version."""
    try:
        options = from_json(values, SlimOptions)
    except SeyoloError:
        return {}
    epochs = options.stage_epochs()
    derived = epochs["dense"], options.branch(), epochs["sparse"], epochs["finetuned"]
    return dict(zip(DERIVED, derived, strict=True))
