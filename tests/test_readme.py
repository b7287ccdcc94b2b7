"""README.md is short and shows the files on disk; the page of verbs explains each verb."""

from __future__ import annotations

import re
from pathlib import Path

from seyolo.cli import DATA_VERBS, VERBS

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
VERBS_PAGE = (ROOT / "docs/reference/verbs.md").read_text(encoding="utf-8")


FENCED = re.findall(r"^```(\w*)\n(.*?)^```$", README, flags=re.MULTILINE | re.DOTALL)


def blocks(language: str) -> list[str]:
    """The fenced code blocks of a language."""
    return [text for name, text in FENCED if name == language]


def test_every_verb_is_explained() -> None:
    for verb in [*VERBS, "data"]:
        assert f"| [`seyolo {verb}`](verbs/{verb}.md) |" in VERBS_PAGE
    for verb in DATA_VERBS:
        assert f"`{verb}`" in VERBS_PAGE


def test_the_readme_is_short() -> None:
    assert README.count("\n") <= 150


def test_the_file_tree_is_the_one_on_disk() -> None:
    tree = next(block for block in blocks("") if block.startswith("src/seyolo/"))
    named: set[str] = set()
    for line in tree.splitlines()[1:]:
        if line.startswith("  "):
            named |= set(re.findall(r"[a-z_]+(?:/|\.py)(?=[,\s]|$)", line.strip().split("   ")[0]))
    there = {
        path.name + "/" if path.is_dir() else path.name
        for path in (ROOT / "src/seyolo").iterdir()
        if path.suffix == ".py" or (path.is_dir() and path.name != "__pycache__")
    }
    assert named == there - {"__init__.py", "__main__.py"}
