"""A network made ready for planning: groups, importance, blocks and latency tables are found once.

Another plan for another limit then costs little, which is what holding a measured latency needs.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import numpy as np

from seyolo.darknet.edit import set_size
from seyolo.progress import Progress
from seyolo.pruning.groups.atoms import IntArray
from seyolo.pruning.groups.blocks import find_blocks
from seyolo.pruning.groups.groups import Groups, find_groups
from seyolo.pruning.importance.scores import FloatArray, importance
from seyolo.pruning.planning.allocate import allocate
from seyolo.pruning.planning.budget import Budget
from seyolo.pruning.planning.latency import LatencyTable, latency_table
from seyolo.pruning.planning.options import PlanOptions, usual_evenness
from seyolo.pruning.planning.plan import Plan, describe_cut
from seyolo.pruning.planning.widths import FLOOR, cuttable_groups
from seyolo.torchnet.build import DarknetModel, to_checkpoint

Latency = Mapping[str, Callable[[IntArray], float]]
"""Per backend, milliseconds as a function of the (groups,) kept channels."""


class Draft:
    """What plans of one network share.

    Args:
        model: the dense model.
        budgets: what the plans will be held against.
        options: how to decide.
        generator, measured, latency: as in `seyolo.prune`.
        backends: a table is made for these, too.
        progress: told how far the measurement of a table is.

    Attributes:
        budgets: as given.
        file: the dense network at the size of the options, and its tensors.
        tables: latency per backend: those given, and one for every other backend that is named.

    Raises:
        UsageError: an importance that cannot be had, or a layer to keep that the network does not have.
        BudgetError: nothing can be cut at all.
        BackendError: the backend of a latency budget does not run this network.
    """

    def __init__(
        self,
        model: DarknetModel,
        budgets: Sequence[Budget],
        options: PlanOptions,
        *,
        generator: np.random.Generator | None = None,
        measured: Mapping[int, FloatArray] | None = None,
        latency: Mapping[str, LatencyTable] | None = None,
        backends: Sequence[str] = (),
        progress: Progress | None = None,
    ) -> None:
        self.budgets = budgets
        file = to_checkpoint(model)
        network = set_size(file.network, *options.size_hw) if options.size_hw else file.network
        self.file = replace(file, network=network)
        self._method = options.importance or "bn"
        self._options = options = replace(options, importance=self._method)
        self._groups = find_groups(network)
        self._blocks = find_blocks(network, self._groups)
        self._scores = importance(
            self._groups,
            file.state,
            self._method,
            tied=options.tied,
            generator=generator,
            measured=measured,
        )
        # Whatever is wrong is said before minutes go into measuring a table.
        cuttable_groups(self._groups, self._scores, options)
        self.tables = dict(latency or {})
        named = [*backends, *(budget.backend for budget in budgets if budget.backend)]
        for backend in dict.fromkeys(named):
            if backend in self.tables:
                continue
            self.tables[backend] = latency_table(
                model, backend, options.size_hw, multiple=options.multiple, progress=progress
            )

    def plan(self, budgets: Sequence[Budget], latency: Latency) -> Plan:
        """The plan that meets budgets, with what the tables predict for it.

        Args:
            budgets: those of the draft, or tighter or looser ones of the same kinds.
            latency: what budgets of latency are held against.

        Raises:
            BudgetError: a budget cannot be met.
        """
        if self._options.evenness is not None:
            return self._plan(budgets, latency, self._options)
        plan = self._plan(budgets, latency, replace(self._options, evenness=0.0))
        # `channels=` counts as the papers do, whose threshold knows importance alone.
        if any(budget.kind == "channels" for budget in budgets):
            return plan
        evenness = usual_evenness(self._method, plan.macs / plan.dense_macs)
        if evenness == 0.0:
            return plan
        return self._plan(budgets, latency, replace(self._options, evenness=evenness))

    def _plan(self, budgets: Sequence[Budget], latency: Latency, options: PlanOptions) -> Plan:
        """The plan by options whose evenness is set."""
        network, groups = self.file.network, self._groups
        kept = allocate(network, groups, self._scores, budgets, options, blocks=self._blocks, latency=latency)
        plan = describe_cut(
            network,
            groups,
            kept,
            budget=",".join(map(str, self.budgets)),
            scope=options.scope,
            multiple=options.multiple or FLOOR,
            evenness=options.evenness or 0.0,
            importance=self._method,
            blocks=self._blocks,
        )
        return replace(plan, latency_ms=predictions(plan, groups, self.tables))


def predictions(plan: Plan, groups: Groups, tables: Mapping[str, LatencyTable]) -> dict[str, float]:
    """Milliseconds of an image on each backend that has a table, for the network a plan gives.

    Args:
        plan: the plan.
        groups: of the network the plan is for.
        tables: of the same network, by backend.
    """
    cuts = iter(plan.groups)
    counts = np.array(
        [group.num_channels if group.fixed else len(next(cuts)["kept"]) for group in groups.groups]
    )
    return {backend: round(table.predict(counts), 3) for backend, table in tables.items()}
