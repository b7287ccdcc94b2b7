"""Common parts of pages: charts with captions, tables, embedded images, how a run was made."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from markupsafe import Markup
from matplotlib.figure import Figure

from seyolo.errors import TrainingError, shortened
from seyolo.report.figures.bn_scales import scales_over_time_figure
from seyolo.report.figures.curves import training_curves_figure
from seyolo.report.figures.style import inline_svg
from seyolo.report.record import RunRecord
from seyolo.report.text import MISSING, size_text
from seyolo.runs import BEST_FILE, SLIM_CHECKPOINT, SLIM_INT8, SLIM_ONNX

USES = {
    SLIM_ONNX: "the slim network for ONNX Runtime, OpenVINO and OpenCV; seyolo detect slim.onnx PHOTO",
    SLIM_INT8: "the slim network in int8",
    SLIM_CHECKPOINT: "the slim network to train further or export",
    "slim.cfg": "its Darknet description",
    "slim.weights": "its Darknet weights",
    "dense.onnx": "the dense network, to compare with",
    f"dense/{BEST_FILE}": "the dense network to train further or export",
    "pruned.safetensors": "the pruned network before fine-tuning",
    BEST_FILE: "the network to use, export or slim",
}
"""Purposes of the network files of a run."""


@dataclass(frozen=True)
class Chart:
    """A chart with its caption."""

    title: str
    svg: Markup


@dataclass(frozen=True)
class Grid:
    """A table of texts; `ends` are the last rows of groups, `note` stands above it and `below` under it."""

    header: Sequence[str]
    rows: Sequence[Sequence[str]]
    ends: Sequence[int] = ()
    note: str = ""
    below: str = ""


def chart(figure: Figure, label: str) -> Chart:
    """Returns the figure under its own title; `label` is the alt text."""
    return Chart(figure.get_suptitle(), inline_svg(figure, label))


def embedded(folder: Path, name: str) -> str:
    """Returns a JPEG of a run's folder as a data URL.

    Raises:
        TrainingError: the name leads out of the folder, as nothing that seyolo writes does.
    """
    try:
        path = (folder / name).resolve()
        if not path.is_relative_to(folder.resolve()):  # the run may be a stranger's
            raise TrainingError(
                f"{folder}: names {shortened(name)!r}, a file outside of the run; no page is made from it"
            )
        data = path.read_bytes()
    except (OSError, ValueError, RuntimeError) as error:
        raise TrainingError(f"{folder}: the image {shortened(name)!r} cannot be read ({error})") from None
    return f"data:image/jpeg;base64,{base64.b64encode(data).decode('ascii')}"


def record_context(record: RunRecord, artefacts: Sequence[tuple[str, str]] = ()) -> dict[str, Any]:
    """Returns how a run was made as texts: commands, machine, options and files.

    `artefacts` are further rows of the table of files: name and remark.
    """
    sizes = dict(record.artefacts())
    files = [(name, f"{size_text(size)}{_use(name, sizes)}") for name, size in sizes.items()]
    return {
        "name": record.name,
        "folder": str(record.folder),
        "commands": record.commands,
        "seed": record.config.get("seed"),
        "environment": _environment(record.environment),
        "settings": [(name, setting_text(value)) for name, value in record.settings().items()],
        "artefacts": [*files, *artefacts],
    }


def _use(name: str, sizes: Mapping[str, int]) -> str:
    """Returns what a file of a run is good for; of int8 also that it is smaller, if so."""
    is_smaller = name == SLIM_INT8 and sizes[name] < sizes.get(SLIM_ONNX, 0)
    return f": {USES[name]}{f', smaller than {SLIM_ONNX}' * is_smaller}" if name in USES else ""


def care_lines(said: Sequence[str], record: RunRecord) -> list[str]:
    """Returns what to know before the figures: what a page says, then the warnings of the run, each once."""
    return list(dict.fromkeys([*said, *record.warnings]))


def training_charts(record: RunRecord, label: str) -> list[Chart]:
    """Draws loss and AP by epoch, and the BN scales over sparsity training where there was any.

    `label` is the alt text of the first chart.
    """
    charts = [chart(training_curves_figure(record.stages), label)] if record.stages else []
    if record.scales:
        charts.append(chart(scales_over_time_figure(record.scales), "Percentiles of the scales by epoch"))
    return charts


def setting_text(value: object) -> str:
    """Formats an option: None as a dash, a list as its items."""
    if value is None or value == []:
        return MISSING
    if isinstance(value, bool):
        return "yes" if value else "no"
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def _environment(values: Mapping[str, Any]) -> list[tuple[str, str]]:
    rows = [(name.replace("_", " "), setting_text(value)) for name, value in values.items()]
    versions = [f"{name} {version or MISSING}" for name, version in values.get("packages", {}).items()]
    return [*(row for row in rows if row[0] != "packages"), ("packages", ", ".join(versions))]
