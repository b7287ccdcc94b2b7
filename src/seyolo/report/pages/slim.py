"""The page of one slimming run: what was gained on one screen, and below it everything that proves it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from seyolo.checkpoint import read_checkpoint
from seyolo.report.figures.charts import confidence_figure, precision_recall_figure, scales_over_time_figure
from seyolo.report.figures.plots import channels_figure, curves_figure
from seyolo.report.figures.slim_run import channel_rows
from seyolo.report.figures.style import DENSE, SLIM
from seyolo.report.pages.cost import controls_context, cost_charts, cost_note
from seyolo.report.pages.headline import RUNTIME_NAMES, Gain, gain_of, points_text, ratio_text
from seyolo.report.pages.parts import Chart, Grid, chart, embedded, record_context, version_of
from seyolo.report.record import RunRecord
from seyolo.report.tables.stages import (
    MISSING,
    count_text,
    latency_text,
    rows,
    share_text,
    size_text,
    titles,
)

SECTIONS = (
    ("table", "Before and after"),
    ("cost", "Accuracy against cost"),
    ("controls", "Controls"),
    ("curves", "Precision and recall"),
    ("pictures", "Pictures"),
    ("misses", "Failures"),
    ("channels", "What was cut"),
    ("training", "Training"),
    ("reproduce", "To do it again"),
)
GATES = {"se": "SE", "cbam": "CBAM"}


@dataclass(frozen=True)
class Tile:
    """One figure before and after, with bars whose widths are in percent of the larger one."""

    name: str
    change: str
    dense: str
    slim: str
    dense_width: float
    slim_width: float


def slim_context(record: RunRecord) -> dict[str, Any]:
    """What the template of the page needs."""
    results = record.results
    gain = gain_of(results)
    controls = controls_context(results.get("controls", []))
    return {
        "record": record_context(record),
        "version": version_of(record),
        "headline": gain.headline(),
        "eyebrow": f"seyolo slim · {record.name} · {_short(results['data'])}",
        "lead": _lead(record, gain),
        "tiles": _tiles(results, gain),
        "sections": [section for section in SECTIONS if section[0] != "controls" or controls],
        "table": _table(results),
        "cost_note": cost_note(record, gain),
        "cost_charts": cost_charts(results, gain),
        "controls": controls,
        "shown_from": record.images.get("confidence"),
        **_curves(record),
        **_images(record),
        **_cut(record),
        "training_charts": _training_charts(record),
        "readiness": _readiness(results.get("readiness", {})),
    }


def _short(path: str) -> str:
    """A file with its folder."""
    return "/".join(Path(path).parts[-2:])


def _lead(record: RunRecord, gain: Gain) -> list[str]:
    dense, slim = record.results["stages"][0], record.results["stages"][-1]
    gates = record.config.get("attention")
    with_gates = f" with {GATES[gates['kind']]} gates" if gates else ""
    model = f"{record.config['model']}{with_gates}"
    height, width = slim["input_size"]
    first = (
        f"{model} at {width}x{height} pixels, cut to {' and '.join(record.results['budget'])}: "
        f"{_percent(slim['macs'], dense['macs'])} of the multiply-accumulates and "
        f"{_percent(slim['size_bytes'], dense['size_bytes'])} of the file are left."
    )
    if not gain.is_measured():
        return [f"{first} No split has labels to measure AP on."]
    before, after = gain.ap
    second = (
        f"AP on {gain.split} went from {share_text(before)} to {share_text(after)}: "
        f"{points_text(after - before)} points. {gain.verdict()} One run, seed {record.results['seed']}."
        f"{_unequal_training(dense.get('epochs'), slim.get('epochs'))}"
    )
    return [first, second]


def _unequal_training(dense_epochs: int | None, slim_epochs: int | None) -> str:
    """A sentence where the two networks saw images for a different time; both are None if nothing says."""
    if dense_epochs is None or slim_epochs is None or dense_epochs == slim_epochs:
        return ""
    return (
        f" The slim network has seen {slim_epochs} epochs, the dense one {dense_epochs}; --controls dense "
        "trains the dense one as long."
    )


def _percent(part: float, whole: float) -> str:
    return f"{100 * part / whole:.0f} %"


def _tiles(results: Mapping[str, Any], gain: Gain) -> list[Tile]:
    dense, slim = results["stages"][0], results["stages"][-1]
    tiles = []
    if gain.is_measured():
        change = f"{points_text(gain.ap[1] - gain.ap[0])} points"
        tiles.append(_tile(f"AP on {gain.split}", change, *gain.ap, share_text))
    tiles.append(
        _tile(
            "Multiply-accumulates", ratio_text(*gain.macs, "fewer", "more", "as many"), *gain.macs, count_text
        )
    )
    if gain.runtime:
        name = f"Latency, {RUNTIME_NAMES.get(gain.runtime, gain.runtime)}"
        tiles.append(
            _tile(
                name,
                ratio_text(*gain.latency_ms, "faster", "slower", "as fast"),
                *gain.latency_ms,
                latency_text,
            )
        )
    sizes = dense["size_bytes"], slim["size_bytes"]
    return [*tiles, _tile("File", ratio_text(*sizes, "smaller", "larger", "as large"), *sizes, size_text)]


def _tile(name: str, change: str, dense: float, slim: float, text: Callable[[float], str]) -> Tile:
    largest = max(dense, slim) or 1
    return Tile(name, change, text(dense), text(slim), *(round(100 * v / largest, 1) for v in (dense, slim)))


def _table(results: Mapping[str, Any]) -> Grid:
    body = rows(results)
    pairs = enumerate(pairwise(body))
    ends = [index for index, (row, following) in pairs if row.group != following.group]
    note = (
        "Dense is the trained network; sparse, after sparsity training; pruned, right after the cut and its "
        "repair; finetuned, the slim network as it is shipped. Epochs are those a network has seen in all."
    )
    if "int8" in results:
        note += " In int8 it is a file of its own, calibrated on training images; nothing was trained for it."
    return Grid(["", *titles(results)], [row.texts() for row in body], ends, note)


def _curves(record: RunRecord) -> dict[str, Any]:
    if not record.curves:
        return {"precision_charts": [], "confidence_charts": [], "best_confidence": ""}
    dense, slim = next(iter(record.curves.values())), list(record.curves.values())[-1]
    precision = []
    for split in slim:
        figure = precision_recall_figure(
            {"dense": (dense[split], DENSE), "slim": (slim[split], SLIM)}, f"On {split}"
        )
        scores = f"{dense[split].precision50.mean():.3f} dense, {slim[split].precision50.mean():.3f} slim"
        precision.append(chart(figure, f"Precision over recall on {split}; AP at IoU 0.5: {scores}"))
    chosen = next((one for split, one in slim.items() if split.startswith("val")), None)
    figures = {split: confidence_figure({split: one}, f"On {split}") for split, one in slim.items()}
    confidence = [
        chart(figure, f"Precision, recall and F1 of the slim network over confidence on {split}")
        for split, figure in figures.items()
    ]
    return {
        "precision_charts": precision,
        "confidence_charts": confidence,
        "best_confidence": f"{chosen.best_confidence:.2f}" if chosen else MISSING,
    }


def _images(record: RunRecord) -> dict[str, Any]:
    index, folder = record.images, record.folder / "pictures"
    samples = [
        {**row, "dense": embedded(folder / row["dense"]), "slim": embedded(folder / row["slim"])}
        for row in index.get("samples", [])
    ]
    misses = [
        {
            **row,
            "source": embedded(folder / row["picture"]),
            "text": f"{row['missed']} of {row['objects']} missed, {row['false']} false.",
            "compared": f"Dense: {row['dense_missed']} missed, {row['dense_false']} false.",
        }
        for row in index.get("misses", [])
    ]
    return {"samples": samples, "misses": misses, "mistakes": _mistakes(index.get("mistakes", {}))}


def _mistakes(counts: Mapping[str, Mapping[str, int]]) -> dict[str, Any]:
    titles_by_key = {
        "objects": "objects",
        "dense_missed": "missed by dense",
        "slim_missed": "by slim",
        "only_dense_missed": "by dense alone",
        "only_slim_missed": "by slim alone",
        "dense_false": "false by dense",
        "slim_false": "by slim",
    }
    body = [[split, *(f"{row[key]:,}" for key in titles_by_key)] for split, row in counts.items()]
    return {"header": ["", *titles_by_key.values()], "rows": body} if body else {}


def _cut(record: RunRecord) -> dict[str, Any]:
    plan = record.results["plan"]
    network = read_checkpoint(record.folder / "dense" / "best.safetensors").network
    before, after = channel_rows(network, plan["widths"])
    figure = channels_figure(before, after)
    old, new = (sum(channels for _, _, channels in found) for found in (before, after))
    note = (
        f"The budget was {' and '.join(record.results['budget'])}. What stays: {new:,} of {old:,} channels, "
        f"{count_text(plan['params'])} of {count_text(plan['dense_params'])} parameters."
    )
    if plan["blocks_removed"]:
        note += f" {len(plan['blocks_removed'])} residual blocks went as a whole."
    body = [
        [
            ", ".join(map(str, dict.fromkeys(group["layers"]))),
            f"{len(group['kept']) + len(group['removed']):,}",
            f"{len(group['kept']):,}",
            _percent(len(group["kept"]), len(group["kept"]) + len(group["removed"])),
        ]
        for group in plan["groups"]
    ]
    return {
        "cut_note": note,
        "channel_charts": [chart(figure, f"Channels of every convolution before and after the cut: {note}")],
        "groups": Grid(["layers", "before", "after", "kept"], body),
    }


def _training_charts(record: RunRecord) -> list[Chart]:
    charts = []
    if record.stages:
        stages = ", ".join(f"{name} {len(stage)} epochs" for name, stage in record.stages.items())
        charts.append(chart(curves_figure(record.stages), f"Training loss and validation AP: {stages}"))
    if record.spread:
        charts.append(chart(scales_over_time_figure(record.spread), "Percentiles of the scales by epoch"))
    return charts


def _readiness(found: Mapping[str, float]) -> list[str]:
    if not found:
        return []
    return [
        f"Before the cut {found['going']:.0%} of the channels were to go; a channel that goes had "
        f"{found['going_scale']:.0%} of the scale of one that stays. Cut with nothing repaired, AP@0.5 on "
        f"validation images fell from {found['ap50']:.3f} to {found['cut_ap50']:.3f}."
    ]
