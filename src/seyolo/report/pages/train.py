"""Page of one training run: AP, curves, example images."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from seyolo.checkpoint import read_checkpoint
from seyolo.darknet.cost import cost
from seyolo.evaluation.curves import Curves
from seyolo.report.figures.curves import confidence_figure, splits_figure
from seyolo.report.pages.parts import Chart, Grid, chart, embedded, record_context, training_charts
from seyolo.report.record import TrainRecord
from seyolo.report.text import MISSING, count_text, share_text, size_text
from seyolo.sizes import size_hw

IMAGES = {
    "train_batch.jpg": "The first training batch with its labels",
    "val_predictions.jpg": "Labels, and detections of the best network, on validation images",
}


def train_context(record: TrainRecord) -> dict[str, Any]:
    """Returns the values of the template."""
    best = best_row(record)
    scores = {name.removesuffix("_ap"): best[name] for name in best if name.endswith("_ap") and best[name]}
    headline = ", ".join(f"AP {share_text(float(ap))} on {split}" for split, ap in scores.items())
    epochs = len(record.stages.get("train", []))
    network, path = [], record.folder / "best.safetensors"
    if path.exists():
        params, macs = trained_cost(record)
        network.append(["best", count_text(params), count_text(macs), size_text(path.stat().st_size)])
    files = [(name, text) for name, text in IMAGES.items() if (record.folder / name).exists()]
    return {
        "record": record_context(record),
        "version": record.version,
        "headline": headline or "Not validated yet",
        "eyebrow": f"seyolo train · {record.name}",
        "lead": f"{record.model}: the best of {epochs} epochs is epoch {best.get('epoch', MISSING)}.",
        "network": Grid(["", "parameters", "MACs", "file"], network),
        "training_charts": training_charts(record, f"Training loss and validation AP of {epochs} epochs"),
        "quality_charts": _quality_charts(next(iter(record.curves.values()), {})),
        "pictures": [(embedded(record.folder, name), text) for name, text in files],
    }


def _quality_charts(curves: Mapping[str, Curves]) -> list[Chart]:
    """Draws precision over recall of all splits, and the curves over confidence of each."""
    charts = [chart(splits_figure(curves), "Precision over recall")] if curves else []
    for split, one in curves.items():
        figure = confidence_figure({split: one}, f"Over confidence, on {split}")
        charts.append(chart(figure, f"Precision, recall and F1 on {split}"))
    return charts


def best_row(record: TrainRecord) -> Mapping[str, str]:
    """Returns the epoch whose network is the best checkpoint; after sparsity training that is the last."""
    measured = [row for row in record.stages.get("train", []) if row.get("ap")]
    if not measured:
        return {}
    return measured[-1] if record.scales else max(measured, key=lambda row: float(row["ap"]))


def trained_cost(record: TrainRecord) -> tuple[float, float]:
    """Returns parameters and MACs of the best network at its training size; nan where there is none."""
    path = record.folder / "best.safetensors"
    if not path.exists():
        return math.nan, math.nan
    counted = cost(read_checkpoint(path).network, *size_hw(record.config["size"]))
    return counted.params, counted.macs
