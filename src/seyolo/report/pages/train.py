"""Page of one training run: AP, curves, example images."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from seyolo.checkpoint import read_checkpoint
from seyolo.errors import counted
from seyolo.evaluation.curves import CONFIDENCES, Curves
from seyolo.report.figures.curves import confidence_figure, splits_figure
from seyolo.report.measured import best_row, trained_cost
from seyolo.report.pages.parts import (
    Chart,
    Grid,
    care_lines,
    chart,
    embedded,
    record_context,
    training_charts,
)
from seyolo.report.record import TrainRecord
from seyolo.report.tables.classes import ByClass
from seyolo.report.tables.slim import shown_split
from seyolo.report.text import MISSING, count_text, found_text, objects_text, share_text, size_text
from seyolo.report.verdict import train_verdict
from seyolo.results import SHOWN_FROM, best_by, epochs_of, is_start
from seyolo.runs import BEST_FILE

IMAGES = {
    "train_batch.jpg": "The first training batch with its labels",
    "val_predictions.jpg": "Labels, and detections of the {} network, on validation images",
}


def train_context(record: TrainRecord) -> dict[str, Any]:
    """Returns the values of the template."""
    best = best_row(record)
    scores = {name.removesuffix("_ap"): best[name] for name in best if name.endswith("_ap") and best[name]}
    measured = ", ".join(f"AP {share_text(float(ap))} on {split}" for split, ap in scores.items())
    epochs = len(epochs_of(record.stages.get("train", [])))
    network, path = [], record.folder / BEST_FILE
    names: Sequence[str] = ("", "")
    if path.exists():
        params, macs = trained_cost(record)
        network.append([record.kept, count_text(params), count_text(macs), size_text(path.stat().st_size)])
        names = read_checkpoint(path).names
    curves = next(iter(record.curves.values()), {})
    verdict = train_verdict({name: float(text) for name, text in best.items() if text}, record.start)
    headline = (found_line(curves, names) or measured or "Not validated yet") + verdict.remark()
    shown = [f"At confidence {SHOWN_FROM} and above. {measured}."] if curves else []
    by_class = {split: one.classes for split, one in curves.items()}
    classes = ByClass({record.kept: by_class}, record.kept)
    if curves and (never := classes.never(shown_split(curves))) and not verdict.few:
        headline += f"; {never}"
    failure = verdict.failure
    files = [(name, text) for name, text in IMAGES.items() if (record.folder / name).exists()]
    return {
        "record": record_context(record),
        "kept": record.kept,
        "version": record.version,
        "headline": failure.headline() if failure else headline,
        "warnings": care_lines(
            [*failure.reasons, f"What it does all the same: {headline}."] if failure else [], record
        ),
        "eyebrow": f"seyolo train · {record.name}",
        "lead": [*shown, _chosen(record, epochs, best)],
        "network": Grid(["", "parameters", "MACs", "file"], network),
        "training_charts": training_charts(
            record, f"Training loss and validation AP of {counted(epochs, 'epoch')}"
        ),
        "classes": classes,
        "quality_charts": _quality_charts(curves),
        "pictures": [(embedded(record.folder, name), text.format(record.kept)) for name, text in files],
    }


def _chosen(record: TrainRecord, epochs: int, row: Mapping[str, str]) -> str:
    """Says which epoch is in `best.safetensors`, and why; `row` is its row in results.csv."""
    of, epoch = counted(epochs, "epoch"), row.get("epoch", MISSING)
    if record.kept == "last":
        why = "sparsity is complete only there, so the last epoch is kept, better or not"
        return f"{record.model}: the last of {of} is epoch {epoch}; {why}."
    by = f", by {best_by(row)}" if any(row[name] for name in row if name.endswith("_ap")) else ""
    if is_start(row):
        return f"{record.model}: the best is the start{by}; none of {of} was better."
    return f"{record.model}: the best of {of} is epoch {epoch}{by}."


def found_line(curves: Mapping[str, Curves], names: Sequence[str]) -> str:
    """Returns what the network finds and how much of it is right: Finds 93 of 100 hands on val; ..."""
    if not curves:
        return ""
    split = shown_split(curves)
    index = int(np.argmin(np.abs(CONFIDENCES - SHOWN_FROM)))
    recall, precision = (float(of[index]) for of in (curves[split].recall, curves[split].precision))
    if recall == 0 and precision == 1:  # as it is without detections
        return f"Finds none of the {objects_text(names)} on {split}"
    found, right = (found_text(round(1000 * share), 1000) for share in (recall, precision))
    return f"Finds {found} {objects_text(names)} on {split}; {right} detections are correct"


def _quality_charts(curves: Mapping[str, Curves]) -> list[Chart]:
    """Draws precision over recall of all splits, and the curves over confidence of each."""
    charts = [chart(splits_figure(curves), "Precision over recall")] if curves else []
    for split, one in curves.items():
        figure = confidence_figure({split: one}, f"Over confidence, on {split}")
        charts.append(chart(figure, f"Precision, recall and F1 on {split}"))
    return charts
