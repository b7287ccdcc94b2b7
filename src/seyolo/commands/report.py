"""`seyolo report`: runs as a page or a table."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

import seyolo
from seyolo.commands.output import print_readable, remark


def report(*runs: Path, out: Path | None = None) -> None:
    """Write a run as one page, or several runs side by side.

    The page is one HTML file that loads nothing: before and after, AP against cost, precision and recall,
    images, failures, pruned channels, and the commands to repeat the run. slim writes it at its end. Several
    runs are compared; those that differ in the seed only become mean and standard deviation. Of a study, even
    of a stopped one, the table of the networks that are done is printed and written, too.

    Args:
        runs: folders of finished runs of slim or train, or the folder of one study.
        out: the page, or a table by its ending: .csv, .md or .tex; by default report.html in the run's
            folder, or comparison.html here for several.
    """
    studies = import_module("seyolo.report.pages.study")
    if len(runs) == 1 and studies.is_study(runs[0]):
        table, remarks = studies.write_tables(runs[0])
        if out is not None:
            studies.check_page(runs[0], out)
        print_readable(table)
        for text in remarks:
            remark(text)
    print_readable(str(seyolo.api.write_report(runs, out)))
