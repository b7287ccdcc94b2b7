"""The Dockerfile, read: what builds it is there, it runs as a user, and its commands are those of the pages.

There is no Docker in the tests; `tests/wheel` installs and runs the package in the same way.
"""

from __future__ import annotations

import json
import re
import shlex
import tomllib
from pathlib import Path

import pytest
from packaging.specifiers import SpecifierSet

from helpers.doc_pages import PAGES
from seyolo.cli import make_app

ROOT = Path(__file__).parents[1]
PAGE = PAGES["docs/how-to/docker.md"]


def instructions() -> list[tuple[str, str]]:
    """The instructions and their arguments, continued lines joined."""
    text = re.sub(r"\\\n\s*", "", (ROOT / "Dockerfile").read_text(encoding="utf-8"))
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    return [(line.partition(" ")[0], line.partition(" ")[2]) for line in lines]


def arguments(name: str) -> list[str]:
    return [rest for instruction, rest in instructions() if instruction == name]


def parses(words: list[str]) -> None:
    make_app().parse_args(words, exit_on_error=False, print_error=False)


def test_the_base_is_a_python_that_is_allowed_and_tested() -> None:
    versions = {re.match(r"python:(\d+\.\d+)-slim(?: AS build)?$", rest)[1] for rest in arguments("FROM")}
    (version,) = versions
    pyproject = tomllib.loads((ROOT / "pyproject.toml").read_text())
    assert SpecifierSet(pyproject["project"]["requires-python"]).contains(f"{version}.0")
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    assert version in re.search(r"^PYTHONS \?= (.*)$", makefile, re.MULTILINE)[1].split()


def test_it_copies_what_a_build_needs_and_the_context_holds_it() -> None:
    copied = {
        word for rest in arguments("COPY") if not rest.startswith("--from") for word in rest.split()[:-1]
    }
    assert all((ROOT / word).exists() for word in copied)
    pyproject = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert {"pyproject.toml", "src", pyproject["readme"], *pyproject["license-files"]} == copied
    ignored = (ROOT / ".dockerignore").read_text(encoding="utf-8").split()
    assert ignored[0] == "*"
    assert {line[1:] for line in ignored if line.startswith("!")} == copied


def test_it_runs_as_a_user_without_rights() -> None:
    users = arguments("USER")
    assert users == ["seyolo"]
    order = [instruction for instruction, _ in instructions()]
    assert order.index("USER") < order.index("ENTRYPOINT")
    assert any("useradd" in rest and rest.count("seyolo") for rest in arguments("RUN"))
    assert "ADD" not in order


def test_pip_installs_as_the_page_says() -> None:
    lines = [re.search(r"pip (install .*)$", rest)[1] for rest in arguments("RUN") if "pip install" in rest]
    assert len(lines) == 1
    words = [word for word in shlex.split(lines[0]) if word != "--no-cache-dir"]
    assert f'`pip install "{words[1]}"`' in PAGES["docs/how-to/install.md"]


def test_entry_point_and_command_are_lists_and_run() -> None:
    (entry,), (command,) = ([json.loads(rest) for rest in arguments(name)] for name in ("ENTRYPOINT", "CMD"))
    assert entry == ["seyolo"]
    parses(command)
    assert arguments("EXPOSE") == [re.search(r"--port INT .*?\[default: (\d+)\]", SERVE_HELP, re.DOTALL)[1]]


SERVE_HELP = (ROOT / "tests/regression/help/serve.txt").read_text(encoding="utf-8")


@pytest.mark.parametrize("line", re.findall(r"^docker run .*$", PAGE.replace("\\\n   ", ""), re.MULTILINE))
def test_the_commands_of_the_page_run_the_image(line: str) -> None:
    words = shlex.split(line.replace("$PWD", "/here"))
    parses(words[words.index("seyolo") + 1 :] or ["serve", "hand"])
    for volume in (word for word in words if word.startswith("/here:")):
        assert volume.split(":")[1] == arguments("WORKDIR")[-1]
