"""Bars and lines: what they say, and that results stay on stdout."""

from __future__ import annotations

import io
import math
import warnings
from pathlib import Path

import pytest
from rich.console import Console

from seyolo.progress import (
    PACE_S,
    WARNINGS_FILE,
    Bars,
    Figures,
    Lines,
    NotebookBars,
    RunClock,
    Silent,
    TimedStages,
    TimeLeft,
    console_progress,
    duration_text,
    kept_warnings,
    read_warnings,
    shown_progress,
)


def test_lines_come_now_and_then(capsys: pytest.CaptureFixture[str]) -> None:
    clock = iter([0.0, 5.0, 21.0, 22.0, 50.0])
    with Lines(interval_s=20, clock=lambda: next(clock)).task("detecting", 9) as advance:
        advance(1, "a.jpg")
        advance(2, "b.jpg")
    assert capsys.readouterr().err == "detecting 3/9 b.jpg\n"


def test_a_run_keeps_its_warnings_once_and_those_of_earlier_starts(tmp_path: Path) -> None:
    told = StringLines()
    with warnings.catch_warnings(record=True) as shown, kept_warnings(told) as progress:
        warnings.simplefilter("always")
        warnings.warn("2 of 9 boxes\nare small", stacklevel=1)  # before there is a folder
        assert read_warnings(tmp_path) == []
        (tmp_path / WARNINGS_FILE).write_text("of the first start\n")
        progress.keep_in(tmp_path)
        for text in ("warning: few steps", "time: about 2 min", "warning: few steps"):
            progress.message(text)
        warnings.warn("of a library, soon to change", FutureWarning, stacklevel=1)
    assert read_warnings(tmp_path) == ["of the first start", "2 of 9 boxes are small", "few steps"]
    assert told.lines == ["warning: few steps", "time: about 2 min", "warning: few steps"]
    assert len(shown) == 2


class StringLines(Silent):
    """Progress that keeps its lines."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def message(self, text: str) -> None:
        self.lines.append(text)


def test_a_run_without_warnings_has_no_file_of_them(tmp_path: Path) -> None:
    with kept_warnings(Silent()) as progress:
        progress.keep_in(tmp_path)
    assert list(tmp_path.iterdir()) == []


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


def test_all_tasks_share_one_line_every_so_many_seconds(capsys: pytest.CaptureFixture[str]) -> None:
    now = [0.0]
    lines = Lines(interval_s=20, clock=lambda: now[0])
    for number in range(10):
        with lines.task(f"task {number}", 2) as advance:
            for _ in range(2):
                now[0] += 3
                advance(1, "")
    assert len(capsys.readouterr().err.splitlines()) == 60 // 21


def test_figures_wait_for_the_next_line(capsys: pytest.CaptureFixture[str]) -> None:
    now = [0.0]
    with Lines(interval_s=20, clock=lambda: now[0]).task("train", 1200) as advance:
        advance(1000, TimeLeft("epoch 1/3, 40 s left"))
        advance(0, Figures("epoch 1/3: AP val 0.412"))
        now[0] = 25.0
        advance(1, TimeLeft("epoch 2/3, 35 s left"))
        now[0] = 50.0
        advance(1, TimeLeft("epoch 2/3, 30 s left"))
    assert capsys.readouterr().err.splitlines() == [
        "train 1,001/1,200 epoch 2/3, 35 s left; epoch 1/3: AP val 0.412",
        "train 1,002/1,200 epoch 2/3, 30 s left",
    ]


def shown(kind: type[str], note: str) -> str:
    """What a terminal shows of a task that is told a note."""
    terminal = io.StringIO()
    bars = Bars(Console(file=terminal, force_terminal=True, width=100))
    with bars.task("train", 9) as advance:
        advance(1, kind(note))
    return terminal.getvalue()


def test_a_bar_has_one_estimate_of_the_time_left() -> None:
    """The last frame counts: the first is drawn before anything is told."""
    assert "-:--" in shown(str, "a.jpg").rpartition("train")[2]
    assert "-:--" not in shown(TimeLeft, "epoch 1/3, 2 min left").rpartition("train")[2]
    assert "2 min left" in shown(TimeLeft, "epoch 1/3, 2 min left")


def test_figures_stay_above_the_bar() -> None:
    assert "train epoch 1/3: AP val 0.412\n" in shown(Figures, "epoch 1/3: AP val 0.412")


def test_a_task_inside_a_task_is_shown_below_it() -> None:
    terminal = io.StringIO()
    bars = Bars(Console(file=terminal, force_terminal=True, width=80))
    with bars.task("train", 9) as advance:
        with bars.task("planning", 3) as inner:
            inner(3, "")
        advance(9, "")
    with bars.task("evaluating", 2) as advance:
        advance(2, "")
    for text in ("train", "planning", "evaluating"):
        assert text in terminal.getvalue()


class Notebook:
    """A stand-in for IPython's display: one place, and what it showed, in order."""

    def __init__(self) -> None:
        self.shown: list[str] = []

    def __call__(self, shown: object, display_id: bool) -> Notebook:
        assert display_id
        assert not self.shown
        return self.update(shown)

    def update(self, shown: object) -> Notebook:
        self.shown.append(shown._repr_html_())  # type: ignore[attr-defined]
        return self


