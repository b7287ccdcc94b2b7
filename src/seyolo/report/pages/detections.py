"""Sections of the page of a slimming run about its detections: curves, example images, mistakes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from seyolo.evaluation.curves import Curves
from seyolo.report.figures.curves import confidence_figure, precision_recall_figure
from seyolo.report.figures.style import DENSE, SLIM
from seyolo.report.pages.parts import Chart, Grid, chart, embedded
from seyolo.report.record import EXAMPLES_FOLDER, MistakeCounts, SlimRecord
from seyolo.report.text import MISSING

MISTAKE_TITLES = {
    "objects": "objects",
    "dense_missed": "missed by dense",
    "slim_missed": "missed by slim",
    "only_dense_missed": "missed only by dense",
    "only_slim_missed": "missed only by slim",
    "dense_false": "false by dense",
    "slim_false": "false by slim",
}
"""Column heads by the fields of `MistakeCounts`."""


def curves_context(curves: Mapping[str, Mapping[str, Curves]]) -> dict[str, Any]:
    """Returns precision over recall of both networks, and the curves over confidence of the slim one."""
    if not curves:
        return {"precision_charts": [], "confidence_charts": [], "best_confidence": ""}
    dense, slim = next(iter(curves.values())), list(curves.values())[-1]
    chosen = next((one for split, one in slim.items() if split.startswith("val")), None)
    return {
        "precision_charts": [_precision_chart(split, dense[split], one) for split, one in slim.items()],
        "confidence_charts": [_confidence_chart(split, one) for split, one in slim.items()],
        "best_confidence": f"{chosen.best_confidence:.2f}" if chosen else MISSING,
    }


def _precision_chart(split: str, dense: Curves, slim: Curves) -> Chart:
    figure = precision_recall_figure({"dense": (dense, DENSE), "slim": (slim, SLIM)}, f"On {split}")
    scores = f"{dense.precision50.mean():.3f} dense, {slim.precision50.mean():.3f} slim"
    return chart(figure, f"Precision over recall on {split}; AP at IoU 0.5: {scores}")


def _confidence_chart(split: str, slim: Curves) -> Chart:
    label = f"Precision, recall and F1 of the slim network over confidence on {split}"
    return chart(confidence_figure({split: slim}, f"On {split}"), label)


def examples_context(record: SlimRecord) -> dict[str, Any]:
    """Returns the example images, the images with most mistakes, and the counts of mistakes."""
    examples, folder = record.examples, record.folder / EXAMPLES_FOLDER
    samples = [
        {**asdict(row), "dense": embedded(folder / row.dense), "slim": embedded(folder / row.slim)}
        for row in examples.samples
    ]
    misses = [
        {
            **asdict(row),
            "source": embedded(folder / row.picture),
            "text": f"{row.missed} of {row.objects} missed, {row.false} false.",
            "compared": f"Dense: {row.dense_missed} missed, {row.dense_false} false.",
        }
        for row in examples.misses
    ]
    return {
        "shown_from": examples.confidence,
        "samples": samples,
        "misses": misses,
        "mistakes": _mistakes(examples.mistakes),
    }


def _mistakes(counts: Mapping[str, MistakeCounts]) -> Grid | None:
    body = [[split, *(f"{count:,}" for count in asdict(row).values())] for split, row in counts.items()]
    return Grid(["", *MISTAKE_TITLES.values()], body) if body else None
