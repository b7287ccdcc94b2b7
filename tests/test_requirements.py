"""Requirements of pyproject.toml as lines for pip, and the lock that is made from them."""

from __future__ import annotations

import importlib
import re
from importlib import metadata
from pathlib import Path
from types import ModuleType

import pytest
from packaging.specifiers import SpecifierSet

ROOT = Path(__file__).parents[1]
PYPROJECT = """
[build-system]
requires = ["setuptools>=77"]
[project]
dependencies = ["numpy>=2.0", "PyYAML>=6,<8"]
[project.optional-dependencies]
web = ["starlette>=1.10"]
test = ["pytest>=8", "numpy>=2.0", "types-PyYAML"]
dev = ["seyolo[test, web]", "mypy>=1.11"]
"""
LOCK = """
# via mypy==0
mypy==2.4.1 \\
    --hash=sha256:00
numpy==2.4.6 --hash=sha256:01
PyYAML==6.0.3
pytest==9.2.0 ; python_version > "3"
types.pyyaml==6.0.12
starlette==1.10.0
"""


@pytest.fixture
def tool(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The script as a module."""
    monkeypatch.syspath_prepend(ROOT / "tools")
    return importlib.import_module("requirements")


def asked(tool: ModuleType, *names: str) -> list[str]:
    groups = tool.groups_of(PYPROJECT)
    return [line for name in names for line in tool.asked_for(groups, name)]


def test_groups_extras_and_packages_are_asked_for_by_name(tool: ModuleType) -> None:
    assert tool.lines("given", asked(tool, "base", "dev", "build-system")) == [
        "PyYAML>=6,<8", "mypy>=1.11", "numpy>=2.0", "pytest>=8", "setuptools>=77",
        "starlette>=1.10", "types-PyYAML",
    ]  # fmt: skip
    assert asked(tool, "pyyaml") == ["PyYAML>=6,<8"]
    with pytest.raises(SystemExit, match="no extra and no package is called 'webb'"):
        asked(tool, "webb")


def test_the_lowest_version_of_each(tool: ModuleType) -> None:
    assert tool.lines("lowest", asked(tool, "base", "web")) == ["numpy==2.0", "pyyaml==6", "starlette==1.10"]
    with pytest.raises(SystemExit, match="'types-PyYAML' has no lowest version"):
        tool.lines("lowest", asked(tool, "test"))
    with pytest.raises(SystemExit, match=r"'numpy~=2\.0' is not NAME"):
        tool.lowest("numpy~=2.0")


def test_locked_versions(tool: ModuleType) -> None:
    assert tool.lines("locked", asked(tool, "test"), LOCK) == [
        "numpy==2.4.6", "pytest==9.2.0", "types-pyyaml==6.0.12",
    ]  # fmt: skip
    assert len(tool.lines("locked", [], LOCK)) == 6


def version(text: str) -> tuple[int, ...]:
    return tuple(map(int, re.findall(r"\d+", text.partition("+")[0])))


def test_the_lock_has_what_pyproject_asks_for(tool: ModuleType) -> None:
    """`make lock` mends this."""
    text = (ROOT / "requirements.lock").read_text(encoding="utf-8")
    groups = tool.groups_of((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    locked = tool.pins(text)
    for line in (line for group in groups for line in tool.expanded(groups, group)):
        name, lowest = tool.parts(line)
        assert version(locked[name]) >= version(lowest or "0"), line
    assert set(tool.PIN.findall(text)) == set(
        re.findall(r"^([\w.-]+)==(\S+) \\\n +--hash=sha256:", text, re.MULTILINE)
    )


def test_the_lock_installs_on_the_first_python_that_pyproject_allows(tool: ModuleType) -> None:
    pins = dict(tool.PIN.findall((ROOT / "requirements.lock").read_text(encoding="utf-8")))
    pythons = {
        name: found.metadata["Requires-Python"] or ""
        for found in metadata.distributions()
        if pins.get(name := tool.normal(found.metadata["Name"])) == found.version
    }
    assert len(pythons) > 50, "make install"
    assert [name for name, asked in pythons.items() if not SpecifierSet(asked).contains("3.11.0")] == []
