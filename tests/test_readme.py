"""The README cannot promise what is not there: its commands parse, its names and files exist."""

from __future__ import annotations

import ast
import re
import shlex
from pathlib import Path

import pytest

import seyolo
from seyolo.cli import DATA_VERBS, VERBS, make_app

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


FENCED = re.findall(r"^```(\w*)\n(.*?)^```$", README, flags=re.MULTILINE | re.DOTALL)


def blocks(language: str) -> list[str]:
    """The fenced code blocks of a language."""
    return [text for name, text in FENCED if name == language]


LINES = [line.strip() for block in blocks("bash") for line in block.splitlines() if line.strip()]
INLINE = re.findall(r"`(seyolo [a-z]+ [^`]*)`", README)


@pytest.mark.parametrize("line", [line for line in [*LINES, *INLINE] if line.startswith("seyolo ")])
def test_a_command_parses(line: str) -> None:
    make_app().parse_args(shlex.split(line)[1:], exit_on_error=False, print_error=False)


def test_every_verb_is_explained() -> None:
    for verb in [*VERBS, "data"]:
        assert f"| `seyolo {verb}` |" in README
    for verb in DATA_VERBS:
        assert f"`{verb}`" in README


def test_the_make_targets_exist() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    named = set(re.findall(r"\bmake ([a-z]+)\b", "\n".join([*LINES, *re.findall(r"`([^`]*)`", README)])))
    assert {"demo", "test", "check"} <= named
    for target in named:
        assert re.search(rf"^{target}:", makefile, flags=re.MULTILINE), target


def test_the_python_snippet_uses_names_that_exist() -> None:
    tree = ast.parse("\n".join(blocks("python")))
    used = {
        node.attr
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "seyolo"
    }
    assert {"load", "attach", "prune", "save", "export", "Detector"} <= used <= set(seyolo.__all__)


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
