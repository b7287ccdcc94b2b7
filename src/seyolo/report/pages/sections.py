"""Sections of the page of a slimming run: stages, cost, controls, curves, example images, pruning."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise, product
from typing import Any

from seyolo.darknet.cfg import Network
from seyolo.evaluation.curves import Curves
from seyolo.report.figures.channels import channel_rows, channels_figure, prunable_part
from seyolo.report.figures.cost import CostPoint, Role, cost_figure
from seyolo.report.figures.curves import confidence_figure, precision_recall_figure
from seyolo.report.figures.style import DENSE, SLIM
from seyolo.report.pages.headline import RUNTIME_NAMES, Gain
from seyolo.report.pages.parts import Chart, Grid, chart, embedded
from seyolo.report.record import EXAMPLES_FOLDER, SlimRecord
from seyolo.report.tables.slim import (
    control_cells,
    epochs_text,
    files_text,
    impossible_lines,
    int8_lines,
    rows,
    shown_splits,
    titles,
)
from seyolo.report.text import MISSING, count_text, latency_text, noise_text, percent_text
from seyolo.report.verdict import moved_text
from seyolo.results import STAGE_TITLES, ControlRow, Readiness, SlimResults, StageResult

MISTAKES = product(("missed", "missed only", "false"), ("dense", "slim"))
MISTAKE_TITLES = ("objects", *(f"{kind} by {network}" for kind, network in MISTAKES))
"""Column heads, in the order of the fields of `MistakeCounts`."""


def sections_context(record: SlimRecord, gain: Gain, dense: Network) -> dict[str, Any]:
    """Returns the values of all sections for the template."""
    results = record.results
    return {
        "table": _stages_grid(results),
        "cost_note": _cost_note(record, gain),
        "cost_charts": _cost_charts(results, gain),
        "controls": _controls_context(results.controls),
        "readiness": _readiness_lines(results.readiness),
        **_curves_context(record.curves),
        **_examples_context(record),
        **_pruning_context(record, dense),
    }


def _stages_grid(results: SlimResults) -> Grid:
    body = rows(results)
    pairs = enumerate(pairwise(body))
    ends = [index for index, (row, following) in pairs if row.group != following.group]
    note = (
        "dense: the trained network. slim: the result, pruned and fine-tuned. sparse and pruned: steps in "
        "between, after sparsity training and after pruning with repair."
    )
    if results.int8 is not None:
        note += " slim int8: the slim network in slim_int8.onnx, calibrated on training images."
    order = _column_order(len(results.stages), results.int8 is not None)
    cells = [["", *titles(results)], *(row.texts() for row in body)]
    header, *ordered = [[texts[index] for index in order] for texts in cells]
    said = (epochs_text(results), files_text(results), *int8_lines(results))
    below = " ".join(f"{told}." for told in said if told)
    return Grid(header, ordered, ends, note, below)


def _column_order(num_stages: int, has_int8: bool) -> list[int]:
    """Returns the columns of the page: name, dense, slim and change, which fit on a phone; then others."""
    first = list(dict.fromkeys((0, 1, num_stages, num_stages + 1)))
    return first + [num_stages + 2] * has_int8 + list(range(2, num_stages))


@dataclass(frozen=True)
class Cost:
    """A cost of a network: the name of its axis, and functions that read and print it."""

    label: str
    of: Callable[[StageResult | ControlRow], float | None]
    text: Callable[[float], str]


def _cost_note(record: SlimRecord, gain: Gain) -> str:
    """Returns how latency was measured; empty where it was not."""
    if not gain.runtime:
        return ""
    note = "Latency is the median for one image at a time; all stages were timed in turns"
    processor = record.environment.get("processor")
    note += f", on {processor}." if processor else "."
    if gain.noise:
        note += f" It varied by {noise_text(gain.noise)} (10 % to 90 % quantile)."
    slim = next(iter(_possible(record.results.controls)), None)
    if slim is not None:
        taken = latency_text(slim.latency_ms)
        note += f" The controls were timed in a run of their own, in which the slim network took {taken}."
    return note


def _cost_charts(results: SlimResults, gain: Gain) -> list[Chart]:
    """Draws AP against MACs and against latency, for each shown split with labels."""
    costs = [Cost("MACs", lambda row: row.macs, count_text)]
    if gain.runtime:
        label = f"latency on {RUNTIME_NAMES.get(gain.runtime, gain.runtime)}"
        costs.append(Cost(label, lambda row: _latency_ms(row, gain.runtime), latency_text))
    measured = [split for split, found in results.dense.metrics.items() if math.isfinite(found.ap)]
    return [_cost_chart(results, split, cost) for split in shown_splits(measured) for cost in costs]


def _latency_ms(row: StageResult | ControlRow, runtime: str) -> float | None:
    """Returns the latency of a stage on a runtime, or the one latency of a control, on ONNX Runtime."""
    return row.latency_ms if isinstance(row, ControlRow) else row.latency_ms.get(runtime)


def _cost_chart(results: SlimResults, split: str, cost: Cost) -> Chart:
    points = [*_stage_points(results, split, cost), *_control_points(results, split, cost)]
    told = "; ".join(f"{point.name} {point.ap:.3f} at {cost.text(point.cost)}" for point in points)
    figure = cost_figure(points, cost.text, cost.label, f"On {split}, by {cost.label}")
    return chart(figure, f"AP on {split} against {cost.label}: {told}")


def _stage_points(results: SlimResults, split: str, cost: Cost) -> list[CostPoint]:
    points = []
    for title, stage in zip(results.titles(), results.stages, strict=True):
        role: Role = "dense" if stage is results.dense else "slim" if stage is results.slim else "stage"
        value = cost.of(stage)
        assert value is not None, "all stages are timed on the same runtimes"
        points.append(CostPoint(title, value, stage.metrics[split].ap, role))
    return points


def _control_points(results: SlimResults, split: str, cost: Cost) -> list[CostPoint]:
    """Returns the controls that are not stages themselves, and the slim network in int8."""
    known = {(stage.macs, stage.metrics[split].ap) for stage in results.stages}
    networks: list[tuple[str, StageResult | ControlRow]] = [
        ("dense control" if row.control == "dense" else row.control, row)
        for row in _possible(results.controls)
        if row.control != "slim" and (row.macs, row.metrics[split].ap) not in known
    ]
    # The int8 file has the MACs of the slim network; only latency tells them apart.
    if results.int8 is not None and cost.of(results.int8) not in (None, cost.of(results.slim)):
        networks.append((STAGE_TITLES["int8"], results.int8))
    costs = [(name, cost.of(row), row.metrics[split].ap) for name, row in networks]
    return [CostPoint(name, value, ap, "control") for name, value, ap in costs if value is not None]


def _possible(controls: Sequence[ControlRow]) -> list[ControlRow]:
    return [row for row in controls if row.not_possible is None]


def _controls_context(controls: Sequence[ControlRow]) -> dict[str, Any]:
    if not controls:
        return {}
    header, *body = control_cells(controls)
    return {"header": header, "rows": body, "not_possible": impossible_lines(controls)}


def _curves_context(curves: Mapping[str, Mapping[str, Curves]]) -> dict[str, Any]:
    """Returns precision over recall of both networks, and the curves over confidence of the slim one."""
    if not curves:
        return {"precision_charts": [], "confidence_charts": [], "best_confidence": ""}
    dense, slim = next(iter(curves.values())), list(curves.values())[-1]
    chosen = next((one for split, one in slim.items() if split.startswith("val")), None)
    label = "Precision, recall and F1 of the slim network over confidence on"
    return {
        "precision_charts": [_precision_chart(split, dense[split], one) for split, one in slim.items()],
        "confidence_charts": [
            chart(confidence_figure({split: one}, f"On {split}"), f"{label} {split}")
            for split, one in slim.items()
        ],
        "best_confidence": f"{chosen.best_confidence:.2f}" if chosen else MISSING,
    }


def _precision_chart(split: str, dense: Curves, slim: Curves) -> Chart:
    figure = precision_recall_figure({"dense": (dense, DENSE), "slim": (slim, SLIM)}, f"On {split}")
    scores = f"{dense.precision50.mean():.3f} dense, {slim.precision50.mean():.3f} slim"
    return chart(figure, f"Precision over recall on {split}; AP at IoU 0.5: {scores}")


def _examples_context(record: SlimRecord) -> dict[str, Any]:
    """Returns the example images, the images with most mistakes, and the counts of mistakes."""
    examples, folder = record.examples, record.folder / EXAMPLES_FOLDER
    counts = [
        [split, *(f"{count:,}" for count in asdict(found).values())]
        for split, found in examples.mistakes.items()
    ]
    return {
        "shown_from": examples.confidence,
        "samples": [
            {**asdict(row), "dense": embedded(folder, row.dense), "slim": embedded(folder, row.slim)}
            for row in examples.samples
        ],
        "misses": [
            {
                **asdict(row),
                "source": embedded(folder, row.picture),
                "text": f"{row.missed} of {row.objects} missed, {row.false} false.",
                "compared": f"Dense: {row.dense_missed} missed, {row.dense_false} false.",
            }
            for row in examples.misses
        ],
        "mistakes": Grid(["", *MISTAKE_TITLES], counts) if counts else None,
    }


def _pruning_context(record: SlimRecord, network: Network) -> dict[str, Any]:
    """Returns the chart of channels, and the groups of the plan."""
    plan = record.plan
    before, after = channel_rows(network, plan.widths)
    old, new = (sum(channels for _, _, channels in found) for found in (before, after))
    note = (
        f"The budget was {' and '.join(record.results.budget)}. The slim network keeps {new:,} of {old:,} "
        f"channels and {count_text(plan.params)} of {count_text(plan.dense_params)} parameters."
    )
    if (prunable := prunable_part(network, plan)) is not None:
        note += f" {prunable[1]}, {prunable[2]}."
    if plan.blocks_removed:
        note += f" Residual blocks removed as a whole: {len(plan.blocks_removed)}."
    groups = []
    for group in plan.groups:
        kept, total = len(group["kept"]), len(group["kept"]) + len(group["removed"])
        layers = ", ".join(map(str, dict.fromkeys(group["layers"])))
        groups.append([layers, f"{total:,}", f"{kept:,}", percent_text(kept, total)])
    label = f"Channels of every convolution before and after pruning: {note}"
    return {
        "cut_note": note,
        "channel_charts": [chart(channels_figure(before, after, prunable), label)],
        "groups": Grid(["layers", "before", "after", "kept"], groups),
    }


def _readiness_lines(found: Readiness | None) -> list[str]:
    if found is None:
        return []
    return [
        f"Before pruning, {found.going:.0%} of all channels with a BN scale were chosen for removal; "
        f"their mean scale was {found.going_scale:.0%} of that of a kept channel. Right after pruning, "
        f"before repair, AP@0.5 on validation images {moved_text(found.ap50, found.cut_ap50)}."
    ]
