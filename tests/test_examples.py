"""Every example runs and prints what its docstring says."""

from __future__ import annotations

import ast
import textwrap
from pathlib import Path

import pytest

from helpers.own_process import run_python

EXAMPLES = sorted((Path(__file__).parents[1] / "examples").glob("*.py"))


def promised(path: Path) -> str:
    """The indented end of the docstring, behind "It prints"."""
    docstring = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))
    assert docstring is not None
    return textwrap.dedent(docstring.partition("It prints\n")[2]).strip("\n")


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_prints_what_it_says(path: Path, tmp_path: Path) -> None:
    done = run_python("-W", "error", str(path), folder=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.rstrip("\n") == promised(path) != ""


def test_there_are_examples() -> None:
    assert len(EXAMPLES) >= 3
