"""Page of one slimming run: the gain on one screen, and its evidence below."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from seyolo.checkpoint import read_checkpoint
from seyolo.darknet.placement import GATE_TITLES
from seyolo.errors import counted
from seyolo.report.pages.headline import RUNTIME_NAMES, Finds, Gain, finds_of, gain_of, plain_headline
from seyolo.report.pages.parts import care_lines, record_context, training_charts
from seyolo.report.pages.sections import sections_context
from seyolo.report.record import SlimRecord
from seyolo.report.tables.classes import slim_classes
from seyolo.report.tables.slim import epochs_text
from seyolo.report.text import (
    count_text,
    latency_text,
    noise_text,
    percent_text,
    points_text,
    ratio_text,
    share_text,
    size_text,
    speed_text,
)
from seyolo.report.verdict import Verdict, slim_verdict
from seyolo.results import STAGE_TITLES, SlimResults, epochs_of
from seyolo.runs import BEST_FILE

TOO_FEW = "too few to tell"
SECTIONS = (
    ("table", "Before and after"),
    ("classes", "By class"),
    ("cost", "Accuracy against cost"),
    ("controls", "Controls"),
    ("curves", "Precision and recall"),
    ("pictures", "Images"),
    ("misses", "Mistakes"),
    ("channels", "Pruned channels"),
    ("training", "Training"),
    ("reproduce", "How to reproduce it"),
    ("glossary", "Glossary"),
)


def slim_context(record: SlimRecord) -> dict[str, Any]:
    """Returns the values of the template."""
    results = record.results
    verdict = slim_verdict(results, record.start, new_activation=record.config.get("activation") is not None)
    gain = gain_of(results, verdict)
    dense = read_checkpoint(record.folder / "dense" / BEST_FILE)
    finds = finds_of(record.examples, gain.split, dense.names)
    headline = plain_headline(results, gain, finds) if finds else gain.headline()
    classes = slim_classes(results)
    if (never := classes.never(gain.split)) and not gain.few:
        headline += f"; {never}"
    sections = {**sections_context(record, gain, dense.network), "classes": classes}
    not_written = [(name, text) for name, text in results.artefacts.items() if text != "written"]
    epochs = ", ".join(
        f"{STAGE_TITLES.get(name, name)} {counted(len(epochs_of(rows)), 'epoch')}"
        for name, rows in record.stages.items()
    )
    return {
        "record": record_context(record, not_written),
        "version": record.version,
        "headline": verdict.failure.headline() if verdict.failure else headline,
        "warnings": care_lines(_warnings(verdict, headline), record),
        "eyebrow": f"seyolo slim · {record.name} · {'/'.join(Path(results.data).parts[-2:])}",
        "lead": _lead(record, gain, finds),
        "tiles": _tiles(results, gain, finds),
        "sections": [section for section in SECTIONS if sections.get(section[0], True)],
        "training_charts": training_charts(record, f"Training loss and validation AP: {epochs}"),
        **sections,
    }


def _warnings(verdict: Verdict, headline: str) -> list[str]:
    """Returns what to read before the figures: training that did harm, reasons of a failure, noisy timing."""
    failed = [*verdict.failure.reasons, f"What it does all the same: {headline}."] if verdict.failure else []
    return [*verdict.harm, *failed, *([verdict.noise.sentence()] if verdict.noise else [])]


def _lead(record: SlimRecord, gain: Gain, finds: Finds | None) -> list[str]:
    """Returns the first paragraphs: finds, cost and AP before and after, in sentences."""
    counts = [finds.sentences(gain.split, record.examples.confidence)] if finds else []
    return [*counts, _cost_sentence(record), *_accuracy_sentences(record, gain)]


def _cost_sentence(record: SlimRecord) -> str:
    dense, slim = record.results.dense, record.results.slim
    attention = record.config.get("attention")
    with_gates = f" with {GATE_TITLES[attention['kind']]} gates" if attention else ""
    height, width = slim.input_size
    return (
        f"{record.model}{with_gates} at {width}x{height} pixels, pruned to "
        f"{' and '.join(record.results.budget)}: the slim network has {percent_text(slim.macs, dense.macs)} "
        f"of the multiply-accumulates (MACs), and its file has "
        f"{percent_text(slim.size_bytes, dense.size_bytes)} of the size."
    )


def _accuracy_sentences(record: SlimRecord, gain: Gain) -> list[str]:
    if not gain.is_measured():
        return ["No split has labels to measure AP on."]
    dense, slim = record.results.dense, record.results.slim
    before, after = map(share_text, gain.ap)
    text = (
        f"AP on {gain.split} changed from {before} to {after}: {gain.ap_points} points. "
        f"{gain.verdict()} One run, seed {record.results.seed}."
    )
    if dense.epochs != slim.epochs and (told := epochs_text(record.results)):
        text += f" {told}; --controls dense trains the dense one as long."
    return [text]


def _tiles(results: SlimResults, gain: Gain, finds: Finds | None) -> list[dict[str, Any]]:
    sizes = results.dense.size_bytes, results.slim.size_bytes
    fewer = ratio_text(*gain.macs, "fewer", "more", "as many")
    smaller = ratio_text(*sizes, "smaller", "larger", "as large")
    tiles = [_tile("File", smaller, sizes, size_text), _tile("MACs", fewer, gain.macs, count_text)]
    if gain.is_timed:
        noise = f" ({noise_text(gain.noise)})" if gain.noise else ""
        name = f"Time per image, {RUNTIME_NAMES.get(gain.runtime, gain.runtime)}{noise}"
        faster = speed_text(*gain.latency_ms, gain.noise)
        tiles.insert(0, _tile(name, faster, gain.latency_ms, latency_text))
    if gain.is_measured():
        points = TOO_FEW if gain.few else f"{gain.ap_points} points"
        tiles.append(_tile(f"AP on {gain.split}", points, gain.ap, share_text))
    if finds is not None:
        shares = finds.dense / finds.counts.objects, finds.slim / finds.counts.objects
        more = TOO_FEW if gain.few else f"{points_text(shares[1] - shares[0])} in 100"
        name = f"Found {finds.noun}, {gain.split}"
        tiles.insert(0, _tile(name, more, shares, lambda share: f"{100 * share:.1f} %"))
    return tiles


def _tile(name: str, change: str, pair: tuple[float, float], text: Callable[[float], str]) -> dict[str, Any]:
    """Returns one quantity before and after; the widths of its bars are in percent of the larger value."""
    dense, slim = (round(100 * value / (max(pair) or 1), 1) for value in pair)
    texts = {"name": name, "change": change, "dense": text(pair[0]), "slim": text(pair[1])}
    return {**texts, "dense_width": dense, "slim_width": slim}
