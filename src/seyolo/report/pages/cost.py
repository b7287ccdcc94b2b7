"""Section of the page of a slimming run: AP against cost, of stages and controls."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from seyolo.report.figures.cost import CostPoint, Role, cost_figure
from seyolo.report.pages.headline import RUNTIME_NAMES, Gain
from seyolo.report.pages.parts import Chart, chart
from seyolo.report.record import SlimRecord
from seyolo.report.tables.slim import control_cells, impossible_lines, shown_splits
from seyolo.report.text import count_text, latency_text
from seyolo.results import ControlRow, SlimResults, StageResult


@dataclass(frozen=True)
class Cost:
    """A cost of a network: its name on the axis, and how it is read and printed.

    A control has one latency, on ONNX Runtime; a stage has one per runtime.
    """

    label: str
    of_stage: Callable[[StageResult], float | None]
    of_control: Callable[[ControlRow], float]
    text: Callable[[float], str]


def cost_note(record: SlimRecord, gain: Gain) -> str:
    """Returns how latency was measured; empty where it was not."""
    if not gain.runtime:
        return ""
    note = "Latency is the median for one image at a time; all stages were timed in turns"
    note += f", on {record.processor}." if record.processor else "."
    slim = next(iter(_possible(record.results.controls)), None)
    if slim is not None:
        taken = latency_text(slim.latency_ms)
        note += f" The controls were timed in a run of their own, in which the slim network took {taken}."
    return note


def cost_charts(results: SlimResults, gain: Gain) -> list[Chart]:
    """Draws AP against MACs and against latency, for each shown split with labels."""
    measured = [split for split, found in results.dense.metrics.items() if math.isfinite(found.ap)]
    return [
        _cost_chart(results, split, cost) for split in shown_splits(measured) for cost in _costs(gain.runtime)
    ]


def _costs(runtime: str) -> list[Cost]:
    macs = Cost("MACs", lambda stage: stage.macs, lambda row: row.macs, count_text)
    if not runtime:
        return [macs]
    label = f"latency on {RUNTIME_NAMES.get(runtime, runtime)}"
    return [
        macs,
        Cost(label, lambda stage: stage.latency_ms.get(runtime), lambda row: row.latency_ms, latency_text),
    ]


def _cost_chart(results: SlimResults, split: str, cost: Cost) -> Chart:
    points = [*_stage_points(results, split, cost), *_control_points(results, split, cost)]
    told = "; ".join(f"{point.name} {point.ap:.3f} at {cost.text(point.cost)}" for point in points)
    figure = cost_figure(points, cost.text, cost.label, f"On {split}, by {cost.label}")
    return chart(figure, f"AP on {split} against {cost.label}: {told}")


def _stage_points(results: SlimResults, split: str, cost: Cost) -> list[CostPoint]:
    points = []
    for stage in results.stages:
        role: Role = "dense" if stage is results.dense else "slim" if stage is results.slim else "stage"
        value = cost.of_stage(stage)
        assert value is not None, "all stages are timed on the same runtimes"
        points.append(CostPoint(stage.stage, value, stage.metrics[split].ap, role))
    return points


def _control_points(results: SlimResults, split: str, cost: Cost) -> list[CostPoint]:
    """Returns the controls that are not stages themselves, and the slim network in int8."""
    known = {(stage.macs, stage.metrics[split].ap) for stage in results.stages}
    points = []
    for row in _possible(results.controls):
        ap = row.metrics[split].ap
        if row.control != "slim" and (row.macs, ap) not in known:
            name = "dense control" if row.control == "dense" else row.control
            points.append(CostPoint(name, cost.of_control(row), ap, "control"))
    if results.int8 is not None:
        value = cost.of_stage(results.int8)
        # The int8 file has the MACs of the slim network; only latency tells them apart.
        if value is not None and value != cost.of_stage(results.slim):
            points.append(CostPoint("slim int8", value, results.int8.metrics[split].ap, "control"))
    return points


def _possible(controls: Sequence[ControlRow]) -> list[ControlRow]:
    return [row for row in controls if row.not_possible is None]


def controls_context(controls: Sequence[ControlRow]) -> dict[str, Any]:
    """Returns the table of controls for the template; empty without any."""
    if not controls:
        return {}
    header, *body = control_cells(controls)
    return {"header": header, "rows": body, "not_possible": impossible_lines(controls)}
