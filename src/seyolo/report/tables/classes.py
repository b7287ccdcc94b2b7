"""AP by class: the classes that a table shows, those that a network never finds, and the table of a run."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from seyolo.class_names import listed
from seyolo.errors import counted
from seyolo.report.tables.fitting import FittingTable
from seyolo.report.tables.slim import difference_text, shown_splits
from seyolo.report.text import share_text
from seyolo.results import SHOWN_FROM, ClassResult, SlimResults, SplitMetrics

if TYPE_CHECKING:
    from seyolo.evaluation.ap import ClassMetrics, Metrics

    Scores = Mapping[str, ClassMetrics] | Mapping[str, ClassResult]

MOST_SHOWN, NUM_WORST = 20, 10
"""Classes that a table shows, and the number that it shows instead where there are more."""
NEVER_AP50 = 0.005
"""AP@0.5 below which a class counts as never found: it prints as 0.00."""
COLUMNS = {"ap": "AP", "ap50": "AP@0.5"}
NOTHING = ClassResult()


def never_found(classes: Mapping[str, ClassMetrics]) -> list[str]:
    """Returns the names of the classes with an AP@0.5 of about 0."""
    return [name for name, found in classes.items() if found.ap50 < NEVER_AP50]


def shown_classes(classes: Scores) -> list[str]:
    """Returns the names that a table shows: all in their order, or the worst ten of more than 20."""
    if len(classes) <= MOST_SHOWN:
        return list(classes)
    return sorted(classes, key=lambda name: classes[name].ap)[:NUM_WORST]


def left_out_note(classes: Scores) -> str:
    """Returns what a table of the worst classes leaves out, with the best class; empty where it has all."""
    if len(classes) <= MOST_SHOWN:
        return ""
    best = max(classes, key=lambda name: classes[name].ap)
    shown = f"the worst {NUM_WORST} of {counted(len(classes), 'class')}"
    return f"{shown}; the best is {best} (AP {share_text(classes[best].ap)})"


def class_parts(measured: Mapping[str, Metrics], more: str) -> list[str | FittingTable]:
    """Returns AP by class below the classes that are never found; nothing where one class has objects.

    Of many classes the worst are shown, and `more` says where all are.
    """
    classes = {split: metrics.by_class() for split, metrics in measured.items()}
    if len({name for found in classes.values() for name in found}) < 2:
        return []
    rows = [
        [split, name, *map(share_text, (found[name].ap, found[name].ap50)), f"{found[name].num_objects:,}"]
        for split, found in classes.items()
        for name in shown_classes(found)
    ]
    never = ((split, never_found(found)) for split, found in classes.items())
    lines = [f"never finds on {split}: {listed(names)}" for split, names in never if names]
    notes = ((split, left_out_note(found)) for split, found in classes.items())
    header = ["split", "class", "ap", "ap50", "num objects"]
    by_class = FittingTable(header, rows, left=frozenset({0, 1}))
    return [*lines, by_class, *(f"{split}: {note}{more}" for split, note in notes if note)]


@dataclass(frozen=True)
class ByClass:
    """Results by class of the networks of a run, by title and split; false where one class has objects."""

    found: Mapping[str, Mapping[str, Mapping[str, ClassResult]]]
    own: str  # title of the network that the run made

    def __bool__(self) -> bool:
        return any(self.found[self.own].values())

    def table(self, *, is_whole: bool = True) -> FittingTable:
        """Returns AP, then AP@0.5, of each class and split; of many classes the worst if not whole."""
        titles = list(self.found)
        rows: list[list[str]] = []
        ends = []
        for split, own in self.found[self.own].items():
            for column, title in COLUMNS.items():
                for name in own if is_whole else shown_classes(own):
                    values = [getattr(of[split].get(name, NOTHING), column) for of in self.found.values()]
                    cells = [share_text(value) for value in values]
                    cells[2:2] = [difference_text(*values[:2])] if len(values) > 1 else []
                    rows.append([f"{title} {split} {name}", f"{own[name].num_objects:,}", *cells])
                ends.append(len(rows) - 1)
        header = ["", "objects", *titles[:2], *["change"] * (len(titles) > 1), *titles[2:]]
        return FittingTable(header, rows, section_ends=frozenset(ends), is_dense=True)

    def never(self, split: str) -> str:
        """Returns what the network never finds from `SHOWN_FROM` on: "never finds: face (dense does)"."""
        names = [name for name, one in self.found[self.own].get(split, {}).items() if not one.found]
        if not names:
            return ""
        dense = self.found.get("dense", {}).get(split, {})
        kept = [name for name in names if dense.get(name, NOTHING).found]
        said = {len(names): "dense does", 0: "nor does dense"}
        beside = said.get(len(kept), f"dense finds {listed(kept)}")
        return f"never finds: {listed(names)}{f' ({beside})' if dense else ''}"

    def lines(self) -> list[str]:
        """Returns a line for each split with classes that the network never finds."""
        never = {split: self.never(split) for split in self.found[self.own]}
        where = f"at confidence {SHOWN_FROM} and above, {self.own}"
        return [f"on {split}, {where} {text}" for split, text in never.items() if text]

    def parts(self) -> list[str | FittingTable]:
        """Returns what a terminal shows: lines, the table, and what it leaves out."""
        notes = ((split, left_out_note(classes)) for split, classes in self.found[self.own].items())
        left_out = [f"{split}: {note}; report.html has all" for split, note in notes if note]
        return [*self.lines(), self.table(is_whole=False), *left_out] if self else []


def slim_classes(results: SlimResults) -> ByClass:
    """Returns the results by class of a run of `slim`, on the splits that its page shows."""
    stages = {"dense": results.dense, "slim": results.slim, "slim int8": results.int8}
    splits = shown_splits([name for name, found in results.dense.metrics.items() if math.isfinite(found.ap)])
    found = {
        title: {split: stage.metrics.get(split, SplitMetrics()).classes for split in splits}
        for title, stage in stages.items()
        if stage is not None
    }
    return ByClass(found, "slim")
