"""AP by class: the classes that a table shows, and those that a network never finds."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from seyolo.errors import counted
from seyolo.report.text import share_text

if TYPE_CHECKING:
    from seyolo.evaluation.ap import ClassMetrics

MOST_SHOWN, NUM_WORST = 20, 10
"""Classes that a table shows, and the number that it shows instead where there are more."""
NEVER_AP50 = 0.005
"""AP@0.5 below which a class counts as never found: it prints as 0.00."""


def never_found(classes: Mapping[str, ClassMetrics]) -> list[str]:
    """Returns the names of the classes with an AP@0.5 of about 0."""
    return [name for name, found in classes.items() if found.ap50 < NEVER_AP50]


def shown_classes(classes: Mapping[str, ClassMetrics]) -> list[str]:
    """Returns the names that a table shows: all in their order, or the worst ten of more than 20."""
    if len(classes) <= MOST_SHOWN:
        return list(classes)
    return sorted(classes, key=lambda name: classes[name].ap)[:NUM_WORST]


def left_out_note(classes: Mapping[str, ClassMetrics]) -> str:
    """Returns what a table of the worst classes leaves out, with the best class; empty where it has all."""
    if len(classes) <= MOST_SHOWN:
        return ""
    best = max(classes, key=lambda name: classes[name].ap)
    shown = f"the worst {NUM_WORST} of {counted(len(classes), 'class')}"
    return f"{shown}; the best is {best} (AP {share_text(classes[best].ap)})"
