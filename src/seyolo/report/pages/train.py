"""The page of one training run: how far it came, its curves, its images."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from seyolo.checkpoint import read_checkpoint
from seyolo.darknet.cost import cost
from seyolo.report.figures.charts import confidence_figure, precision_recall_figure, scales_over_time_figure
from seyolo.report.figures.plots import curves_figure
from seyolo.report.figures.style import SPLITS
from seyolo.report.pages.parts import Grid, chart, embedded, record_context, version_of
from seyolo.report.record import RunRecord
from seyolo.report.tables.stages import count_text, share_text, size_text

IMAGES = {
    "train_batch.jpg": "The first batch as the network sees it, with its labels",
    "val_predictions.jpg": "Labels and what the best network finds on images for validation",
}


def train_context(record: RunRecord) -> dict[str, Any]:
    """What the template of the page needs."""
    best = best_row(record)
    scores = {name.removesuffix("_ap"): best[name] for name in best if name.endswith("_ap")}
    headline = ", ".join(f"AP {share_text(float(ap))} on {split}" for split, ap in scores.items())
    epochs = len(record.stages.get("train", []))
    curves = next(iter(record.curves.values()), {})
    lines = {split: (one, SPLITS[index % len(SPLITS)]) for index, (split, one) in enumerate(curves.items())}
    charts = [chart(curves_figure(record.stages), f"Training loss and validation AP of {epochs} epochs")]
    if record.spread:
        charts.append(chart(scales_over_time_figure(record.spread), "Percentiles of the scales by epoch"))
    quality = []
    if lines:
        figures = {
            "Precision over recall": precision_recall_figure(lines, "Precision over recall"),
            **{
                f"Precision, recall and F1 on {s}": confidence_figure({s: one}, f"Over confidence, on {s}")
                for s, one in curves.items()
            },
        }
        quality = [chart(figure, label) for label, figure in figures.items()]
    files = [(name, text) for name, text in IMAGES.items() if (record.folder / name).exists()]
    return {
        "record": record_context(record),
        "version": version_of(record),
        "headline": headline or "Not validated yet",
        "eyebrow": f"seyolo train · {record.name}",
        "lead": f"{record.config['model']}, best of {epochs} epochs: {best.get('epoch', '–')}.",
        "network": Grid(["", "parameters", "MACs", "file"], _network(record)),
        "training_charts": charts,
        "quality_charts": quality,
        "pictures": [(embedded(record.folder / name), text) for name, text in files],
    }


def best_row(record: RunRecord) -> Mapping[str, str]:
    """The epoch whose network was kept as the best: of sparsity training the last, see `training.loop`."""
    measured = [row for row in record.stages.get("train", []) if row.get("ap")]
    if not measured:
        return {}
    return measured[-1] if record.spread else max(measured, key=lambda row: float(row["ap"]))


def trained_cost(record: RunRecord) -> tuple[float, float]:
    """Parameters and MACs of the best network at the size it was trained at; nan where there is none."""
    path = record.folder / "best.safetensors"
    if not path.exists():
        return math.nan, math.nan
    size_px = record.config["size_px"]
    counted = cost(read_checkpoint(path).network, size_px, size_px)
    return counted.params, counted.macs


def _network(record: RunRecord) -> list[list[str]]:
    path = record.folder / "best.safetensors"
    if not path.exists():
        return []
    params, macs = trained_cost(record)
    return [["best", count_text(params), count_text(macs), size_text(path.stat().st_size)]]
