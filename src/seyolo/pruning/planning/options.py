"""Options of a plan under their old name, and the evenness that follows from importance and budget."""

from __future__ import annotations

from seyolo.options.cut import DEFAULT_CUT, CutOptions, Importance, Scope

__all__ = ["DEFAULTS", "PlanOptions", "Scope", "usual_evenness"]

PlanOptions = CutOptions
DEFAULTS = DEFAULT_CUT


def usual_evenness(importance: Importance, macs_share: float) -> float:
    """Returns how evenly groups narrow by an importance where a plan leaves this share of the MACs.

    Measured in decisions 0012 and 0016.
    """
    if importance == "obs":
        return 2.0
    if macs_share >= 0.25:
        return 0.0
    return 0.5 if macs_share >= 0.15 else 1.0
