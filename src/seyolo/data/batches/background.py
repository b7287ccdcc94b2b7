"""Background threads for batches, as in `media.ahead`, with OpenCV limited to one thread.

Threads suffice, since OpenCV and numpy release the interpreter lock while they process pixels. At most
`prefetch` results wait, so memory is bounded. An error in a thread is raised where its result is consumed.
Closing the iterator (or leaving its loop) stops the threads.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator, Iterable
from contextlib import closing
from typing import TypeVar

import cv2

from seyolo.media.ahead import mapped_ahead

Job = TypeVar("Job")
Result = TypeVar("Result")


def in_background(
    function: Callable[[Job], Result], jobs: Iterable[Job], threads: int, prefetch: int
) -> Generator[Result]:
    """Yields `function(job)` in the order of the jobs, computed by threads up to `prefetch` jobs ahead."""
    depth = max(prefetch, threads)
    with (
        _ONE_OPENCV_THREAD,
        closing(mapped_ahead(function, jobs, threads, depth, "seyolo-loader")) as results,
    ):
        yield from results


class _OneOpenCvThread:
    """Context that limits OpenCV to one thread; when the last user leaves, the former number is restored.

    The loaders are parallel over images, so OpenCV's threads would only compete with the network for cores.
    The number applies to the whole process, and loaders may end in any order.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._num_inside = 0
        self._before = 0

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
