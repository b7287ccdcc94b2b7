"""What a slimming run's accuracy costs, beside its stages and its controls: charts, a note, a table."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from seyolo.report.figures.charts import CostPoint, Role, cost_figure
from seyolo.report.pages.headline import RUNTIME_NAMES, Gain
from seyolo.report.pages.parts import Chart, chart
from seyolo.report.record import RunRecord
from seyolo.report.tables.controls import control_cells
from seyolo.report.tables.stages import count_text, latency_text, shown_splits


def cost_note(record: RunRecord, gain: Gain) -> str:
    """How latency was measured; empty where it was not."""
    if not gain.runtime:
        return ""
    where = record.environment.get("processor")
    note = "Latency is the median of one image at a time, all stages in turns"
    note += f", on {where}." if where else "."
    slim = next(iter(_possible(record.results.get("controls", []))), None)
    if slim is not None:
        taken = latency_text(slim["latency_ms"])
        note += f" Controls were timed in a run of their own, in which the slim network took {taken}."
    return note


def cost_charts(results: Mapping[str, Any], gain: Gain) -> list[Chart]:
    """AP against MACs and against latency, on each split that is shown and has labels."""
    charts = []
    measured = [
        split for split, found in results["stages"][0]["metrics"].items() if math.isfinite(found["ap"])
    ]
    for split in shown_splits(measured):
        points = _points(results, split, "macs", None)
        charts.append(_cost_chart(points, count_text, "MACs", split))
        if gain.runtime:
            points = _points(results, split, "latency_ms", gain.runtime)
            label = f"latency on {RUNTIME_NAMES.get(gain.runtime, gain.runtime)}"
            charts.append(_cost_chart(points, latency_text, label, split))
    return charts


def _cost_chart(points: Sequence[CostPoint], text: Callable[[float], str], label: str, split: str) -> Chart:
    told = "; ".join(f"{point.name} {point.ap:.3f} at {text(point.cost)}" for point in points)
    figure = cost_figure(points, text, label, f"On {split}, by {label}")
    return chart(figure, f"AP on {split} against {label}: {told}")


def _points(results: Mapping[str, Any], split: str, key: str, runtime: str | None) -> list[CostPoint]:
    """Stages and controls by one cost; a control that is a stage itself stands there once."""
    stages = results["stages"]
    points: list[CostPoint] = []
    for index, stage in enumerate(stages):
        role: Role = "dense" if index == 0 else "slim" if index == len(stages) - 1 else "stage"
        value = stage[key] if runtime is None else stage[key][runtime]
        name = "slim" if role == "slim" else stage["stage"]
        points.append(CostPoint(name, value, stage["metrics"][split]["ap"], role))
    known = {(stage["macs"], stage["metrics"][split]["ap"]) for stage in stages}
    for row in _possible(results.get("controls", [])):
        ap = row["metrics"][split]["ap"]
        if row["control"] != "slim" and (row["macs"], ap) not in known:
            name = "dense control" if row["control"] == "dense" else row["control"]
            points.append(CostPoint(name, row[key], ap, "control"))
    if "int8" in results and runtime in results["int8"]["latency_ms"]:
        row = results["int8"]
        points.append(CostPoint("slim int8", row[key][runtime], row["metrics"][split]["ap"], "control"))
    return points


def _possible(controls: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    return [row for row in controls if "not_possible" not in row]


def controls_context(controls: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The table of controls for the template; empty without any."""
    if not controls:
        return {}
    header, *body = control_cells(controls)
    impossible = [f"{row['control']}: {row['not_possible']}" for row in controls if "not_possible" in row]
    return {"header": header, "rows": body, "not_possible": impossible}
