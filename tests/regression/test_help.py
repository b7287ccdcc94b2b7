"""The help of every verb, word by word, at a fixed width."""

from __future__ import annotations

from pathlib import Path

import pytest
from pins import FOLDER, REWRITE, seyolo_line

VERBS = "slim train val detect prune export benchmark report study serve info demo data".split()
DATA_VERBS = ["anchors", "check", "convert", "label", "oxford", "split", "synth", "view"]
LINES = ["", *VERBS, *(f"data {verb}" for verb in DATA_VERBS)]


@pytest.mark.parametrize("line", LINES)
def test_the_help_of_a_verb_is_as_it_was(line: str, tmp_path: Path) -> None:
    text = seyolo_line([*line.split(), "--help"], tmp_path)
    pin = FOLDER / "help" / f"{line.replace(' ', '-') or 'seyolo'}.txt"
    if REWRITE:
        pin.parent.mkdir(exist_ok=True)
        pin.write_text(text, encoding="utf-8")
    assert text == pin.read_text(encoding="utf-8")


def test_no_verb_is_left_out(tmp_path: Path) -> None:
    for line, verbs in (([], VERBS), (["data"], DATA_VERBS)):
        rows = seyolo_line([*line, "--help"], tmp_path).splitlines()
        words = [row.split()[1] for row in rows if row.startswith("│ ") and row[2] not in " -"]
        assert sorted(words) == sorted(verbs)
