"""Progress of long tasks on stderr: bars on a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol, runtime_checkable

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as RichProgress

Advance = Callable[[int, str], None]


@runtime_checkable
class Progress(Protocol):
    """Receives the progress of long tasks."""

    def message(self, text: str) -> None:
        """Prints a line."""

    def task(self, title: str, total: int | None) -> AbstractContextManager[Advance]:
        """Returns a context with a function `advance(count, note)`; `total` is None if unknown."""


class Silent:
    """Prints nothing; the default in Python."""

    def message(self, text: str) -> None:
        del text

    @contextmanager
    def task(self, title: str, total: int | None) -> Iterator[Advance]:
        del title, total
        yield lambda count, note: None


def tell(progress: Progress | None, lines: Iterable[str]) -> None:
    """Prints lines; nothing without progress."""
    for line in lines:
        (progress or Silent()).message(line)


class Lines:
    """Prints a line every `interval_s` seconds, for logs and pipes."""

    def __init__(self, interval_s: float = 20.0, clock: Callable[[], float] = time.monotonic) -> None:
        self.interval_s = interval_s
        self.clock = clock

    def message(self, text: str) -> None:
        print(text, file=sys.stderr, flush=True)

    @contextmanager
    def task(self, title: str, total: int | None) -> Iterator[Advance]:
        done, last = 0, self.clock()

        def advance(count: int, note: str) -> None:
            nonlocal done, last
            done += count
            if self.clock() - last >= self.interval_s:
                last = self.clock()
                count_of = done if total is None else f"{done}/{total}"
                self.message(f"{title} {count_of} {note}".rstrip())

        yield advance


class Bars:
    """Shows a bar per task on a terminal."""

    def __init__(self, console: Console) -> None:
        self.console = console

    def message(self, text: str) -> None:
        self.console.print(text, highlight=False)

    @contextmanager
    def task(self, title: str, total: int | None) -> Iterator[Advance]:
        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(compact=True),
            TextColumn("{task.fields[note]}"),
        )
        # Other output is printed above the bar, except from a stdout that is redirected.
        above = sys.stdout.isatty()
        with RichProgress(*columns, console=self.console, transient=True, redirect_stdout=above) as bars:
            task = bars.add_task(title, total=total, note="")
            yield lambda count, note: bars.update(task, advance=count, note=note)


def console_progress() -> Progress:
    """Returns bars if stderr is a terminal, else lines."""
    console = Console(stderr=True)
    return Bars(console) if console.is_terminal else Lines()
