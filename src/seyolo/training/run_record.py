"""Record of a training run: one row of figures per finished epoch, and the best epoch so far."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from seyolo.files import write_text

Row = dict[str, Any]


@dataclass
class RunRecord:
    """Figures of the finished epochs; stored as JSON in the state file of the run.

    Attributes:
        epochs: planned length of the run.
        epoch: number of finished epochs.
        updates: number of updates of the averaged model.
        best_ap, best_epoch: score and number (from 1) of the epoch in `best.safetensors`.
        history: one row per epoch, as in `results.csv`.
        scales: percentiles of |γ| per epoch, as in `scales.csv`; empty without sparsity training.
    """

    epochs: int
    epoch: int = 0
    updates: int = 0
    best_ap: float = -1.0
    best_epoch: int = -1
    history: list[Row] = field(default_factory=list)
    scales: list[Row] = field(default_factory=list)

    def add(self, row: Row, *, replaces_best: bool) -> None:
        """Appends the row of an epoch; with `replaces_best` an evaluated epoch always becomes the best."""
        self.history.append(row)
        self.epoch = row["epoch"]
        if "ap" in row and (replaces_best or row["ap"] > self.best_ap):
            self.best_ap, self.best_epoch = row["ap"], row["epoch"]


def row_text(row: Row, epochs: int) -> str:
    """Returns an epoch's row as a progress line."""
    text = f"epoch {row['epoch']}/{epochs}: {row['pictures_per_s']:.1f} images/s, box {row['box']:.3f}, "
    text += f"objectness {row['objectness']:.3f}"
    if "distillation" in row:
        text += f", distillation {row['distillation']:.3f}"
    scores = [f"{key} {value:.3f}" for key, value in row.items() if key.endswith(("_ap", "_ap50"))]
    return ", ".join([text, *scores])


def write_rows(path: Path, rows: Sequence[Row]) -> None:
    """Writes rows as CSV; the columns are the keys of all rows in order of first appearance."""
    columns = list(dict.fromkeys(key for row in rows for key in row))
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write_text(path, text.getvalue())
