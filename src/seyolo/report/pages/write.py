"""HTML pages of runs: one self-contained file per run, or one for several runs.

A page is made from the files in the folders of the runs; no network runs again. It loads nothing: charts are
inline SVG, images are embedded, and there is no script.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from seyolo.errors import UsageError
from seyolo.files import write_text
from seyolo.report.pages.comparison import comparison_context
from seyolo.report.pages.rendering import PAGE_ENDINGS, rendered
from seyolo.report.pages.slim import slim_context
from seyolo.report.pages.study import check_page, is_study, study_context
from seyolo.report.pages.train import train_context
from seyolo.report.record import SlimRecord, TrainRecord, read_run
from seyolo.report.tables.files import table_format
from seyolo.report.tables.networks import write_runs

PAGE_FILE = "report.html"
COMPARISON_FILE = "comparison.html"


def write_report(folders: Sequence[Path], out: Path | None = None) -> Path:
    """Writes the page of a run, or of several runs side by side, or a table of their networks.

    Args:
        folders: of finished runs of `slim` and `train`, or of one study.
        out: the page, or a table with the ending .csv, .md or .tex; by default report.html in the folder of
            the run, or for several runs comparison.html in the current folder.

    Returns:
        The path of the file.

    Raises:
        UsageError: no folder, one without a finished run, or another ending.
        TrainingError: a file of a run is damaged.

    Example:
        >>> from pathlib import Path
        >>> seyolo.api.write_report([Path("runs/train/train")]).name
        'report.html'
    """
    if not folders:
        raise UsageError("a report needs at least one run: seyolo report FOLDER...")
    if any(map(is_study, map(Path, folders))):
        return _write_study([Path(folder) for folder in folders], out)
    if out is not None and out.suffix.lower() not in PAGE_ENDINGS:
        table_format(out)
    records = [read_run(Path(folder)) for folder in folders]
    if out is not None and out.suffix.lower() not in PAGE_ENDINGS:
        return write_runs(records, out)
    if out is None:
        out = records[0].folder / PAGE_FILE if len(records) == 1 else Path(COMPARISON_FILE)
    name, context = _page(records, out)
    write_text(out, rendered(name, context))
    return out


def _write_study(folders: Sequence[Path], out: Path | None) -> Path:
    """Writes the page of a study."""
    if len(folders) > 1:
        raise UsageError("a study is reported by itself; name its folder alone")
    out = out or folders[0] / PAGE_FILE
    check_page(folders[0], out)
    write_text(out, rendered("study.html.jinja", study_context(folders[0])))
    return out


def _page(records: Sequence[SlimRecord | TrainRecord], out: Path) -> tuple[str, dict[str, Any]]:
    """Returns the name of the template and its values."""
    if len(records) > 1:
        return "comparison.html.jinja", comparison_context(records, out.parent)
    (record,) = records
    if isinstance(record, SlimRecord):
        return "slim.html.jinja", slim_context(record)
    return "train.html.jinja", train_context(record)
