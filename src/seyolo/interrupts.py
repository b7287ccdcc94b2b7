"""Ctrl-C and SIGTERM as KeyboardInterrupt."""

from __future__ import annotations

import math
import os
import signal
import sys
import threading
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType
    from typing import Any, Self

INTERRUPTED, TERMINATED = 130, 143
ASK_AGAIN_S, LONGEST_WAIT_S = 0.02, 1.0
HAS_ALARM = hasattr(signal, "setitimer")


class Interrupts:
    """Raises KeyboardInterrupt on Ctrl-C and SIGTERM, but not in the middle of an import.

    Containers and services are stopped by SIGTERM; files being written are finished or removed as on Ctrl-C.
    Under torchrun SIGTERM keeps its default action: a process that waits for another inside C++ runs no
    Python handler.

    An exception inside an import often surfaces as another error, and libraries written in C++ may abort the
    process. So the handler waits for the end of the import: an alarm calls it again, where the system has
    one, since a thread would need locks that the interrupted code may hold. An import longer than a second is
    the start of the program, where there is nothing to clean up; the process then exits at once.

    Python drops an exception that is raised in the callback of a weak reference or in `__del__`. If it was
    this one, the alarm raises it again.
    """

    def __init__(self) -> None:
        self.seen = False  # whether a signal arrived
        self.code = INTERRUPTED  # exit code for that signal
        self._last_moment_s = math.inf
        self._before: dict[int, Any] = {}
        self._drop_before: Callable[[sys.UnraisableHookArgs], Any] = sys.unraisablehook

    def __enter__(self) -> Self:
        if is_main_thread():
            numbers = [signal.SIGINT]
            if HAS_ALARM:
                numbers.append(signal.SIGALRM)
            if "RANK" not in os.environ:
                numbers.append(signal.SIGTERM)
            self._before = {number: signal.signal(number, self._interrupt) for number in numbers}
            self._drop_before, sys.unraisablehook = sys.unraisablehook, self._drop
        return self

    def __exit__(self, *_: object) -> None:
        if self._before:
            sys.unraisablehook = self._drop_before
            if HAS_ALARM:
                signal.setitimer(signal.ITIMER_REAL, 0)
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _interrupt(self, number: int, frame: FrameType | None) -> None:
        self.seen = True
        if number == signal.SIGTERM:
            self.code = TERMINATED
        if not (HAS_ALARM and _is_importing(frame)):
            self._last_moment_s = math.inf
            raise KeyboardInterrupt
        self._last_moment_s = min(self._last_moment_s, time.monotonic() + LONGEST_WAIT_S)
        if time.monotonic() >= self._last_moment_s:
            os.write(2, b"interrupted\n")
            os._exit(self.code)
        signal.setitimer(signal.ITIMER_REAL, ASK_AGAIN_S)

    def _drop(self, dropped: sys.UnraisableHookArgs) -> None:
        if HAS_ALARM and self.seen and issubclass(dropped.exc_type, KeyboardInterrupt):
            signal.setitimer(signal.ITIMER_REAL, ASK_AGAIN_S)
        else:
            self._drop_before(dropped)


def _is_importing(frame: FrameType | None) -> bool:
    while frame is not None:
        if frame.f_code.co_filename == "<frozen importlib._bootstrap>":
            return True
        frame = frame.f_back
    return False


def is_main_thread() -> bool:
    """Tells whether this is the main thread; Python handles signals in no other."""
    return threading.current_thread() is threading.main_thread()
