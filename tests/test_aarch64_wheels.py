"""The table of wheels for 64-bit ARM: read from pip's report, and with a row for each package."""

from __future__ import annotations

import importlib
import json
import re
from pathlib import Path
from types import ModuleType

import pytest

from helpers.doc_pages import PAGES

ROOT = Path(__file__).parents[1]


@pytest.fixture
def tool(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The script as a module."""
    monkeypatch.syspath_prepend(ROOT / "tools")
    return importlib.import_module("aarch64_wheels")


@pytest.mark.parametrize(
    ("file", "told"),
    [
        ("x_y-2.1-cp311-cp311-manylinux_2_27_aarch64.manylinux_2_28_aarch64.whl", "2.1, glibc 2.27"),
        ("x_y-2.1-cp37-abi3-manylinux2014_aarch64.manylinux_2_17_aarch64.whl", "2.1, glibc 2.17"),
        ("x_y-2.1-py3-none-any.whl", "2.1, any machine"),
    ],
)
def test_a_row_tells_the_version_and_the_oldest_glibc(tool: ModuleType, file: str, told: str) -> None:
    rows = [
        {"metadata": {"name": "other", "version": "9"}, "download_info": {"url": "https://a/other-9.whl"}},
        {"metadata": {"name": "X_y", "version": "2.1"}, "download_info": {"url": f"https://a/{file}"}},
    ]
    assert tool.told(json.dumps({"install": rows}), "x-y>=2.0") == told


def test_a_package_without_wheel_is_none(tool: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    failed = tool.subprocess.CompletedProcess([], 1)
    monkeypatch.setattr(tool.subprocess, "run", lambda *_, **__: failed)
    assert tool.newest("x>=1", "3.11") == "none"


def test_the_page_has_a_row_for_every_package(tool: ModuleType) -> None:
    groups = tool.groups_of((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    asked = [(name, tool.parts(line)[0]) for name in tool.GROUPS for line in tool.asked_for(groups, name)]
    row = r"^\| (\w+) \| ([\w-]+) \| .*(?:glibc|any machine)"
    rows = re.findall(row, PAGES["docs/how-to/raspberry-pi.md"], re.MULTILINE)
    assert rows == asked
