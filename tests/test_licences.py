"""The page of licences: what each package declares, and that it is the page of today's lock."""

from __future__ import annotations

import importlib
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[1]


@pytest.fixture
def tool(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The script as a module."""
    monkeypatch.syspath_prepend(ROOT / "tools")
    return importlib.import_module("licences")


def installed(folder: Path, metadata: str, **files: str) -> Path:
    """Writes a package `thing` that is installed in a folder."""
    info = folder / "thing-1.dist-info"
    (info / "licenses").mkdir(parents=True)
    (info / "METADATA").write_text(
        f"Metadata-Version: 2.4\nName: thing\nVersion: 1\n{metadata}", encoding="utf-8"
    )
    for name, text in files.items():
        (info / "licenses" / name).write_text(text, encoding="utf-8")
    return info


@pytest.mark.parametrize(
    ("metadata", "told"),
    [
        ("License-Expression: MIT OR 0BSD\nLicense: ignored\n", "MIT OR 0BSD"),
        ("License: BSD\n", "BSD"),
        (
            "License: " + "long " * 20 + "\nClassifier: License :: OSI Approved :: MIT License\n",
            "MIT License",
        ),
        ("License-File: LICENSE\n", "The Licence Version 2"),
        ("Classifier: Topic :: License\n", "not declared"),
    ],
)
def test_a_licence_is_what_the_metadata_declares(
    tool: ModuleType, tmp_path: Path, metadata: str, told: str
) -> None:
    found = importlib.metadata.PathDistribution(
        installed(tmp_path, metadata, LICENSE="  The Licence\n Version 2\n\nText")
    )
    assert tool.licence(found) == told


def test_the_page_names_every_package_of_the_lock_with_its_licence(tool: ModuleType) -> None:
    """`make licences` mends this."""
    rows = dict(
        line.strip("| ").split(" | ")
        for line in tool.PAGE.read_text(encoding="utf-8").splitlines()
        if line.startswith("| ") and line != "| package | licence |"
    )
    locks = ((ROOT / name).read_text("utf-8") for name in ("requirements.lock", "requirements-track.lock"))
    locked = tool.pins("".join(locks))
    assert rows.keys() == locked.keys()
    for name, licence in rows.items():
        try:
            found = distribution(name)
        except PackageNotFoundError:
            continue
        if found.version == locked[name]:
            assert tool.licence(found) == licence, name
