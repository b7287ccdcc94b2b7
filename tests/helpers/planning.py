"""Plans of a model in one call, and scores in the form that allocation takes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from seyolo.darknet.cfg import Network
from seyolo.options.budget import parse_budgets
from seyolo.options.cut import DEFAULT_CUT, CutOptions
from seyolo.pruning.groups.atoms import FloatArray
from seyolo.pruning.planning.latency import LatencyTable
from seyolo.pruning.planning.plan import Plan
from seyolo.pruning.planning.planner import Planner
from seyolo.pruning.planning.prunable import PrunableNetwork, Ranked
from seyolo.torchnet.build import DarknetModel


def plan_for(
    model: DarknetModel,
    budget: str | Sequence[str],
    options: CutOptions = DEFAULT_CUT,
    latency: Mapping[str, LatencyTable] | None = None,
) -> Plan:
    return Planner(model, options, latency=latency).plan(parse_budgets(budget))


def ranked_by(network: Network, scores: Sequence[FloatArray], *, per_cost: bool = False) -> Ranked:
    """A network without removable blocks, whose channels have these scores."""
    prunable = PrunableNetwork(network)
    return Ranked(prunable.groups, scores, prunable.costs, importance="given", per_cost=per_cost)
