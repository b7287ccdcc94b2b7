"""What a run tells about its epochs: one row of figures each."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from seyolo.files import write_text


def describe(row: dict[str, Any], epochs: int) -> str:
    """An epoch's row in words, for progress lines."""
    text = f"epoch {row['epoch']}/{epochs}: {row['pictures_per_s']:.1f} images/s, box {row['box']:.3f}, "
    text += f"objectness {row['objectness']:.3f}"
    if "distillation" in row:
        text += f", distillation {row['distillation']:.3f}"
    scores = [f"{key} {value:.3f}" for key, value in row.items() if key.endswith(("_ap", "_ap50"))]
    return ", ".join([text, *scores])


def write_results(path: Path, history: Sequence[dict[str, Any]]) -> None:
    """Writes one line per epoch; columns are the union of all rows' keys in order of appearance."""
    columns = list(dict.fromkeys(key for row in history for key in row))
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(history)
    write_text(path, text.getvalue())
