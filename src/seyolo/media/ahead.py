"""Threads beside the main one, in order: reading ahead, writing behind, the newest item of a live source.

Decoding, inference and encoding release Python's lock, so three threads keep the cores busy. All queues are
short: a decoded image of 24 megapixels takes 72 MB. The generators stop their threads when they are closed;
use `contextlib.closing`.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import closing, contextmanager
from itertools import repeat, takewhile
from types import TracebackType
from typing import Any, Generic, Self, TypeVar

Item = TypeVar("Item")
Value = TypeVar("Value")

DEPTH = 3
"""Most items that are ready or in work."""


def mapped_ahead(
    function: Callable[[Item], Value],
    items: Iterable[Item],
    workers: int = 1,
    depth: int = DEPTH,
    name: str = "ahead",
) -> Generator[Value]:
    """Yields `map(function, items)`, computed ahead by `workers` threads called `name`."""
    pool = ThreadPoolExecutor(workers, name)
    pending: deque[Future[Value]] = deque()
    try:
        for item in items:
            pending.append(pool.submit(function, item))
            if len(pending) >= depth:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)


def read_ahead(items: Iterable[Item], depth: int = DEPTH) -> Generator[Item]:
    """Yields the items, with the next ones read ahead in a thread."""
    iterator = iter(items)
    end: Any = object()
    with closing(mapped_ahead(lambda _: next(iterator, end), repeat(None), depth=depth)) as ahead:
        yield from takewhile(lambda item: item is not end, ahead)


def newest(items: Iterable[Item]) -> Generator[Item]:
    """Yields the newest item of a live source; items that arrive while one is in use are dropped.

    Without this a network slower than the camera would fall behind more and more.
    """
    reader = _Newest(items)
    try:
        yield from reader
    finally:
        reader.stop()


class _Newest(Generic[Item]):
    """The newest item of an iterator that a thread reads."""

    def __init__(self, items: Iterable[Item]) -> None:
        self._items = items
        self._changed = threading.Condition()
        self._waiting: list[Item] = []
        self._is_over = False
        self._is_stopped = False
        self._pool = ThreadPoolExecutor(1, "newest")
        self._reading = self._pool.submit(self._read)

    def __iter__(self) -> Iterator[Item]:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._waiting or self._is_over)
                if not self._waiting:
                    break
                item = self._waiting.pop()
            yield item
        self._reading.result()

    def stop(self) -> None:
        """Stops reading; returns when the thread has ended."""
        self._is_stopped = True
        self._pool.shutdown()

    def _read(self) -> None:
        try:
            for item in self._items:
                with self._changed:
                    self._waiting[:] = [item]
                    self._changed.notify()
                if self._is_stopped:
                    return
        finally:
            with self._changed:
                self._is_over = True
                self._changed.notify()


class Behind:
    """Calls made in order in one thread, a few behind the caller.

    An error of a call is raised at one of the next calls, or when the block ends, and no call follows it.
    When the block itself ends with an error, the pending calls still run.
    """

    def __init__(self, depth: int = DEPTH) -> None:
        self._depth = depth
        self._pool = ThreadPoolExecutor(1, "behind")
        self._pending: deque[Future[None]] = deque()
        self._has_failed = False

    def call(self, function: Callable[..., None], *arguments: object) -> None:
        """Queues a call; waits while too many are pending."""
        while len(self._pending) >= self._depth:
            self._pending.popleft().result()
        self._pending.append(self._pool.submit(self._run, function, *arguments))

    def _run(self, function: Callable[..., None], *arguments: object) -> None:
        if self._has_failed:
            return
        try:
            function(*arguments)
        except BaseException:
            self._has_failed = True
            raise

    @contextmanager
    def settled(self) -> Iterator[None]:
        """Waits at the end of the block, also after an error, until no call is pending."""
        try:
            yield
        finally:
            wait(self._pending)

    def finish(self) -> None:
        """Waits for all pending calls; raises the error of the first that failed."""
        while self._pending:
            self._pending.popleft().result()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if error is None:
                self.finish()
        finally:
            self._pool.shutdown()
