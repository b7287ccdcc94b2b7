"""Work done ahead by threads, as `media.ahead` does it, with OpenCV kept to one thread meanwhile.

Threads suffice, since OpenCV and numpy release the interpreter lock while they work on pixels. At most
`prefetch` results wait, so memory is bounded; an error in a thread is raised where its result is consumed;
closing the iterator (or leaving its loop) stops the threads.
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
    function: Callable[[Job], Result], jobs: Iterable[Job], workers: int, prefetch: int
) -> Generator[Result]:
    """The results of `function` for each job, in order, computed by threads up to `prefetch` jobs ahead."""
    depth = max(prefetch, workers)
    with (
        _ONE_OPENCV_THREAD,
        closing(mapped_ahead(function, jobs, workers, depth, "seyolo-loader")) as results,
    ):
        yield from results


class _OneOpenCvThread:
    """OpenCV with one thread for as long as anyone is inside; the last one out restores the number.

    Parallel by image already: OpenCV's own threads would only contend with the network for cores. The
    number is one for the whole process, which belongs to the user, and two loaders may end in any order.
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
