"""Tables as files: CSV, Markdown and LaTeX by the ending of the name."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable, Sequence
from pathlib import Path

from seyolo.errors import UsageError
from seyolo.files import write_text
from seyolo.report.text import MISSING

Cells = Sequence[Sequence[str]]
LATEX = {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "−": "$-$",
    "±": r"$\pm$",
    "·": r"$\cdot$",
    "≤": r"$\leq$",
    **{letter: f"\\{letter}" for letter in "&%$#_{}"},
}


def filled(header: Sequence[str], body: Cells) -> tuple[list[str], list[list[str]]]:
    """Returns a table without the columns that are empty in all rows; the first column stays."""
    kept = [0, *(at for at in range(1, len(header)) if any(row[at] not in ("", MISSING) for row in body))]
    return [header[at] for at in kept], [[row[at] for at in kept] for row in body]


def write_table(path: Path, header: Sequence[str], body: Cells) -> None:
    """Writes a table in the format of the path's ending.

    Raises:
        UsageError: no table format has this ending.
    """
    write_text(path, table_format(path)(header, body))


def table_format(path: Path) -> Callable[[Sequence[str], Cells], str]:
    """Returns the function that formats tables for the path's ending; raises UsageError for others."""
    if path.suffix.lower() not in FORMATS:
        advice = "use .html, .csv, .md or .tex"
        raise UsageError(f"{path}: a report has no format with the ending {path.suffix!r}; {advice}")
    return FORMATS[path.suffix.lower()]


def comma_separated(header: Sequence[str], body: Cells) -> str:
    """Returns a table as CSV with lines that end in a line feed."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([header, *body])
    return text.getvalue()


def markdown(header: Sequence[str], body: Cells) -> str:
    """Returns a table as Markdown, numbers to the right."""
    lines = [header, ["---", *["---:"] * (len(header) - 1)], *body]
    escaped = ([text.replace("|", r"\|") for text in cells] for cells in lines)
    return "".join(f"| {' | '.join(cells)} |\n" for cells in escaped)


def latex(header: Sequence[str], body: Cells, notes: Sequence[str] = ()) -> str:
    """Returns a table as LaTeX, with notes printed below it; it needs the package booktabs."""
    head, *rows = (f"{' & '.join(map(_escaped, cells))} \\\\" for cells in [header, *body])
    columns = "l" + "r" * (len(header) - 1)
    lines = [rf"\begin{{tabular}}{{{columns}}}", r"\toprule", head, r"\midrule", *rows, r"\bottomrule"]
    below = [rf"\par\smallskip\noindent{{\footnotesize {_escaped(note)}.\par}}" for note in notes]
    return "\n".join([*lines, r"\end{tabular}", *below, ""])


def _escaped(text: str) -> str:
    return re.sub(
        "[" + re.escape("".join(LATEX)) + "]", lambda found: LATEX[found[0]], " ".join(text.split())
    )


FORMATS: dict[str, Callable[[Sequence[str], Cells], str]] = {
    ".csv": comma_separated,
    ".md": markdown,
    ".tex": latex,
}
