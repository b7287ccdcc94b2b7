"""How near predicted latency comes to what is measured, and whether budgets of latency hold.

    python benchmarks/latency_budget.py [--models yolov3@0.25 ...] [--budgets 50% ...] [--size 320]

The table of each network is measured first, or read from the cache: set `SEYOLO_CACHE` to an empty folder to
measure anew. Then every budget is planned, built, timed beside the dense network, and planned again where it
is not met. The weights are random: latency depends on the widths alone. The scales that rank the channels are
drawn log-normal (seeded), so the cut is uneven, as a trained network's is.
"""

from __future__ import annotations

import argparse
import time

from cut_yolov3 import random_model

from seyolo.errors import BudgetError
from seyolo.options.budget import parse_budgets
from seyolo.progress import Lines
from seyolo.pruning.planning.latency import LatencyTable, latency_table
from seyolo.pruning.planning.planner import Planner
from seyolo.torchnet.build import DarknetModel, to_checkpoint


def row(model: DarknetModel, budget: str, backend: str, table: LatencyTable) -> str:
    """A line of the table: the budget, what was predicted and what was measured."""
    start = time.perf_counter()
    try:
        plan = Planner(model, latency={backend: table}, progress=Lines()).plan(parse_budgets(budget))
    except BudgetError as error:
        return f"| {budget} | {error} |"
    seconds = time.perf_counter() - start
    predicted, measured = plan.latency_ms[backend], plan.measured_ms[backend]
    dense, macs_share = plan.dense_ms[backend], plan.macs / plan.dense_macs
    return (
        f"| {budget} | {dense:.2f} ms | {predicted:.2f} ms | {measured:.2f} ms "
        f"| {predicted / measured - 1:+.1%} | {measured / dense:.1%} | {macs_share:.1%} | {seconds:.0f} s |"
    )


def main() -> None:
    """Measures, plans, prints."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--models", nargs="+", default=["yolov3@0.25", "se-yolov3@0.25", "yolov3-tiny"])
    parser.add_argument("--budgets", nargs="+", default=["75%", "60%", "50%"])
    parser.add_argument("--size", type=int, default=320)
    parser.add_argument("--backend", default="onnxruntime")
    arguments = parser.parse_args()
    for name in arguments.models:
        model = random_model(name, arguments.size, seed=0)
        start = time.perf_counter()
        table = latency_table(to_checkpoint(model), arguments.backend, progress=Lines())
        print(f"{name} @{arguments.size}: {len(table.cuts)} cuts in {time.perf_counter() - start:.0f} s")
        print("| budget | dense | predicted | measured | error | of dense | MACs | took |")
        print("| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |")
        for amount in arguments.budgets:
            budget = f"latency={amount}@{arguments.backend}"
            print(row(model, budget, arguments.backend, table), flush=True)


if __name__ == "__main__":
    main()
