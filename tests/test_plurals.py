"""Numbers with their noun: texts count by `counted`, so that nothing says "1 classes"."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

SOURCE = Path(__file__).parents[1] / "src"
NOUNS = """boxes channels classes convolutions epochs files frames groups hands images labels layers models
    networks objects problems repeats runs samples steps tensors threads""".split()
COUNTS = re.compile(rf"^ (?:[a-z]+ )?({'|'.join(NOUNS)})\b")
UNCOUNTED = {
    "num_layers": "more than a limit",
    "num_images": "one is told in other words",
    "self.stride ** 2": "a square above 1",
    "len(records)": "more than a limit",
    "limit": "of a system",
    "row.agreement": "a share",
    **dict.fromkeys(("features", "width", "widths[0]", "expected"), "channels of a layer of a cfg"),
}
"""Numbers that are not counted, and why."""
WORDS = (
    "first",
    "fitting[0]",
    "choice.runtime",
    "kinds",
    "self.title",
    "path.suffix",
    "one if total == 1 else more",
    "verb",
    "'has' if len(occurring) == 1 else 'have'",
)
"""What is no number."""
ELSEWHERE = "report/pages"  # pages write their numbers by functions of their own


def counts_by_hand(path: Path) -> Iterator[str]:
    """Yields where an f-string writes a number in front of a plural."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if not isinstance(node, ast.JoinedStr):
            continue
        for value, text in pairwise(node.values):
            if not isinstance(value, ast.FormattedValue) or not isinstance(text, ast.Constant):
                continue
            said, is_rate = (
                ast.unparse(value.value),
                value.format_spec is not None and "." in ast.unparse(value),
            )
            if COUNTS.match(text.value) and not (is_rate or said.isupper() or said in {*UNCOUNTED, *WORDS}):
                yield f"{path.relative_to(SOURCE)}:{value.lineno}: {{{said}}}{text.value[:20]}"


def test_every_number_in_front_of_a_noun_is_counted() -> None:
    found = [line for path in sorted(SOURCE.rglob("*.py")) for line in counts_by_hand(path)]
    assert [line for line in found if ELSEWHERE not in line] == []
