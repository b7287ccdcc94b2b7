"""What a run says about the machine and about how it was started."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path

import pytest

from seyolo.training import run_folder
from seyolo.training.distributed import Team
from seyolo.training.run_folder import command_line, describe_environment, keep_command


@pytest.mark.parametrize(
    ("program", "num_processes", "start"),
    [
        ("/usr/local/bin/seyolo", 1, "seyolo "),
        ("/lib/seyolo/__main__.py", 1, "python -m seyolo "),
        ("/lib/seyolo/__main__.py", 4, "torchrun --nproc-per-node 4 -m seyolo "),
        ("/usr/local/bin/seyolo", 2, "torchrun --nproc-per-node 2 -m seyolo "),
        ("/home/me/program.py", 2, "torchrun --nproc-per-node 2 program.py "),
    ],
)
def test_the_command_line_can_be_pasted(
    program: str, num_processes: int, start: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    arguments = ["slim", "--data", "my hands/data.yaml", "--budget", "macs=30%"]
    monkeypatch.setattr(sys, "argv", [program, *arguments])
    monkeypatch.setattr(run_folder, "current_team", lambda: Team(0, num_processes))
    line = command_line()
    assert line.startswith(f"{start}slim")
    assert shlex.split(line)[-5:] == arguments


def test_commands_are_kept_in_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for folder, is_new in ((tmp_path / "new", True), (tmp_path / "old", False)):
        monkeypatch.setattr(sys, "argv", ["seyolo", "slim"])
        keep_command(folder, is_new=is_new)
        monkeypatch.setattr(sys, "argv", ["seyolo", "slim", "--resume", "run"])
        keep_command(folder, is_new=False)
    lines = (tmp_path / "new" / "commands.txt").read_text().splitlines()
    assert lines == ["seyolo slim", "seyolo slim --resume run"]
    assert (
        (tmp_path / "old" / "commands.txt").read_text().splitlines()[0].startswith("# started by a version")
    )


def test_the_processor_is_named() -> None:
    assert str(describe_environment()["processor"]).strip()
