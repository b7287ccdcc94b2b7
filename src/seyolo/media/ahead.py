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
from typing import Any, Self, TypeVar

import cv2

Item = TypeVar("Item")
Value = TypeVar("Value")

DEPTH = 3  # most items that are ready or in work


def mapped_ahead(
    function: Callable[[Item], Value], items: Iterable[Item], workers: int = 1, depth: int = DEPTH
) -> Generator[Value]:
    """Yields `map(function, items)`, computed ahead by `workers` threads."""
    pool = ThreadPoolExecutor(workers, "seyolo-loader")
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
    waiting: deque[Item] = deque(maxlen=1)  # an append drops the older item
    has_news, is_over, is_closed = threading.Event(), threading.Event(), threading.Event()

    def read() -> None:
        try:
            for item in items:
                waiting.append(item)
                has_news.set()
                if is_closed.is_set():
                    return
        finally:
            is_over.set()
            has_news.set()

    with ThreadPoolExecutor(1, "newest") as pool:
        reading = pool.submit(read)
        try:
            is_last = False
            while not is_last:
                has_news.wait()
                has_news.clear()
                is_last = is_over.is_set()
                if waiting:
                    yield waiting.pop()
            reading.result()  # raises the error of the source
        finally:
            is_closed.set()


def in_background(
    function: Callable[[Item], Value], items: Iterable[Item], threads: int, prefetch: int
) -> Generator[Value]:
    """Yields `map(function, items)`, computed up to `prefetch` ahead, with OpenCV limited to one thread."""
    ahead = mapped_ahead(function, items, threads, max(prefetch, threads))
    with _ONE_OPENCV_THREAD, closing(ahead):
        yield from ahead


class _OneOpenCvThread:
    """Context that limits OpenCV to one thread; when the last user leaves, the former number is restored.

    The loaders are parallel over images, so OpenCV's threads would only compete with the network for cores.
    The number applies to the whole process, and loaders may end in any order.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._num_inside = self._before = 0

    def __enter__(self) -> None:
        with self._lock:
            if self._num_inside == 0:
                self._before = cv2.getNumThreads()
                cv2.setNumThreads(1)
            self._num_inside += 1

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._num_inside -= 1
            if self._num_inside == 0:
                cv2.setNumThreads(self._before)


_ONE_OPENCV_THREAD = _OneOpenCvThread()


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

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        try:
            if error is None:
                self.finish()
        finally:
            self._pool.shutdown()
