"""Runs as pages: one self-contained HTML file each, or several runs side by side.

A page is made from the files in the runs' folders alone; neither the data nor the networks are run again. It
loads nothing: charts are SVG inside it, images are embedded, there is no script.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from seyolo.errors import UsageError
from seyolo.files import write_text
from seyolo.report.figures.style import PAGE_COLOURS
from seyolo.report.pages.comparison import comparison_context
from seyolo.report.pages.slim import slim_context
from seyolo.report.pages.train import train_context
from seyolo.report.record import RunRecord, read_run

PAGE_FILE = "report.html"
COMPARISON_FILE = "comparison.html"


def write_report(folders: Sequence[Path], out: Path | None = None) -> Path:
    """Writes the page of a run, or of several side by side.

    Args:
        folders: of finished runs of `slim` and `train`.
        out: the page; by default report.html in the run's folder, of several comparison.html where you are.

    Returns:
        Where the page is.

    Raises:
        UsageError: no folder, or one without a finished run.
        TrainingError: a run's file is damaged.
    """
    if not folders:
        raise UsageError("a report needs at least one run's folder")
    records = [read_run(Path(folder)) for folder in folders]
    if out is None:
        out = records[0].folder / PAGE_FILE if len(records) == 1 else Path(COMPARISON_FILE)
    write_text(out, _page(records, out))
    return out


def _page(records: Sequence[RunRecord], out: Path) -> str:
    if len(records) > 1:
        return _render("comparison.html.jinja", comparison_context(records, out.parent))
    if records[0].verb == "slim":
        return _render("slim.html.jinja", slim_context(records[0]))
    return _render("train.html.jinja", train_context(records[0]))


def _render(template: str, context: dict[str, Any]) -> str:
    environment = Environment(
        loader=PackageLoader("seyolo.report.pages"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template(template).render(colours=PAGE_COLOURS, **context)
