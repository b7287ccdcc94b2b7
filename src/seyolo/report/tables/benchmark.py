"""Tables of `seyolo benchmark`: latency, throughput and memory per model, and AP below them."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from seyolo.report.tables.fitting import FittingTable
from seyolo.report.text import MISSING, about_as_fast, noise_text, share_text, three_digits

if TYPE_CHECKING:
    from seyolo.verbs.benchmark import Compared


def benchmark_tables(rows: Sequence[Compared]) -> list[FittingTable]:
    """Returns milliseconds per image, images per second and memory; then AP, where it was measured."""
    tables = [_table("ms per image", rows, [_costs(row) for row in rows])]
    if any(row.metrics for row in rows):
        tables.append(_table("AP", rows, [_scores(row, rows) for row in rows]))
    return tables


def noise_lines(rows: Sequence[Compared]) -> list[str]:
    """Returns how noisy the latencies were and what RAM is, and the models as fast within the noise."""
    noise = f"noise of p50: {noise_text(max(row.total_noise for row in rows))}"
    noise += "; RAM: MB of the whole process, not of the file"
    places = about_as_fast([row.total_p50_ms for row in rows], [row.total_noise for row in rows])
    names = model_names(rows)
    first, *equal = [names[place] for place in places]
    return [noise, *(f"{name} is about as fast as {first} (within the noise)" for name in equal)]


def model_names(rows: Sequence[Compared]) -> list[str]:
    """Returns file and runtime of each model, without the folders that all files have in common."""
    return [f"{file} {runtime_text(row)}" for file, row in zip(_files(rows), rows, strict=True)]


def _files(rows: Sequence[Compared]) -> list[str]:
    files = [row.name.replace(_choice(row), "") for row in rows]
    common = _common_folder(files)
    return [os.path.relpath(file, common) if common else file for file in files]


def _choice(row: Compared) -> str:
    """Returns the part of the model's name behind the file: its runtime, and its precision if named."""
    named = f"@{row.runtime}:{row.precision}"
    return named if named in row.name else f"@{row.runtime}"


def _common_folder(files: Sequence[str]) -> str:
    folders = [os.path.dirname(file) for file in files]
    is_absolute = {os.path.isabs(folder) for folder in folders}
    return os.path.commonpath(folders) if len(is_absolute) == 1 else ""


def runtime_text(row: Compared) -> str:
    """Returns the runtime, and the precision where it is not float32."""
    return row.runtime if row.precision == "f32" else f"{row.runtime} {row.precision}"


def _table(title: str, rows: Sequence[Compared], cells: Sequence[Mapping[str, str]]) -> FittingTable:
    body = [
        [file, runtime_text(row), *texts.values()]
        for file, row, texts in zip(_files(rows), rows, cells, strict=True)
    ]
    return FittingTable([title, "on", *cells[0]], body, left=frozenset({0, 1}), is_dense=True)


def _costs(row: Compared) -> dict[str, str]:
    cells = {
        "p50": three_digits(row.total_p50_ms),
        "p95": three_digits(row.total_p95_ms),
        "pre": three_digits(row.preprocess_p50_ms),
        "network": three_digits(row.p50_ms),
        "post": three_digits(row.postprocess_p50_ms),
        "per s": three_digits(row.pictures_per_s),
    }
    if row.batch_pictures_per_s is not None:
        cells[f"by {row.batch}"] = three_digits(row.batch_pictures_per_s)
    memory_mb = row.peak_memory_mb
    return cells | {"RAM": MISSING if memory_mb is None else f"{memory_mb:.0f}"}


def _scores(row: Compared, rows: Sequence[Compared]) -> dict[str, str]:
    splits = dict.fromkeys(split for each in rows for split in each.metrics)
    return {split: share_text(row.metrics[split].ap) for split in splits}
