"""`seyolo report`: runs as a page."""

from __future__ import annotations

from pathlib import Path

import seyolo
from seyolo.commands.output import print_readable


def report(*runs: Path, out: Path | None = None) -> None:
    """Runs as one page that can be passed on; several runs side by side.

    The page of a run of slim is written at its end already: before and after, AP against cost, precision and
    recall, images, failures, what was cut, and how to do it again. It is one HTML file that loads nothing.

    Args:
        runs: folders of finished runs of slim or train.
        out: the page; by default report.html in the run's folder, or comparison.html here for several.
    """
    print_readable(str(seyolo.api.write_report(runs, out)))
