"""What pages share: charts with their captions, tables, embedded images, how a run was made."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from markupsafe import Markup
from matplotlib.figure import Figure

from seyolo.report.figures.style import inline_svg
from seyolo.report.record import RunRecord
from seyolo.report.tables.stages import MISSING, size_text


@dataclass(frozen=True)
class Chart:
    """A chart with its caption."""

    title: str
    svg: Markup


@dataclass(frozen=True)
class Grid:
    """A table of texts; `ends` are the rows behind which a group ends."""

    header: Sequence[str]
    rows: Sequence[Sequence[str]]
    ends: Sequence[int] = ()
    note: str = ""


def chart(figure: Figure, label: str) -> Chart:
    """The figure under its own title; `label` says what it shows to whom does not see it."""
    title = figure.get_suptitle()
    return Chart(title, inline_svg(figure, label))


def embedded(path: Path) -> str:
    """A JPEG as an address that holds the image itself."""
    return f"data:image/jpeg;base64,{base64.b64encode(path.read_bytes()).decode('ascii')}"


def record_context(record: RunRecord) -> dict[str, Any]:
    """How a run was made: commands, machine, settings and files, as texts."""
    return {
        "name": record.name,
        "folder": str(record.folder),
        "commands": record.commands,
        "seed": record.config.get("seed"),
        "environment": _environment(record.environment),
        "settings": [(name, setting_text(value)) for name, value in record.settings().items()],
        "artefacts": _artefacts(record),
    }


def version_of(record: RunRecord) -> str:
    """Of the seyolo that made a run; empty where it is not known."""
    return str(record.environment.get("packages", {}).get("seyolo") or "")


def setting_text(value: object) -> str:
    """A setting as it reads: nothing is a dash, several values stand side by side."""
    if value is None or value == []:
        return MISSING
    if isinstance(value, bool):
        return "yes" if value else "no"
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def _environment(values: dict[str, Any]) -> list[tuple[str, str]]:
    packages = values.get("packages", {})
    rows = [
        (name.replace("_", " "), setting_text(value)) for name, value in values.items() if name != "packages"
    ]
    return [
        *rows,
        ("packages", ", ".join(f"{name} {version or MISSING}" for name, version in packages.items())),
    ]


def _artefacts(record: RunRecord) -> list[tuple[str, str]]:
    files = [(name, size_text(size)) for name, size in record.artefacts()]
    told = record.results.get("artefacts", {})
    return files + [(name, text) for name, text in told.items() if text != "written"]
