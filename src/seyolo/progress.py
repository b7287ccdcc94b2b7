"""Progress of long tasks on stderr: bars on a terminal, plain lines elsewhere."""

from __future__ import annotations

import math
import sys
import time
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Task, TextColumn, TimeRemainingColumn
from rich.progress import Progress as RichProgress
from rich.text import Text

from seyolo.files import write_text
from seyolo.notebook import Html, notebook_display

Advance = Callable[[int, str], None]
WARNING, WARNINGS_FILE = "warning: ", "warnings.txt"
PACE_S = 120.0  # after so many seconds a measurement of the pace weighs a third


@runtime_checkable
class Progress(Protocol):
    """Receives the progress of long tasks."""

    def message(self, text: str) -> None:
        """Prints a line."""

    def task(self, title: str, total: int | None) -> AbstractContextManager[Advance]:
        """Returns a context with a function `advance(count, note)`; `total` is None if unknown."""


class TimeLeft(str):
    """A note that tells how much time is left; bars show no estimate of their own beside it."""

    __slots__ = ()


class Figures(str):
    """A note to keep: bars print it above themselves, lines have it in the next line."""

    __slots__ = ()


class RunClock:
    """Time left of a run of several stages, by the estimated seconds and the measured pace.

    The pace is that of the last two minutes or so, as other work comes and goes; time between stages is none.

    Args:
        seconds: estimates of all stages in order.
        trust_s: so many measured seconds weigh as much as the estimate; 0 for relative estimates.
    """

    def __init__(
        self, seconds: Mapping[str, float], trust_s: float = 30.0, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._seconds, self._clock = dict(seconds), clock
        self._spent = self._worked = trust_s  # measured and estimated seconds of the same steps
        self._last: tuple[str, float, float] | None = None  # stage, time and work done

    def left_s(self, stage: str, share: float) -> float | None:
        """Returns the seconds left where a share of a stage is done; None where nothing is known yet."""
        if stage not in self._seconds:
            return None
        names = list(self._seconds)
        before = sum(self._seconds[name] for name in names[: names.index(stage)])
        done, now = before + share * self._seconds[stage], self._clock()
        if self._last is not None and self._last[0] == stage:
            spent, weight = now - self._last[1], math.exp((self._last[1] - now) / PACE_S)
            self._spent = weight * self._spent + spent
            self._worked = weight * self._worked + done - self._last[2]
        self._last = stage, now, done
        left = sum(self._seconds.values()) - done
        return left * self._spent / self._worked if self._worked > 0 else None


def duration_text(seconds: float) -> str:
    """Formats a duration: 40 s, 3 min, 2 h 10 min."""
    if round(seconds) < 60:
        return f"{max(1, round(seconds))} s"
    minutes = round(seconds / 60)
    return (
        f"{minutes} min" if minutes < 120 else f"{minutes // 60} h {minutes % 60} min".replace(" 0 min", "")
    )


class Silent:
    """Prints nothing."""

    def message(self, text: str) -> None:
        del text

    @contextmanager
    def task(self, title: str, total: int | None) -> Iterator[Advance]:
        del title, total
        yield lambda count, note: None


class Keeping:
    """Passes progress on, and keeps the warnings of a run, each once, in a file of its folder."""

    def __init__(self, shown: Progress) -> None:
        self._shown = shown
        self._found: dict[str, None] = {}
        self._folder: Path | None = None

    def keep_in(self, folder: Path) -> None:
        """Names the folder of the run; warnings that are there already stay."""
        self._found = dict.fromkeys([*read_warnings(folder), *self._found])
        self._folder = folder
        self._write()

    def keep(self, text: str) -> None:
        """Keeps a warning."""
        self._found[" ".join(text.split())] = None
        self._write()

    def _write(self) -> None:
        if self._folder is not None and self._found:
            write_text(self._folder / WARNINGS_FILE, "".join(f"{text}\n" for text in self._found))

    def message(self, text: str) -> None:
        if text.startswith(WARNING):
            self.keep(text.removeprefix(WARNING))
        self._shown.message(text)

    def task(self, title: str, total: int | None) -> AbstractContextManager[Advance]:
        return self._shown.task(title, total)


@contextmanager
def kept_warnings(progress: Progress) -> Iterator[Keeping]:
    """Yields progress that keeps the warnings it is told, and those that Python shows in the block."""
    keeping, show = Keeping(progress), warnings.showwarning

    def keep(message: Warning | str, category: type[Warning], *rest: Any, **named: Any) -> None:
        if issubclass(category, UserWarning):
            keeping.keep(str(message))
        show(message, category, *rest, **named)

    warnings.showwarning = keep
    try:
        yield keeping
    finally:
        warnings.showwarning = show


def read_warnings(folder: Path) -> list[str]:
    """Returns the warnings of a run; none where there were none, or the run is of an earlier version."""
    path = folder / WARNINGS_FILE
    return path.read_text("utf-8", "replace").splitlines() if path.is_file() else []


def tell(progress: Progress | None, lines: Iterable[str]) -> None:
    """Prints lines; nothing without progress."""
    for line in lines:
        (progress or Silent()).message(line)


class Lines:
    """Prints at most one line on tasks every `interval_s` seconds, for logs and pipes."""

    def __init__(self, interval_s: float = 20.0, clock: Callable[[], float] = time.monotonic) -> None:
        self.interval_s = interval_s
        self.clock = clock
        self._last: float | None = None

    def message(self, text: str) -> None:
        print(text, file=sys.stderr, flush=True)

    @contextmanager
    def task(self, title: str, total: int | None) -> Iterator[Advance]:
        done, figures = 0, ""
        if self._last is None:
            self._last = self.clock()

        def advance(count: int, note: str) -> None:
            nonlocal done, figures
            done += count
            if isinstance(note, Figures):
                figures = note
                return
            if self._last is not None and self.clock() - self._last >= self.interval_s:
                self._last = self.clock()
                count_of = f"{done:,}" if total is None else f"{done:,}/{total:,}"
                self.message("; ".join(filter(None, (f"{title} {count_of} {note}".rstrip(), figures))))
                figures = ""

        yield advance


LEAST_SHARE = 0.05  # of a task by itself: the pace of less says little about the rest


class TimedStages:
    """Progress whose notes tell the time left: of all stages together, and of any other task by itself.

    `seconds` are the stages in order with their estimates, which need only be right relative to each other;
    `until` says behind their time left what follows.
    """

    def __init__(
        self,
        progress: Progress,
        seconds: Mapping[str, float],
        until: str = "",
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._progress, self._stages, self._until, self._clock = progress, dict(seconds), until, clock
        self._run = RunClock(seconds, trust_s=0.0, clock=clock)

    def message(self, text: str) -> None:
        self._progress.message(text)

    @contextmanager
    def task(self, title: str, total: int | None) -> Iterator[Advance]:
        is_stage, done = title in self._stages, 0
        run = self._run if is_stage else RunClock({title: 1.0}, trust_s=0.0, clock=self._clock)
        run.left_s(title, 0.0)  # begins to measure
        with self._progress.task(title, total) as advance:

            def timed(count: int, note: str) -> None:
                nonlocal done
                done += count
                share = min(1.0, done / total) if total else 0.0
                is_known = total and (is_stage or share >= LEAST_SHARE)
                left_s = run.left_s(title, share) if is_known else None
                left = "" if left_s is None else f"about {duration_text(left_s)} left{self._until * is_stage}"
                advance(count, TimeLeft(", ".join(filter(None, (note, left)))) if total else note)

            yield timed


class _Remaining(TimeRemainingColumn):
    """Time left of a task, where its note does not tell it."""

    def render(self, task: Task) -> Text:
        return Text() if isinstance(task.fields.get("note"), TimeLeft) else super().render(task)


class Bars:
    """Shows a bar per task on a terminal; tasks inside a task are shown below it."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self._shown: RichProgress | None = None

    def message(self, text: str) -> None:
        self.console.print(text, highlight=False)

    @contextmanager
    def task(self, title: str, total: int | None) -> Iterator[Advance]:
        with self._bars() as bars:
            task, is_inner = bars.add_task(title, total=total, note=""), len(bars.tasks) > 1

            def advance(count: int, note: str) -> None:
                if isinstance(note, Figures):
                    self.message(f"{title} {note}")
                else:
                    bars.update(task, advance=count, note=note)

            try:
                yield advance
            finally:
                if is_inner:
                    bars.remove_task(task)

    @contextmanager
    def _bars(self) -> Iterator[RichProgress]:
        """Yields the bars that are shown, or new ones."""
        if self._shown is not None:
            yield self._shown
            return
        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            _Remaining(compact=True),
            TextColumn("{task.fields[note]}"),
        )
        # Other output is printed above the bar, except from a stdout that is redirected.
        above = sys.stdout.isatty()
        with RichProgress(*columns, console=self.console, transient=True, redirect_stdout=above) as bars:
            self._shown = bars
            try:
                yield bars
            finally:
                self._shown = None


@dataclass
class _Bar:
    """A task as a notebook shows it."""

    title: str
    total: int | None
    done: int = 0
    note: str = ""

    def html(self) -> str:
        value = "" if self.total is None else f' value="{self.done}" max="{self.total}"'
        of_total = "" if self.total is None else f"/{self.total:,}"
        text = f"{self.title} {self.done:,}{of_total} {self.note}"
        return f'<div><progress aria-label="{escape(self.title)}"{value}></progress> {escape(text)}</div>'


class NotebookBars:
    """Shows the tasks as bars at one place in a notebook, redrawn every so many seconds; prints messages.

    `display` is that of IPython.
    """

    def __init__(
        self,
        display: Callable[..., Any],
        interval_s: float = 0.5,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._display, self._interval_s, self._clock = display, interval_s, clock
        self._place: Any = None
        self._bars: list[_Bar] = []
        self._drawn_s = -math.inf

    def message(self, text: str) -> None:
        print(text, flush=True)

    @contextmanager
    def task(self, title: str, total: int | None) -> Iterator[Advance]:
        bar = _Bar(title, total)
        self._bars.append(bar)
        self._draw()

        def advance(count: int, note: str) -> None:
            if isinstance(note, Figures):
                self.message(f"{title} {note}")
                return
            bar.done, bar.note = bar.done + count, note
            if self._clock() - self._drawn_s >= self._interval_s:
                self._draw()

        try:
            yield advance
        finally:
            self._bars.remove(bar)
            self._draw()

    def _draw(self) -> None:
        self._drawn_s = self._clock()
        shown = Html("".join(bar.html() for bar in self._bars))
        if self._place is None:
            self._place = self._display(shown, display_id=True)
        else:
            self._place.update(shown)


def shown_progress(progress: Progress | bool | None) -> Progress:
    """Returns where progress is shown: True as on the command line, False and None nowhere."""
    if progress is None or isinstance(progress, bool):
        return console_progress() if progress else Silent()
    return progress


def console_progress() -> Progress:
    """Returns bars in a notebook or if stderr is a terminal, else lines."""
    display = notebook_display()
    if display is not None:
        return NotebookBars(display)
    console = Console(stderr=True)
    return Bars(console) if console.is_terminal else Lines()
