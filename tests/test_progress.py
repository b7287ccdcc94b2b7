"""Bars and lines: what they say, and that results stay on stdout."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from seyolo.progress import Bars, Lines


def test_lines_come_now_and_then(capsys: pytest.CaptureFixture[str]) -> None:
    clock = iter([0.0, 5.0, 21.0, 22.0, 50.0])
    with Lines(interval_s=20, clock=lambda: next(clock)).task("detecting", 9) as advance:
        advance(1, "a.jpg")
        advance(2, "b.jpg")
    assert capsys.readouterr().err == "detecting 3/9 b.jpg\n"


def test_lines_without_a_total(capsys: pytest.CaptureFixture[str]) -> None:
    clock = iter([0.0, 30.0, 30.0])
    with Lines(interval_s=20, clock=lambda: next(clock)).task("detecting in 0", None) as advance:
        advance(7, "29.9 frames/s")
    assert capsys.readouterr().err == "detecting in 0 7 29.9 frames/s\n"


@pytest.mark.parametrize("total", [3, None])
def test_a_bar_leaves_stdout_alone_when_it_is_no_terminal(
    total: int | None, capsys: pytest.CaptureFixture[str]
) -> None:
    terminal = io.StringIO()
    bars = Bars(Console(file=terminal, force_terminal=True, width=80))
    with bars.task("detecting", total) as advance:
        advance(1, "a.jpg")
        print("a.jpg: hand 0.90")
    assert capsys.readouterr().out == "a.jpg: hand 0.90\n"
    assert "detecting" in terminal.getvalue()
    assert f"1/{total or '?'}" in terminal.getvalue()
    assert "hand" not in terminal.getvalue()
