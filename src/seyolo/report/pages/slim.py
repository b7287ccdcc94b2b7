"""Page of one slimming run: the gain on one screen, and its evidence below."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from seyolo.report.pages.headline import RUNTIME_NAMES, Gain, gain_of
from seyolo.report.pages.parts import record_context, training_charts
from seyolo.report.pages.sections import (
    controls_context,
    cost_charts,
    cost_note,
    curves_context,
    examples_context,
    pruning_context,
    readiness_lines,
    stages_grid,
)
from seyolo.report.record import SlimRecord
from seyolo.report.text import (
    count_text,
    latency_text,
    percent_text,
    points_text,
    ratio_text,
    share_text,
    size_text,
)
from seyolo.results import SlimResults

SECTIONS = (
    ("table", "Before and after"),
    ("cost", "Accuracy against cost"),
    ("controls", "Controls"),
    ("curves", "Precision and recall"),
    ("pictures", "Images"),
    ("misses", "Mistakes"),
    ("channels", "Pruned channels"),
    ("training", "Training"),
    ("reproduce", "How to reproduce it"),
)
GATES = {"se": "SE", "cbam": "CBAM"}


@dataclass(frozen=True)
class Tile:
    """One quantity before and after; the widths of its bars are in percent of the larger value."""

    name: str
    change: str
    dense: str
    slim: str
    dense_width: float
    slim_width: float


def slim_context(record: SlimRecord) -> dict[str, Any]:
    """Returns the values of the template."""
    results = record.results
    gain = gain_of(results)
    controls = controls_context(results.controls)
    not_written = [(name, text) for name, text in results.artefacts.items() if text != "written"]
    epochs = ", ".join(f"{name} {len(rows)} epochs" for name, rows in record.stages.items())
    return {
        "record": record_context(record, not_written),
        "version": record.version,
        "headline": gain.headline(),
        "eyebrow": f"seyolo slim · {record.name} · {'/'.join(Path(results.data).parts[-2:])}",
        "lead": _lead(record, gain),
        "tiles": _tiles(results, gain),
        "sections": [section for section in SECTIONS if section[0] != "controls" or controls],
        "table": stages_grid(results),
        "cost_note": cost_note(record, gain),
        "cost_charts": cost_charts(results, gain),
        "controls": controls,
        **curves_context(record.curves),
        **examples_context(record),
        **pruning_context(record),
        "training_charts": training_charts(record, f"Training loss and validation AP: {epochs}"),
        "readiness": readiness_lines(results.readiness),
    }


def _lead(record: SlimRecord, gain: Gain) -> list[str]:
    """Returns the first paragraphs: cost and AP before and after, in sentences."""
    dense, slim = record.results.dense, record.results.slim
    attention = record.config.get("attention")
    with_gates = f" with {GATES[attention['kind']]} gates" if attention else ""
    height, width = slim.input_size
    first = (
        f"{record.model}{with_gates} at {width}x{height} pixels, pruned to "
        f"{' and '.join(record.results.budget)}: the slim network has {percent_text(slim.macs, dense.macs)} "
        f"of the multiply-accumulates (MACs), and its file has "
        f"{percent_text(slim.size_bytes, dense.size_bytes)} of the size."
    )
    if not gain.is_measured():
        return [f"{first} No split has labels to measure AP on."]
    before, after = gain.ap
    second = (
        f"AP on {gain.split} changed from {share_text(before)} to {share_text(after)}: "
        f"{points_text(after - before)} points. {gain.verdict()} One run, seed {record.results.seed}."
    )
    if None not in (dense.epochs, slim.epochs) and dense.epochs != slim.epochs:
        second += (
            f" The slim network was trained for {slim.epochs} epochs in all, the dense one for "
            f"{dense.epochs}; --controls dense trains the dense one as long."
        )
    return [first, second]


def _tiles(results: SlimResults, gain: Gain) -> list[Tile]:
    sizes = results.dense.size_bytes, results.slim.size_bytes
    fewer = ratio_text(*gain.macs, "fewer", "more", "as many")
    smaller = ratio_text(*sizes, "smaller", "larger", "as large")
    tiles = [
        _tile("Multiply-accumulates", fewer, gain.macs, count_text),
        _tile("File", smaller, sizes, size_text),
    ]
    if gain.runtime:
        name = f"Latency, {RUNTIME_NAMES.get(gain.runtime, gain.runtime)}"
        faster = ratio_text(*gain.latency_ms, "faster", "slower", "as fast")
        tiles.insert(1, _tile(name, faster, gain.latency_ms, latency_text))
    if gain.is_measured():
        change = f"{points_text(gain.ap[1] - gain.ap[0])} points"
        tiles.insert(0, _tile(f"AP on {gain.split}", change, gain.ap, share_text))
    return tiles


def _tile(name: str, change: str, pair: tuple[float, float], text: Callable[[float], str]) -> Tile:
    dense, slim = pair
    largest = max(pair) or 1
    return Tile(name, change, text(dense), text(slim), *(round(100 * value / largest, 1) for value in pair))
