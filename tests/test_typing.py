"""Types reach the user: the marker is shipped, and mypy knows every public name in a user's program."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest
from setuptools import build_meta

import seyolo
from helpers.own_process import run_python

ROOT = Path(__file__).parents[1]
PROGRAM = Path(__file__).with_name("helpers") / "user_program.py"


def test_the_wheel_says_that_it_has_types(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        (tmp_path / name).write_bytes((ROOT / name).read_bytes())
    (tmp_path / "src/seyolo").mkdir(parents=True)
    for name in ("__init__.py", "py.typed"):
        (tmp_path / "src/seyolo" / name).write_bytes((ROOT / "src/seyolo" / name).read_bytes())
    monkeypatch.chdir(tmp_path)
    with zipfile.ZipFile(tmp_path / build_meta.build_wheel(str(tmp_path))) as wheel:
        assert "seyolo/py.typed" in wheel.namelist()


def test_the_program_takes_every_public_name() -> None:
    text = PROGRAM.read_text(encoding="utf-8")
    assert [name for name in seyolo.__all__ if f"seyolo.{name}" not in text] == []


@pytest.mark.slow
def test_mypy_knows_every_public_name(tmp_path: Path) -> None:
    # `silent`: what is wrong in the package itself is for `make check` to say.
    options = [
        "--strict",
        "--follow-imports=silent",
        f"--cache-dir={tmp_path}",
        "--config-file=",
        str(PROGRAM),
    ]
    done = run_python("-m", "mypy", *options, folder=tmp_path, variable="MYPYPATH")
    assert done.returncode == 0, done.stdout + done.stderr
