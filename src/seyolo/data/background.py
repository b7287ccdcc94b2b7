"""Work done ahead by threads.

Threads suffice, since OpenCV and numpy release the interpreter lock while they work on pixels. At most
`prefetch` results wait, so memory is bounded; an error in a thread is raised where its result is consumed;
closing the iterator (or leaving its loop) stops the threads.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

import cv2

Job = TypeVar("Job")
Result = TypeVar("Result")


def in_background(
    function: Callable[[Job], Result], jobs: Iterable[Job], workers: int, prefetch: int
) -> Generator[Result]:
    """The results of `function` for each job, in order, computed by threads up to `prefetch` jobs ahead."""
    # Parallel by picture already: OpenCV's own threads would only contend with the network for cores.
    cv2.setNumThreads(1)
    waiting: deque[Future[Result]] = deque()
    pool = ThreadPoolExecutor(workers, thread_name_prefix="seyolo-loader")
    try:
        for job in jobs:
            waiting.append(pool.submit(function, job))
            if len(waiting) >= max(prefetch, workers):
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