def test_a_notebook_has_one_place_that_is_redrawn_now_and_then(capsys: pytest.CaptureFixture[str]) -> None:
    place, now = Notebook(), [0.0]
    bars = NotebookBars(place, interval_s=0.5, clock=lambda: now[0])
    with bars.task("train", 1000) as advance:
        for _ in range(1000):
            now[0] += 0.01
            advance(1, TimeLeft("epoch 1/1, <5 s left"))
        advance(0, Figures("epoch 1/1: AP val 0.412"))
        with bars.task("evaluating", None):
            pass
    assert len(place.shown) == pytest.approx(1 + 10 / 0.5 + 3, abs=1)
    assert (
        place.shown[0]
        == '<div><progress aria-label="train" value="0" max="1000"></progress> train 0/1,000 </div>'
    )
    assert "train 1,000/1,000 epoch 1/1, &lt;5 s left" in place.shown[-3]
    assert place.shown[-3].count("<progress") == 2
    assert "evaluating 0 " in place.shown[-3]
    assert place.shown[-1] == ""
    assert capsys.readouterr().out == "train epoch 1/1: AP val 0.412\n"


def test_progress_is_shown_where_it_is_wanted(monkeypatch: pytest.MonkeyPatch) -> None:
    own = Lines()
    assert shown_progress(own) is own
    assert isinstance(shown_progress(True), Lines)
    assert isinstance(shown_progress(False), Silent)
    assert isinstance(shown_progress(None), Silent)
    monkeypatch.setattr("seyolo.progress.notebook_display", Notebook)
    assert isinstance(console_progress(), NotebookBars)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.0, "1 s"),
        (0.4, "1 s"),
        (29.6, "30 s"),
        (59.4, "59 s"),
        (59.6, "1 min"),
        (89, "1 min"),
        (91, "2 min"),
        (3600, "60 min"),
        (7169, "119 min"),
        (7200, "2 h"),
        (8000, "2 h 13 min"),
        (90000, "25 h"),
    ],
)
def test_durations(seconds: float, text: str) -> None:
    assert duration_text(seconds) == text


class TestRunClock:
    def test_the_estimate_holds_at_the_start_and_the_measured_pace_later(self) -> None:
        now = [0.0]
        clock = RunClock({"dense": 100.0, "tuned": 200.0}, trust_s=10.0, clock=lambda: now[0])
        assert clock.left_s("dense", 0.0) == 300
        now[0] = 200.0  # twice as slow as estimated
        old = 10 * math.exp(-200 / PACE_S)  # what the estimate still weighs
        assert clock.left_s("dense", 1.0) == pytest.approx(200 * (200 + old) / (100 + old))
        now[0] = 600.0
        assert clock.left_s("tuned", 1.0) == 0

    def test_a_resumed_run_counts_from_where_it_goes_on(self) -> None:
        now = [1000.0]
        clock = RunClock({"dense": 100.0, "tuned": 200.0}, trust_s=0.0, clock=lambda: now[0])
        assert clock.left_s("tuned", 0.5) is None  # nothing is measured yet
        now[0] = 1050.0
        assert clock.left_s("tuned", 0.75) == pytest.approx(50)

    def test_the_pace_is_that_of_the_last_steps(self) -> None:
        now = [0.0]
        clock = RunClock({"train": 4000.0}, trust_s=30.0, clock=lambda: now[0])
        for step in range(1001):
            now[0] = float(step)
            left_s = clock.left_s("train", step / 4000)
        assert left_s == pytest.approx(3000)
        for step in range(1001, 1201):  # other work starts, and each step takes three times as long
            now[0] += 3
            left_s = clock.left_s("train", step / 4000)
        assert left_s == pytest.approx(2800 * 3, rel=0.02)

    def test_the_time_between_stages_is_no_pace(self) -> None:
        now = [0.0]
        clock = RunClock({"dense": 100.0, "tuned": 200.0}, trust_s=0.0, clock=lambda: now[0])
        clock.left_s("dense", 0.0)
        now[0] = 100.0
        assert clock.left_s("dense", 1.0) == pytest.approx(200)
        now[0] = 400.0  # pruning
        assert clock.left_s("tuned", 0.0) == pytest.approx(200)
        now[0] = 500.0
        assert clock.left_s("tuned", 0.5) == pytest.approx(100)

    def test_an_unknown_stage_has_no_estimate(self) -> None:
        assert RunClock({"dense": 1.0}).left_s("other", 0.5) is None


def test_the_first_percents_of_a_task_by_itself_tell_no_time_left(capsys: pytest.CaptureFixture[str]) -> None:
    now = [0.0]
    stages = TimedStages(Lines(interval_s=20, clock=lambda: now[0]), {}, clock=lambda: now[0])
    with stages.task("repairing", 100) as advance:
        now[0] = 30.0
        advance(4, "percent")
        now[0] = 60.0
        advance(1, "percent")
    assert capsys.readouterr().err.splitlines() == [
        "repairing 4/100 percent",
        "repairing 5/100 percent, about 19 min left",
    ]


def test_stages_tell_the_time_left_of_all_of_them(capsys: pytest.CaptureFixture[str]) -> None:
    now = [0.0]
    lines = Lines(interval_s=20, clock=lambda: now[0])
    stages = TimedStages(lines, {"measuring": 1.0, "repairing": 3.0}, " in all", clock=lambda: now[0])
    with stages.task("measuring", 4) as advance:
        now[0] = 30.0  # half of a quarter of all
        advance(2, "images")
        now[0] = 60.0
        advance(2, "images")
    with stages.task("reading", 2) as advance:  # has no estimate: its own time alone
        now[0] = 100.0
        advance(1, "")
    with stages.task("repairing", 3) as advance:
        now[0] = 240.0
        advance(3, "layers")
    assert capsys.readouterr().err.splitlines() == [
        "measuring 2/4 images, about 4 min left in all",  # 30 s for an eighth: 210 s
        "measuring 4/4 images, about 3 min left in all",
        "reading 1/2 about 40 s left",
        "repairing 3/3 layers, about 1 s left in all",
    ]
