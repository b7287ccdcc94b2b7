"""First words of docstrings: a verb for a function, a noun phrase for a module, a class and a property."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import seyolo

SOURCE = Path(seyolo.__file__).parent
CLAUSES = {"What", "How", "Where", "Which", "Whether", "Who", "Whose", "When", "Why"}


def test_heads_are_verbs_and_noun_phrases() -> None:
    found = [f"{path.relative_to(SOURCE)}{end}" for path in SOURCE.rglob("*.py") for end in _unclear(path)]
    assert not found, "\n".join(found)


def _unclear(path: Path) -> Iterator[str]:
    """Yields line and head of each docstring whose first word breaks the rule."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if not isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        head, *_ = (ast.get_docstring(node) or "").splitlines() or [""]
        first = head.split(" ", 1)[0].rstrip(",")
        is_verb = re.fullmatch(r"[A-Z][a-z-]+s", first) and first != "As"
        if head and (first in CLAUSES or (_needs_verb(node, path) and not is_verb)):
            yield f":{getattr(node, 'lineno', 1)}: {head}"


def _needs_verb(node: ast.AST, path: Path) -> bool:
    """Tells whether a node is a function other than a property; typer prints those of `commands` as help."""
    if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) or "commands" in path.parts:
        return False
    return not {"property", "cached_property"} & {ast.unparse(mark) for mark in node.decorator_list}
