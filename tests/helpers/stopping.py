"""A user who presses Ctrl-C in the middle of a training run."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from seyolo.progress import Advance, Silent


class StopIn(Silent):
    """Interrupts at the second step of the task with this title."""

    def __init__(self, title: str) -> None:
        self.title = title

    @contextmanager
    def task(self, title: str, total: int) -> Iterator[Advance]:
        done = 0

        def advance(count: int, note: str) -> None:
            nonlocal done
            done += count
            if title == self.title and done == 2:
                raise KeyboardInterrupt

        yield advance
