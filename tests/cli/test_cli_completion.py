"""Completion by the shell: the script that is written, and what bash makes of it."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from helpers.running import Run, assert_refused
from seyolo.cli import VERBS


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish", "powershell"])
def test_a_script_knows_every_verb_and_changes_no_other_file(
    shell: str, run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    outcome = run("--install-completion", "--shell", shell, "--output", "script")
    assert outcome.code == 0, outcome.err
    assert outcome.out.startswith(f"wrote {tmp_path / 'script'}; ")
    text = (tmp_path / "script").read_text(encoding="utf-8")
    assert all(verb in text for verb in VERBS)
    assert "--confidence" in text
    written = [path.name for path in tmp_path.iterdir() if path.name not in (".cache", ".config")]
    assert written == ["script"]  # but for caches of libraries


@pytest.mark.parametrize(
    ("typed", "offered"),
    [
        (["seyolo", "exp"], "export"),
        (["seyolo", "detect", "--conf"], "--confidence"),
        (["seyolo", "data", "anch"], "anchors"),
    ],
)
def test_bash_completes(typed: list[str], offered: str, run: Run, tmp_path: Path) -> None:
    if shutil.which("bash") is None:
        pytest.skip("needs bash")
    assert run("--install-completion", "--shell", "bash", "--output", "script").code == 0
    script = (
        f"source {tmp_path / 'script'}\n"
        f"COMP_WORDS=({' '.join(typed)}); COMP_CWORD={len(typed) - 1}; COMP_LINE='{' '.join(typed)}'\n"
        "COMP_POINT=${#COMP_LINE}\n"
        "$(complete -p seyolo | sed 's/.*-F \\([^ ]*\\).*/\\1/') seyolo\n"
        'printf "%s\\n" "${COMPREPLY[@]}"\n'
    )
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, timeout=60, check=True)
    assert offered in [line.strip() for line in done.stdout.splitlines()]


def test_an_unknown_shell_is_named(run: Run) -> None:
    # typing caches Literal without regard to order, so the order is that of whoever was imported first.
    shells = '"bash"', '"zsh"', '"fish"', '"powershell"'
    assert_refused(run("--install-completion", "--shell", "tcsh"), "Choose from: ", *shells)
