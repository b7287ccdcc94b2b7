"""`seyolo report`: runs as a page or a table."""

from __future__ import annotations

from pathlib import Path

import seyolo
from seyolo.commands.output import print_readable


def report(*runs: Path, out: Path | None = None) -> None:
    """Write a run as one page, or several runs side by side.

    The page is one HTML file that loads nothing: before and after, AP against cost, precision and recall,
    images, failures, pruned channels, and the commands to repeat the run. slim writes it at its end. Several
    runs are compared; those that differ in the seed only become mean and standard deviation.

    Args:
        runs: folders of finished runs of slim or train, or the folder of one study.
        out: the page, or a table by its ending: .csv, .md or .tex; by default report.html in the run's
            folder, or comparison.html here for several.
    """
    print_readable(str(seyolo.api.write_report(runs, out)))
